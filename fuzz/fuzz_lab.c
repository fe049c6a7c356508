/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames of guests at the ports of a switch: bridge, DHCP, names, neighbours. */
#include "net/service.h"

#include <stdlib.h>
#include <string.h>

static struct service service;
static u8 *sent;

static void deliver(void *ctx, u32 port, const struct bridge_frame *f)
{
    u8 sum = 0;

    for (size_t i = 0; i < f->len; i++)
        sum = (u8)(sum + f->bytes[i]);
    *sent = sum;
    if (port == BRIDGE_SERVICE)
        service_input(&service, f, 1000);
}

static void note(void *ctx, const struct bridge_frame *f)
{
    if (!f->vlan || f->vlan > LAB_VLAN_MAX)
        abort();
}

static void rig(struct bridge *bridge, struct lab_settings *settings)
{
    struct err err;

    memset(settings, 0, sizeof(*settings));
    memcpy(settings->name, "lab", 4);
    settings->nat = true;
    lab_settings_complete(settings);
    bridge_init(bridge, settings);
    bridge->deliver = deliver;
    bridge->note = note;
    service_init(&service, bridge, 12345);
    bridge->port[BRIDGE_TUNNEL].used = true;
    for (u32 i = 0; i < 4; i++) {
        struct lab_port port = {.vm = "web", .mac = {6, 0, 0, 0, 0, (u8)i}, .vlan = LAB_VLAN};

        port.trusted = i == 1;
        if (i >= 2 && lab_parse_trunk(&port, i == 2 ? "all" : "10+20-30", &err))
            abort();
        if (bridge_join(bridge, &port) < 0)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static struct bridge bridge;
    static struct lab_settings settings;
    u8 byte;

    sent = &byte;
    rig(&bridge, &settings);
    /* Frames: a port, a length of two bytes, an offload's flags and start. */
    for (u64 now = 1000; size > 5; now += 1000) {
        u32 port = BRIDGE_UPLINK + data[0] % 6;
        size_t len = (size_t)(data[1] << 8 | data[2]) % 1600;
        struct bridge_frame f = {.offload = {.flags = data[3] & 1, .csum_start = data[4]}};
        u8 *room;

        data += 5;
        size -= 5;
        len = len < size ? len : size;
        room = malloc(BRIDGE_TAG + len); /* of its very size, so that a look beyond it is found */
        if (!room)
            return 0;
        memcpy(room + BRIDGE_TAG, data, len);
        f.bytes = room + BRIDGE_TAG;
        f.len = len;
        /* Who has one address is often meant. */
        if (port >= BRIDGE_VM && len >= 12 && f.bytes[6] == 6)
            memcpy(f.bytes + 6, bridge.port[port].config.mac, 6);
        bridge_input(&bridge, port, &f, now);
        service_tick(&service, now);
        free(room);
        data += len;
        size -= len;
    }
    return 0;
}
