/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtqueues that somebody else serves: a device hands the buffers of its driver on as they are,
 * by their guest addresses, and gets them back used. Who serves them reaches guest memory itself.
 */
#ifndef COSM_PORT_VIRTQ_H
#define COSM_PORT_VIRTQ_H

#include "base/types.h"

/* A piece of guest memory that was wholly RAM (and writable, if for writing) when it was popped. */
struct virtq_seg {
    gpa_t gpa;
    u32 len; /* bytes, not 0 */
};

/* A chain of buffers: the first readable segments are the driver's data, the rest is for answers.
 */
struct virtq_buffers {
    const struct virtq_seg *seg;
    u32 count; /* 1..VIRTQ_SEG_MAX */
    u32 readable;
    u64 cookie; /* comes back with it */
};

struct virtq_returned {
    u64 cookie;
    u32 written; /* bytes of the part for answers, from its start; never more than it has */
};

/* The device's end, for the server to call with no lock held, on the loop. */
struct virtq_client {
    /* Buffers come back in this order; there may be room for others. */
    void (*returned)(void *ctx, u32 queue, const struct virtq_returned *returned, u32 count);
    void (*link)(void *ctx, bool up); /* somebody serves, or nobody */
    void (*announce)(void *ctx);      /* who is at the other end may not know where the guest is */
    void *ctx;
};

enum virtq_put {
    VIRTQ_PUT_OK,
    VIRTQ_PUT_FULL, /* returned follows */
    VIRTQ_PUT_AWAY, /* nobody serves: link follows */
    VIRTQ_PUT_BAD,  /* it lies in memory that the server cannot reach */
};

/*
 * The server's end. All but attach may be called with the device's lock held and call nobody back;
 * start, stop and enable may take as long as the server's patience with a process that hangs.
 */
struct virtq_server {
    void (*attach)(void *ctx, const struct virtq_client *client);
    /* The driver has accepted features and set these queues (a bit each) up; again is nothing. */
    void (*start)(void *ctx, u64 features, u32 queues);
    /* Afterwards nobody touches buffers that were put: they do not come back. Again is nothing. */
    void (*stop)(void *ctx);
    enum virtq_put (*put)(void *ctx, u32 queue, const struct virtq_buffers *buffers);
    /* Buffers were put. */
    void (*kick)(void *ctx, u32 queue);
    /* The first count queues are in use, others not. */
    void (*enable)(void *ctx, u32 count);
    void *ctx;
    u64 features; /* of the device, as the server has them */
};

#endif
