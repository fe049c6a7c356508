/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames of a guest as the network process takes them: checksums, rules, refusals. */
#include "net/policy.h"

#include <stdlib.h>
#include <string.h>

static const char *const denied[] = {"10.0.0.0/8:80", "all:1-100", "[2001:db8::/32]:443", "::1"};

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static struct net_settings settings;
    static struct policy policy;
    struct net_offload offload;
    struct packet packet;
    u8 answer[PACKET_ANSWER_MAX];
    struct err err;
    u8 *frame;

    if (!settings.rule_count) {
        for (u32 i = 0; i < ARRAY_SIZE(denied); i++)
            (void)!net_settings_rule(&settings, false, denied[i], &err);
        (void)!net_settings_forward(&settings, "5300:53/udp", &err);
        policy_init(&policy, &settings);
    }
    if (size <= sizeof(offload) || size - sizeof(offload) > NET_FRAME_MAX)
        return 0;
    memcpy(&offload, data, sizeof(offload));
    size -= sizeof(offload);
    frame = malloc(size); /* of its very size, so that a look beyond it is found */
    if (!frame)
        return 0;
    memcpy(frame, data + sizeof(offload), size);
    policy_note(&policy, frame, size);
    if (packet_checksum(frame, size, &offload) &&
        policy_judge(&policy, &packet, frame, size) == VERDICT_REFUSE &&
        packet_refuse(&packet, answer) > sizeof(answer))
        abort();
    free(frame);
    return 0;
}
