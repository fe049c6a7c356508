/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtio block device (VIRTIO 1.2, 5.2) over an asynchronous back end (port/blk.h). */
#ifndef COSM_DEVICE_VIRTIO_BLK_H
#define COSM_DEVICE_VIRTIO_BLK_H

#include "device/virtio/virtio.h"
#include "port/blk.h"

#ifndef VIRTIO_BLK_SLOTS
#define VIRTIO_BLK_SLOTS 32 /* requests in flight */
#endif
#define VIRTIO_BLK_SERIAL_SIZE 20
#define VIRTIO_BLK_CONFIG_SIZE 60
#define VIRTIO_BLK_RANGES_MAX  16 /* ranges in one DISCARD or WRITE_ZEROES */
#define VIRTIO_BLK_QUEUES_MAX  16

struct virtio_blk_range {
    u64 offset, len; /* bytes */
};

struct virtio_blk;

enum virtio_blk_state {
    VIRTIO_BLK_FREE,
    VIRTIO_BLK_WAITING, /* to be handed to the back end */
    VIRTIO_BLK_FLYING,  /* the back end's */
};

/* A request in flight. Its blk_req is the back end's until done. */
struct virtio_blk_slot {
    struct blk_req req;
    struct virtio_blk *owner;
    u32 queue; /* where it came from */
    struct virtq_token token;
    struct virtq_seg seg[BLK_IOV_MAX]; /* guest addresses of req.iov, to tell of what was read */
    gpa_t status;                      /* where the status byte goes */
    u32 written;                       /* bytes that the driver is told of, status included */
    struct virtio_blk_range range[VIRTIO_BLK_RANGES_MAX];
    u32 range_count, range_next;
    bool flush_after; /* write through: the driver knows of no FLUSH */
    enum virtio_blk_state state;
};

struct virtio_blk {
    struct virtio_dev dev;
    const struct blk *blk;
    char serial[VIRTIO_BLK_SERIAL_SIZE];
    u8 config[VIRTIO_BLK_CONFIG_SIZE];
    u64 size;                 /* bytes, as the driver is told */
    u32 turn;                 /* the queue to look at first */
    bool pumping, pump_again; /* one thread at a time takes from the queue, in order */
    bool draining;
    _Atomic u32 flying;       /* requests that the back end has, or whose done still runs */
    struct virtq_chain chain; /* of the request being parsed */
    struct virtio_blk_slot slot[VIRTIO_BLK_SLOTS];
};

struct virtio_blk_config {
    const struct blk *blk; /* outlives the device */
    const char *serial;    /* at most 20 bytes are shown; NULL: none */
    u32 queues;            /* 1..VIRTIO_BLK_QUEUES_MAX; 0: 1 */
};

/* The back end completes what it was given by the time device_fini of the transport returns. */
void virtio_blk_init(struct virtio_blk *blk, const struct virtio_blk_config *config);

/* The back end has become larger: the driver hears of it. No request goes to it meanwhile. */
void virtio_blk_resized(struct virtio_blk *blk);

/* For transports: &blk->dev. */
static inline struct virtio_dev *virtio_blk_dev(struct virtio_blk *blk)
{
    return &blk->dev;
}

#endif
