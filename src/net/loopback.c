/* SPDX-License-Identifier: BSD-2-Clause */
/* A network of one: each frame comes back to its sender, from within send. */
#include "net/loopback.h"

static bool loopback_send(void *ctx, const struct net_frame *frame)
{
    struct loopback *loopback = ctx;

    if (loopback->device.receive && !loopback->device.receive(loopback->device.ctx, frame))
        loopback->dropped++;
    return true;
}

static void loopback_attach(void *ctx, const struct net_device *device)
{
    struct loopback *loopback = ctx;

    loopback->device = *device;
}

void loopback_init(struct loopback *loopback)
{
    *loopback = (struct loopback){.net = {.send = loopback_send,
                                          .attach = loopback_attach,
                                          .ctx = loopback,
                                          .can = NET_CAN_CSUM | NET_CAN_TSO}};
}
