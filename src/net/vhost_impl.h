/* SPDX-License-Identifier: BSD-2-Clause */
/* A vhost-user back end as its parts know it: vhost.c, vhost_talk.c. */
#ifndef COSM_NET_VHOST_IMPL_H
#define COSM_NET_VHOST_IMPL_H

#include "net/announcer.h"
#include "net/vhost.h"
#include "net/vhost_ring.h"
#include "net/vhost_wire.h"
#include "port/lock.h"

struct vhost_queue {
    struct vhost *vhost;
    u32 index;
    int kick, call;
    struct loop_fd *handler; /* of call */
    struct vhost_ring ring;
};

struct vhost {
    struct virtq_server server;
    struct virtq_client client;
    struct loop *loop;
    const struct log *log;
    char path[VHOST_PATH_MAX];
    const struct gmem *gmem;
    int memory_fd, rings_fd, error;
    u8 *rings; /* of all queues, one behind the other */
    u32 queues;
    struct loop_fd *error_handler;
    struct timer_port again;
    struct announcer announcer;
    struct attendant *attendant; /* which connects; NULL: we do */
    u32 maker;

    struct lock lock; /* of what follows, and of the rings */
    struct vhost_wire wire;
    struct loop_fd *handler; /* of wire.fd */
    bool up;                 /* connected, and nothing wrong with it yet */
    bool cut;
    bool told; /* that a connection was lost; again if the next one was good for a while */
    u64 since_ns;
    u64 protocol; /* features of the protocol that both have */
    bool started;
    u64 features; /* that the driver has accepted */
    u32 running;  /* queues that it has set up, a bit each */
    u32 enabled;  /* of the first so many */
    struct vhost_queue queue[VHOST_QUEUES_MAX];
};

/* Learns what the other process can do: all that the device was promised. */
MUST_CHECK int vhost_agree(struct vhost *vhost, u64 *features, struct err *err);

/* Hands memory and queues over that the driver has set up. */
MUST_CHECK int vhost_start_locked(struct vhost *vhost, struct err *err);

/* Says of a queue whether it is in use. */
MUST_CHECK int vhost_enable_locked(struct vhost *vhost, u32 queue, struct err *err);

/* Rings: adds one to an eventfd. */
void vhost_tell(int event);

#endif
