/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames that wait, in order. */
#include "net/queue.h"

#include <stdlib.h>
#include <string.h>

void net_queue_init(struct net_queue *queue)
{
    *queue = (struct net_queue){.end = &queue->first};
}

void net_queue_fini(struct net_queue *queue)
{
    while (queue->first)
        net_queue_drop(queue);
}

struct net_queued *net_queue_add(struct net_queue *queue, const struct net_offload *offload,
                                 const u8 *bytes, size_t len)
{
    struct net_queued *q = malloc(sizeof(*q) + len);

    if (!q)
        return NULL;
    *q = (struct net_queued){.offload = *offload, .len = (u32)len};
    memcpy(q->bytes, bytes, len);
    *queue->end = q;
    queue->end = &q->next;
    queue->bytes += len;
    return q;
}

struct net_queued *net_queue_first(const struct net_queue *queue)
{
    return queue->first;
}

void net_queue_drop(struct net_queue *queue)
{
    struct net_queued *q = queue->first;

    if (!q)
        return;
    queue->first = q->next;
    if (!queue->first)
        queue->end = &queue->first;
    queue->bytes -= q->len;
    free(q);
}
