/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a switch knows: its ports, who is where, and what a port may send.
 *
 * A port that is not trusted sends from its own MAC address alone, and from IP addresses of the
 * network that are nobody else's: an address belongs to the port that used it first, until that
 * goes (as RFC 6620 has it). It cannot be a DHCP server or a router. VLANs are apart from each
 * other: the first (LAB_VLAN) has the network's addresses and services, others are bare Ethernet.
 */
#ifndef COSM_NET_BRIDGE_H
#define COSM_NET_BRIDGE_H

#include "net/lab.h"
#include "port/net.h"

/* Ports of the switch's own; VMs follow. */
enum { BRIDGE_SERVICE, BRIDGE_UPLINK, BRIDGE_TUNNEL, BRIDGE_VM };

#define BRIDGE_PORTS  (BRIDGE_VM + LAB_PORTS_MAX)
#define BRIDGE_CLAIMS LAB_ADDRESSES_MAX /* of a port */
#define BRIDGE_MACS   1024
#define BRIDGE_TAG    4 /* bytes of an 802.1Q tag: room that must lie before a frame */
#define BRIDGE_AGE_NS (UINT64_C(300) * 1000000000)

struct bridge_claim {
    struct net_address address; /* none: free */
    u16 vlan;
    u64 used_ns;
};

struct bridge_port {
    bool used;
    struct lab_port config;
    struct bridge_claim claim[BRIDGE_CLAIMS];
    struct lab_counts count;
};

struct bridge_mac {
    u8 mac[6];
    u16 vlan;
    u8 port;
    u64 used_ns; /* 0: free */
};

/* A frame within the switch: without its tag. */
struct bridge_frame {
    u8 *bytes; /* with BRIDGE_TAG bytes of room before */
    size_t len;
    struct net_offload offload;
    u16 vlan;
    u32 from; /* the port that it came in at */
};

struct bridge {
    const struct lab_settings *settings;
    struct bridge_port port[BRIDGE_PORTS];
    struct bridge_mac mac[BRIDGE_MACS];
    /* A frame as that port is to get it. */
    void (*deliver)(void *ctx, u32 port, const struct bridge_frame *frame);
    /* A frame that is let on, once. */
    void (*note)(void *ctx, const struct bridge_frame *frame);
    void *ctx;
};

void bridge_init(struct bridge *bridge, const struct lab_settings *settings);

/* The first free port of a VM, or -ENOSPC; -EEXIST: its MAC address is in use. */
MUST_CHECK int bridge_join(struct bridge *bridge, const struct lab_port *config);
void bridge_leave(struct bridge *bridge, u32 port);

/*
 * A frame comes in at a port, as it is on its wire: what may pass goes to where it belongs.
 * The frame's bytes and fields are changed on the way.
 */
void bridge_input(struct bridge *bridge, u32 port, struct bridge_frame *frame, u64 now_ns);

/* Binds an address of LAB_VLAN to a port. False: it is another's. */
bool bridge_claim(struct bridge *bridge, u32 port, const struct net_address *address, u64 now_ns);

/* Whose address it is, in LAB_VLAN; -1: nobody's. */
int bridge_owner(const struct bridge *bridge, const struct net_address *address);

/* The IPv4 address in the network with this number, as .1 */
struct net_address bridge_address4(const struct bridge *bridge, u32 host);
/* The IPv6 address in the network with this number, as ::1 */
struct net_address bridge_address6(const struct bridge *bridge, u64 host);

#endif
