/* SPDX-License-Identifier: BSD-2-Clause */
/* A virtio-net device's pairs of queues in the hands of a server that reaches guest memory. */
#ifndef COSM_DEVICE_VIRTIO_NET_SERVED_H
#define COSM_DEVICE_VIRTIO_NET_SERVED_H

#include "device/virtio/net.h"

/* What of the pairs is the server's affair. */
#define VIRTIO_NET_SERVED_FEATURES                                               \
    (VIRTIO_NET_F_CSUM | VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4 |     \
     VIRTIO_NET_F_GUEST_TSO6 | VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6 | \
     VIRTIO_NET_F_MRG_RXBUF)

/* For virtio_net_init. */
void virtio_net_served_init(struct virtio_net *net);

/* Hands what is in a queue of a pair on to the server; true: there is more. */
bool virtio_net_serve(struct virtio_net *net, u32 queue);

/* net.c: there is somebody at the other end, and the cable is plugged. */
bool virtio_net_is_up_locked(const struct virtio_net *net);

#endif
