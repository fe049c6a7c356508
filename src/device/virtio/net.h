/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtio network device (VIRTIO 1.2, 5.1): one queue pair, no offloads. */
#ifndef COSM_DEVICE_VIRTIO_NET_H
#define COSM_DEVICE_VIRTIO_NET_H

#include "device/virtio/virtio.h"
#include "port/net.h"

#define VIRTIO_NET_CONFIG_SIZE 12
#define VIRTIO_NET_HEADER      12 /* bytes before each frame */

struct virtio_net {
    struct virtio_dev dev;
    const struct net *net;
    u8 config[VIRTIO_NET_CONFIG_SIZE];
    bool refused;             /* receive has said no since the driver last gave buffers */
    bool sending, send_again; /* one thread at a time empties the transmit queue, in order */
    u64 dropped;              /* frames for which the guest had no buffer */
    struct virtq_chain rx, tx;
    u8 frame[NET_FRAME_MAX]; /* being sent */
};

struct virtio_net_config {
    const struct net *net; /* outlives the device; NULL: a dead link */
    u8 mac[6];             /* all zero: the driver chooses */
};

/* Attaches itself to the back end as the receiver. */
void virtio_net_init(struct virtio_net *net, const struct virtio_net_config *config);

/* The cable is plugged or pulled; plugged at first if there is a back end. */
void virtio_net_set_link(struct virtio_net *net, bool up);

/* For transports: &net->dev. */
static inline struct virtio_dev *virtio_net_dev(struct virtio_net *net)
{
    return &net->dev;
}

#endif
