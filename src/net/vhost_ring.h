/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver's side of a split virtqueue (VIRTIO 1.2, 2.7) in memory that another process writes
 * to, too. What has to be right is kept apart from that memory and written there, never read back;
 * the used ring is all that is read, and each entry is checked. One thread at a time.
 */
#ifndef COSM_NET_VHOST_RING_H
#define COSM_NET_VHOST_RING_H

#include "port/gmem.h"
#include "port/virtq.h"

#define VHOST_RING_ENTRIES 1024 /* a chain of VIRTQ_SEG_MAX fits several times */
/* Where the parts lie in the ring's memory. */
#define VHOST_RING_AVAIL (VHOST_RING_ENTRIES * 16)
#define VHOST_RING_USED  (VHOST_RING_AVAIL + 4096)
#define VHOST_RING_BYTES (VHOST_RING_USED + 12288)

/* What is known of a descriptor: those of a chain are linked, its first one is its head. */
struct vhost_slot {
    struct virtq_seg seg;
    u16 next;
    bool linked, writable;
    /* Of a head. */
    bool out;
    u32 room; /* bytes that may be written */
    u64 cookie;
};

struct vhost_ring {
    u8 *memory; /* VHOST_RING_BYTES, shared, aligned to a page */
    u16 free_first, free_count;
    u16 avail, used; /* free-running, as in the rings */
    struct vhost_slot slot[VHOST_RING_ENTRIES];
};

/* Empty, with nothing out. */
void vhost_ring_init(struct vhost_ring *ring, u8 *memory);

/* Another process begins with the ring: what is out is offered to it anew, from index 0. */
void vhost_ring_rewind(struct vhost_ring *ring);

/* False: no room. */
MUST_CHECK bool vhost_ring_put(struct vhost_ring *ring, const struct virtq_buffers *buffers);

/* Does the other side want to be told of what was put? */
bool vhost_ring_wants_kick(const struct vhost_ring *ring);

/* Takes one that is used and tells gmem what was written. NULL in *why: there is none; else what is
 * wrong with the ring, a phrase: "its used index jumps". */
MUST_CHECK bool vhost_ring_take(struct vhost_ring *ring, const struct gmem *gmem,
                                struct virtq_returned *returned, const char **why);

/* Takes one that is out though it is not used, until there is none. */
MUST_CHECK bool vhost_ring_revoke(struct vhost_ring *ring, struct virtq_returned *returned);

#endif
