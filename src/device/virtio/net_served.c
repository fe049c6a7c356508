/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio-net device's pairs of queues in the hands of a server: chains are checked as for any
 * device, go to the server as they are, and come back used. Control and configuration stay here.
 */
#include "device/virtio/net_served.h"

static u64 token_pack(struct virtq_token token)
{
    return (u64)token.generation << 32 | (u32)token.slots << 16 | token.id;
}

static struct virtq_token token_unpack(u64 cookie)
{
    return (struct virtq_token){
        .id = (u16)cookie, .slots = (u16)(cookie >> 16), .generation = (u32)(cookie >> 32)};
}

static void start_locked(struct virtio_net *net)
{
    struct virtio_dev *dev = &net->dev;
    u32 queues = 0;

    for (u32 i = 0; i < 2 * net->pairs; i++)
        queues |= dev->queue[i].ready ? 1u << i : 0;
    net->server->start(net->server->ctx,
                       VIRTIO_F_VERSION_1 | (dev->accepted & VIRTIO_NET_SERVED_FEATURES), queues);
}

/* False: the queue is empty, or what is in it has to wait. */
static bool chain_put_locked(struct virtio_net *net, u32 queue, bool *put)
{
    struct virtio_dev *dev = &net->dev;
    struct virtq_chain *chain = &net->rx;
    struct virtq_buffers buffers;
    bool sends = queue % 2, up = virtio_net_is_up_locked(net);

    if ((!up && !sends) || !virtio_pop_locked(dev, queue, chain))
        return false;
    buffers =
        (struct virtq_buffers){chain->seg, chain->count, chain->readable, token_pack(chain->token)};
    switch (up ? net->server->put(net->server->ctx, queue, &buffers) : VIRTQ_PUT_AWAY) {
    case VIRTQ_PUT_OK:
        *put = true;
        return true;
    case VIRTQ_PUT_AWAY:
        if (sends) { /* into nothing, as without a cable */
            virtio_push_locked(dev, queue, chain->token, 0);
            return true;
        }
        virtq_unpop(&dev->queue[queue], chain->token);
        return false;
    case VIRTQ_PUT_FULL:
        virtq_unpop(&dev->queue[queue], chain->token);
        return false;
    default:
        virtio_fail_locked(dev, "a descriptor points to what the back end cannot reach");
        return false;
    }
}

bool virtio_net_serve(struct virtio_net *net, u32 queue)
{
    struct virtio_dev *dev = &net->dev;
    u32 budget = VIRTIO_BUDGET;
    bool put = false;

    lock_acquire(&dev->lock);
    if (virtio_is_running_locked(dev) && dev->queue[queue].ready) {
        start_locked(net);
        while (budget && chain_put_locked(net, queue, &put))
            budget--;
        if (put)
            net->server->kick(net->server->ctx, queue);
        virtio_signal_locked(dev, queue);
    }
    lock_release(&dev->lock);
    return !budget;
}

static void returned(void *ctx, u32 queue, const struct virtq_returned *list, u32 count)
{
    struct virtio_net *net = ctx;
    struct virtio_dev *dev = &net->dev;

    lock_acquire(&dev->lock);
    for (u32 i = 0; i < count; i++)
        virtio_push_locked(dev, queue, token_unpack(list[i].cookie), list[i].written);
    virtio_signal_locked(dev, queue);
    lock_release(&dev->lock);
    virtio_net_serve(net, queue); /* what had to wait; the rest is for the next time */
}

static void link_changed(void *ctx, bool up)
{
    struct virtio_net *net = ctx;

    virtio_net_set_link(net, up);
    for (u32 i = 0; up && i < 2 * net->pairs; i++)
        virtio_net_serve(net, i);
}

static void announce(void *ctx)
{
    virtio_net_announce(ctx);
}

void virtio_net_served_init(struct virtio_net *net)
{
    net->server->attach(net->server->ctx,
                        &(struct virtq_client){returned, link_changed, announce, net});
}
