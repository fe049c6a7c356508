/* SPDX-License-Identifier: BSD-2-Clause */
/* What of a guest's frames may go on into the user-mode network. */
#ifndef COSM_NET_POLICY_H
#define COSM_NET_POLICY_H

#include "net/packet.h"

/* Hosts of the network that the guest sees: .2 is the host, .3 its name server; ADR 0023. */
enum { POLICY_HOST = 2, POLICY_NAMES = 3, POLICY_GUEST = 15 };

enum verdict {
    VERDICT_PASS,
    VERDICT_DROP,   /* nothing that this network carries */
    VERDICT_REFUSE, /* the rules forbid it */
};

#define POLICY_FLOWS 256

/* UDP that came to the guest at a forwarded port: its answers pass whatever the rules say. */
struct policy_flow {
    struct net_address peer;
    u16 peer_port, guest_port;
};

struct policy {
    const struct net_settings *settings;
    struct net_subnet subnet;
    struct policy_flow flow[POLICY_FLOWS];
    u64 dropped, refused;
};

void policy_init(struct policy *policy, const struct net_settings *settings);

/* Judges a frame of the guest. packet is filled in if it is an IP packet. */
enum verdict policy_judge(struct policy *policy, struct packet *packet, const u8 *bytes,
                          size_t len);

/* Sees a frame that goes to the guest. */
void policy_note(struct policy *policy, const u8 *bytes, size_t len);

#endif
