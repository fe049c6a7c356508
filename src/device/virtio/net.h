/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtio network device (VIRTIO 1.2, 5.1): queue pairs and the control queue, with checksum and
 * segmentation offload as far as the back end has it, and mergeable receive buffers. Frames of a
 * flow come in at the pair that the driver last used for it (5.1.6.5.6).
 */
#ifndef COSM_DEVICE_VIRTIO_NET_H
#define COSM_DEVICE_VIRTIO_NET_H

#include "device/virtio/net_filter.h"
#include "device/virtio/virtio.h"
#include "port/net.h"
#include "port/virtq.h"

#define VIRTIO_NET_CONFIG_SIZE 12
#define VIRTIO_NET_HEADER      12 /* bytes before each frame */
#define VIRTIO_NET_MERGE_MAX   64 /* receive buffers for one frame */
#ifndef VIRTIO_NET_PAIRS_MAX      /* each takes a frame of memory */
#define VIRTIO_NET_PAIRS_MAX 8
#endif
#define VIRTIO_NET_FLOWS 256 /* a power of two */

/* Device feature bits (5.1.3). */
#define VIRTIO_NET_F_CSUM           BIT(0)
#define VIRTIO_NET_F_GUEST_CSUM     BIT(1)
#define VIRTIO_NET_F_MTU            BIT(3)
#define VIRTIO_NET_F_MAC            BIT(5)
#define VIRTIO_NET_F_GUEST_TSO4     BIT(7)
#define VIRTIO_NET_F_GUEST_TSO6     BIT(8)
#define VIRTIO_NET_F_HOST_TSO4      BIT(11)
#define VIRTIO_NET_F_HOST_TSO6      BIT(12)
#define VIRTIO_NET_F_MRG_RXBUF      BIT(15)
#define VIRTIO_NET_F_STATUS         BIT(16)
#define VIRTIO_NET_F_CTRL_VQ        BIT(17)
#define VIRTIO_NET_F_CTRL_RX        BIT(18)
#define VIRTIO_NET_F_CTRL_VLAN      BIT(19)
#define VIRTIO_NET_F_CTRL_RX_EXTRA  BIT(20)
#define VIRTIO_NET_F_GUEST_ANNOUNCE BIT(21)
#define VIRTIO_NET_F_MQ             BIT(22)
#define VIRTIO_NET_F_CTRL_MAC_ADDR  BIT(23)

/* A transmit queue: one thread at a time empties it, in order. */
struct virtio_net_tx {
    bool sending, again;
    struct virtq_chain chain;
};

struct virtio_net {
    struct virtio_dev dev;
    const struct net *net;             /* NULL: a dead link, or it is served */
    const struct virtq_server *server; /* has the pairs instead; NULL: none */
    u8 config[VIRTIO_NET_CONFIG_SIZE];
    bool refused;              /* receive has said no since the driver last gave buffers */
    u32 pairs;                 /* of queues that there are */
    u32 active;                /* that the driver uses */
    u64 dropped;               /* frames that the guest's buffers or features cannot take */
    u64 malformed;             /* frames of the guest whose header breaks the rules */
    u8 flow[VIRTIO_NET_FLOWS]; /* 1 + the pair that it was sent by; 0: not known */
    struct net_filter filter;
    struct virtio_net_tx tx[VIRTIO_NET_PAIRS_MAX];
    struct virtq_chain rx, first, ctrl;
    struct virtq_used merged[VIRTIO_NET_MERGE_MAX];
    u8 frame[VIRTIO_NET_PAIRS_MAX][NET_FRAME_MAX]; /* being sent */
};

struct virtio_net_config {
    const struct net *net; /* outlives the device; NULL: a dead link */
    /* Who serves the pairs instead (net_served.h); outlives the device; NULL: nobody. */
    const struct virtq_server *server;
    u8 mac[6]; /* all zero: the driver chooses */
    u32 pairs; /* of queues, at most VIRTIO_NET_PAIRS_MAX; 0: 1 */
};

/* Attaches itself to the back end as the receiver. */
void virtio_net_init(struct virtio_net *net, const struct virtio_net_config *config);

/* The cable is plugged or pulled; plugged at first if there is a back end. */
void virtio_net_set_link(struct virtio_net *net, bool up);

/* The driver is to tell others where it is, as these may have forgotten; a while after the link
 * came up, for drivers that lose what they say before they have noticed that. */
void virtio_net_announce(struct virtio_net *net);

/* For transports: &net->dev. */
static inline struct virtio_dev *virtio_net_dev(struct virtio_net *net)
{
    return &net->dev;
}

#endif
