/* SPDX-License-Identifier: BSD-2-Clause */
/* What is said to a vhost-user back end when it comes and when its queues start. */
#include "net/vhost_impl.h"

#include <errno.h>
#include <unistd.h>

/* Where the other process shall think that our rings lie: behind all that a guest can have. */
#define RINGS_GPA (UINT64_C(1) << 46)

static int agree_protocol(struct vhost *v, struct err *err)
{
    u64 pairs = 1, offered = 0;
    int r = vhost_get(&v->wire, VHOST_GET_PROTOCOL_FEATURES, &offered, err);

    v->protocol = offered & (VHOST_PROTOCOL_MQ | VHOST_PROTOCOL_REPLY_ACK);
    if (!r)
        r = vhost_set(&v->wire, VHOST_SET_PROTOCOL_FEATURES, v->protocol, err);
    v->wire.acks = v->protocol & VHOST_PROTOCOL_REPLY_ACK;
    if (!r && (v->protocol & VHOST_PROTOCOL_MQ))
        r = vhost_get(&v->wire, VHOST_GET_QUEUE_NUM, &pairs, err);
    if (!r && !pairs)
        r = err_set(err, ENOTSUP, "it serves no queues");
    if (!r && pairs < v->queues / 2)
        r = err_set(err, ENOTSUP, "it serves %llu pairs of queues, not %u; give queues=%llu",
                    (unsigned long long)pairs, v->queues / 2, (unsigned long long)pairs);
    return r;
}

int vhost_agree(struct vhost *v, u64 *features, struct err *err)
{
    int r = vhost_get(&v->wire, VHOST_GET_FEATURES, features, err);

    v->protocol = 0;
    if (!r && !(*features & BIT(32)))
        r = err_set(err, ENOTSUP, "it does not know VIRTIO 1");
    if (!r && (v->server.features & ~*features))
        r = err_set(err, ENOTSUP, "it lacks features 0x%llx of the one before",
                    (unsigned long long)(v->server.features & ~*features));
    if (!r && (*features & VHOST_F_PROTOCOL))
        r = agree_protocol(v, err);
    else if (!r && v->queues > 2)
        r = err_set(err, ENOTSUP, "it serves one pair of queues; give queues=1");
    return r ? r : vhost_order(&v->wire, VHOST_SET_OWNER, err);
}

/* The address of a ring as the other process shall know it: nothing of ours shows. */
static u64 ring_user(u32 queue)
{
    return RINGS_GPA + (u64)queue * VHOST_RING_BYTES;
}

static bool is_enabled(const struct vhost *v, u32 queue)
{
    return queue < v->enabled && !v->cut;
}

int vhost_enable_locked(struct vhost *v, u32 queue, struct err *err)
{
    if (!v->protocol)
        return 0;
    return vhost_set_ring(&v->wire, VHOST_SET_VRING_ENABLE, queue, is_enabled(v, queue), err);
}

static int start_queue_locked(struct vhost *v, u32 i, struct err *err)
{
    const struct vhost_queue *q = &v->queue[i];
    u64 user = ring_user(i);
    int r = vhost_set_ring(&v->wire, VHOST_SET_VRING_NUM, i, VHOST_RING_ENTRIES, err);

    if (!r)
        r = vhost_set_ring(&v->wire, VHOST_SET_VRING_BASE, i, 0, err);
    if (!r)
        r = vhost_set_ring_addresses(&v->wire, i, user, user + VHOST_RING_USED,
                                     user + VHOST_RING_AVAIL, err);
    if (!r)
        r = vhost_set_ring_fd(&v->wire, VHOST_SET_VRING_ERR, i, v->error, err);
    if (!r)
        r = vhost_set_ring_fd(&v->wire, VHOST_SET_VRING_CALL, i, q->call, err);
    if (!r)
        r = vhost_set_ring_fd(&v->wire, VHOST_SET_VRING_KICK, i, q->kick, err);
    return r;
}

void vhost_tell(int event)
{
    const u64 one = 1;

    /* Full: they have not looked yet. */
    if (write(event, &one, sizeof(one)) < 0)
        return;
}

int vhost_start_locked(struct vhost *v, struct err *err)
{
    const struct gmem_region *ram = &v->gmem->region[0];
    const struct vhost_region region[] = {
        {ram->base, ram->size, ram->base, v->memory_fd},
        {RINGS_GPA, (u64)v->queues * VHOST_RING_BYTES, ring_user(0), v->rings_fd},
    };
    u64 features = v->features | (v->protocol ? VHOST_F_PROTOCOL : 0);
    int r = vhost_set(&v->wire, VHOST_SET_FEATURES, features, err);

    if (!r)
        r = vhost_set_memory(&v->wire, region, ARRAY_SIZE(region), err);
    for (u32 i = 0; i < v->queues && !r; i++) {
        if (v->running >> i & 1)
            r = start_queue_locked(v, i, err);
    }
    for (u32 i = 0; i < v->queues && !r; i++) {
        if (!(v->running >> i & 1))
            continue;
        r = vhost_enable_locked(v, i, err);
        vhost_tell(v->queue[i].kick); /* the other process takes it as the queue's start */
    }
    return r;
}
