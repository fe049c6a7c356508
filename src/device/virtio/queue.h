/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device's side of virtqueues: split and packed rings (VIRTIO 1.2, 2.7 and 2.8) behind one API,
 * with indirect descriptors and event index.
 *
 * The rings lie in guest memory and are hostile. Each ring byte is copied once, checked, then used.
 * A chain that breaks the rules marks the queue broken, with the reason; it stays so until reset.
 * The caller serialises all calls on a queue.
 */
#ifndef COSM_DEVICE_VIRTIO_QUEUE_H
#define COSM_DEVICE_VIRTIO_QUEUE_H

#include "port/gmem.h"
#include "port/virtq.h"

#define VIRTQ_SIZE_MAX 256 /* entries, the largest queue a device may offer */
#define VIRTQ_SEG_MAX  256 /* segments in a chain; a longer one breaks the queue */

/* Feature bits that change the rings (VIRTIO 1.2, 6). */
#define VIRTIO_F_INDIRECT_DESC BIT(28)
#define VIRTIO_F_EVENT_IDX     BIT(29)
#define VIRTIO_F_VERSION_1     BIT(32)
#define VIRTIO_F_RING_PACKED   BIT(34)

/* What push needs of a popped chain: asynchronous devices keep it instead of the chain. */
struct virtq_token {
    u16 id;
    u16 slots;      /* ring entries that the chain took (packed) */
    u32 generation; /* of the queue when it was popped */
};

/* A chain of buffers: first the segments that the device reads, then those that it writes. */
struct virtq_chain {
    struct virtq_token token;
    u32 count;    /* of seg */
    u32 readable; /* seg[0 .. readable) is the driver's data, the rest is for the device's */
    u32 readable_len;
    u32 writable_len; /* bytes; the sum of both is below 4 GiB */
    struct virtq_seg seg[VIRTQ_SEG_MAX];
};

/* A chain that goes back, and how many bytes of its writable part, from the start, are written. */
struct virtq_used {
    struct virtq_token token;
    u32 written;
};

struct virtq {
    const struct gmem *gmem;
    u16 size_max; /* entries, at most VIRTQ_SIZE_MAX; 0: the device has no such queue */
    /* Set by the driver before it is ready. */
    u16 size;     /* split: a power of 2 */
    gpa_t desc;   /* descriptor table; packed: descriptor ring */
    gpa_t driver; /* available ring; packed: driver event suppression */
    gpa_t device; /* used ring; packed: device event suppression */
    bool ready;

    bool packed, indirect, event_idx;
    bool avail_wrap, used_wrap; /* packed: wrap counters */
    u16 avail;                  /* split: next index to take, free-running; packed: ring position */
    u16 used;                   /* next to give back, likewise */
    u16 used_since;     /* entries given back since an interrupt was last considered, saturating */
    u32 generation;     /* counts resets: tokens of before are void */
    const char *broken; /* why, or NULL */
};

enum virtq_pop { VIRTQ_EMPTY, VIRTQ_GOT, VIRTQ_BROKEN };

/* Power-on and reset state; size_max stays. */
void virtq_reset(struct virtq *q);

/* Makes q ready with the accepted features. False: the driver's size or addresses are unusable. */
MUST_CHECK bool virtq_start(struct virtq *q, const struct gmem *gmem, u64 features);

/*
 * Takes the next chain. Costs at most VIRTQ_SEG_MAX descriptor reads. On VIRTQ_EMPTY the driver has
 * been asked to notify about the next one.
 */
MUST_CHECK enum virtq_pop virtq_pop(struct virtq *q, struct virtq_chain *chain);

/*
 * Puts back the chain that the last pop returned; nothing was popped or pushed since. Several may
 * be put back, the last first.
 */
void virtq_unpop(struct virtq *q, struct virtq_token token);

/* False: the queue was reset since, or is broken; the chain's memory must not be touched. */
MUST_CHECK bool virtq_is_current(const struct virtq *q, struct virtq_token token);

/* Gives a chain back if it is current; written: bytes of its writable part, from its start. */
void virtq_push(struct virtq *q, struct virtq_token token, u32 written);

/* Gives several back so that the driver sees all or none of them. */
void virtq_push_all(struct virtq *q, const struct virtq_used *used, u32 count);

/* Does the driver want an interrupt for what was pushed since the last call? */
MUST_CHECK bool virtq_should_notify(struct virtq *q);

/*
 * Copy between buf and the readable (writable) part of the chain from byte at on. They return how
 * many bytes lay within the part.
 */
size_t virtq_chain_read(const struct virtq *q, const struct virtq_chain *chain, u32 at, void *buf,
                        size_t len);
size_t virtq_chain_write(const struct virtq *q, const struct virtq_chain *chain, u32 at,
                         const void *buf, size_t len);

#endif
