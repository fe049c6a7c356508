/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames that wait, in order. */
#ifndef COSM_NET_QUEUE_H
#define COSM_NET_QUEUE_H

#include "port/net.h"

struct net_queued {
    struct net_queued *next;
    u64 due_ns; /* for whom time matters */
    struct net_offload offload;
    u32 len;
    u8 bytes[];
};

struct net_queue {
    struct net_queued *first, **end;
    size_t bytes; /* of frames */
};

void net_queue_init(struct net_queue *queue);
void net_queue_fini(struct net_queue *queue);
/* Copies the frame; without memory it is lost, as frames are. Returns it or NULL. */
struct net_queued *net_queue_add(struct net_queue *queue, const struct net_offload *offload,
                                 const u8 *bytes, size_t len);
struct net_queued *net_queue_first(const struct net_queue *queue);
void net_queue_drop(struct net_queue *queue);

#endif
