/* SPDX-License-Identifier: BSD-2-Clause */
/* A network of one: each frame comes back to its sender, from within send. */
#include "net/loopback.h"

static void loopback_send(void *ctx, const u8 *frame, size_t len)
{
    struct loopback *loopback = ctx;

    if (loopback->receive && !loopback->receive(loopback->device, frame, len))
        loopback->dropped++;
}

static void loopback_attach(void *ctx, net_receive_fn receive, void *device)
{
    struct loopback *loopback = ctx;

    loopback->receive = receive;
    loopback->device = device;
}

void loopback_init(struct loopback *loopback)
{
    *loopback = (struct loopback){
        .net = {.send = loopback_send, .attach = loopback_attach, .ctx = loopback}};
}
