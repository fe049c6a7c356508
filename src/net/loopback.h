/* SPDX-License-Identifier: BSD-2-Clause */
/* A network of one: each frame comes back to its sender. */
#ifndef COSM_NET_LOOPBACK_H
#define COSM_NET_LOOPBACK_H

#include "port/net.h"

struct loopback {
    struct net net; /* hand &net to the device */
    struct net_device device;
    u64 dropped; /* frames that the device had no room for */
};

void loopback_init(struct loopback *loopback);

#endif
