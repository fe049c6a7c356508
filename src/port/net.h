/* SPDX-License-Identifier: BSD-2-Clause */
/* An Ethernet link between a device and a back end. */
#ifndef COSM_PORT_NET_H
#define COSM_PORT_NET_H

#include "base/types.h"

#define NET_FRAME_MAX 65550 /* bytes, headers included, without FCS */

/* What a frame leaves to who gets it; the meaning is that of VIRTIO 1.2, 5.1.6. */
enum { NET_NEEDS_CSUM = 1, NET_DATA_VALID = 2 };
enum { NET_GSO_NONE = 0, NET_GSO_TCP4 = 1, NET_GSO_TCP6 = 4, NET_GSO_ECN = 0x80 };

struct net_offload {
    u8 flags;
    u8 gso;
    u16 header_len;  /* bytes of headers, a hint; 0 without gso */
    u16 gso_size;    /* bytes of payload a segment */
    u16 csum_start;  /* with NET_NEEDS_CSUM: the sum of all from here on ... */
    u16 csum_offset; /* ... goes here, counted from csum_start */
};

struct net_frame {
    const u8 *bytes;
    size_t len; /* 1..NET_FRAME_MAX */
    struct net_offload offload;
    u32 pair; /* of queues by which it was sent, for back ends that have several */
};

/* The device's end, for the back end to call with no lock held, from any thread. */
struct net_device {
    bool (*receive)(void *ctx, const struct net_frame *frame); /* false: no room */
    void (*ready)(void *ctx);         /* send may be tried again after it had refused */
    void (*link)(void *ctx, bool up); /* the cable */
    void (*announce)(void *ctx); /* who is at the other end may have forgotten where the guest is */
    void *ctx;
};

/* What a back end takes, and may hand to a device whose driver takes it. */
enum { NET_CAN_CSUM = 1, NET_CAN_TSO = 2 };

struct net {
    /* The frame is copied before it returns. False: no room, the device's ready follows. */
    bool (*send)(void *ctx, const struct net_frame *frame);     /* NULL: a dead link */
    void (*attach)(void *ctx, const struct net_device *device); /* may be NULL */
    void (*room)(void *ctx); /* the device can receive again after it had refused; may be NULL */
    void *ctx;
    u32 can;
    u16 mtu; /* bytes of a frame without its Ethernet header; 0: Ethernet's 1500, unsaid */
};

#endif
