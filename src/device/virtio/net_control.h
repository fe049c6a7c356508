/* SPDX-License-Identifier: BSD-2-Clause */
/* The control queue of a virtio-net device, and the configuration space that it changes. */
#ifndef COSM_DEVICE_VIRTIO_NET_CONTROL_H
#define COSM_DEVICE_VIRTIO_NET_CONTROL_H

#include "device/virtio/net.h"

/* Offsets in the configuration space (5.1.4). */
enum { NET_CONFIG_MAC = 0, NET_CONFIG_STATUS = 6, NET_CONFIG_PAIRS = 8, NET_CONFIG_MTU = 10 };
enum { NET_STATUS_LINK_UP = 1, NET_STATUS_ANNOUNCE = 2 };

/* Does what the driver asks for; true: there is more. */
bool virtio_net_control(struct virtio_net *net, u32 queue);

#endif
