/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver's side of a split virtqueue in memory that another process writes to, too. */
#include "net/vhost_ring.h"

#include "base/assert.h"

#include <string.h>

enum { DESC_SIZE = 16, DESC_NEXT = 1, DESC_WRITE = 2, USED_NO_NOTIFY = 1 };
#define MASK (VHOST_RING_ENTRIES - 1)

_Static_assert(VHOST_RING_AVAIL + 6 + 2 * VHOST_RING_ENTRIES <= VHOST_RING_USED, "parts apart");
_Static_assert(VHOST_RING_USED + 6 + 8 * VHOST_RING_ENTRIES <= VHOST_RING_BYTES, "parts apart");
_Static_assert((VHOST_RING_ENTRIES & MASK) == 0, "a power of two");

static void store16(u8 *at, u16 value)
{
    u8 raw[2];

    le16_store(raw, value);
    memcpy(&value, raw, sizeof(value));
    __atomic_store_n((u16 *)(void *)at, value, __ATOMIC_RELEASE);
}

static u16 load16(const u8 *at)
{
    u16 value = __atomic_load_n((const u16 *)(const void *)at, __ATOMIC_ACQUIRE);
    u8 raw[2];

    memcpy(raw, &value, sizeof(value));
    return le16_load(raw);
}

void vhost_ring_init(struct vhost_ring *ring, u8 *memory)
{
    memset(ring, 0, sizeof(*ring));
    memset(memory, 0, VHOST_RING_BYTES);
    ring->memory = memory;
    ring->free_count = VHOST_RING_ENTRIES;
    for (u32 i = 0; i < VHOST_RING_ENTRIES; i++)
        ring->slot[i].next = (u16)(i + 1);
}

/* The descriptors of a chain as the other side reads them, and its place among the available. */
static void offer(struct vhost_ring *ring, u16 head)
{
    u16 i = head;

    for (;;) {
        const struct vhost_slot *s = &ring->slot[i];
        u8 *raw = ring->memory + i * DESC_SIZE;

        le64_store(raw, s->seg.gpa);
        le32_store(raw + 8, s->seg.len);
        le16_store(raw + 12, (u16)((s->linked ? DESC_NEXT : 0) | (s->writable ? DESC_WRITE : 0)));
        le16_store(raw + 14, s->linked ? s->next : 0);
        if (!s->linked)
            break;
        i = s->next;
    }
    store16(ring->memory + VHOST_RING_AVAIL + 4 + 2 * (ring->avail & MASK), head);
    store16(ring->memory + VHOST_RING_AVAIL + 2, ++ring->avail);
}

void vhost_ring_rewind(struct vhost_ring *ring)
{
    memset(ring->memory, 0, VHOST_RING_BYTES);
    ring->avail = ring->used = 0;
    for (u32 i = 0; i < VHOST_RING_ENTRIES; i++) {
        if (ring->slot[i].out)
            offer(ring, (u16)i);
    }
}

bool vhost_ring_put(struct vhost_ring *ring, const struct virtq_buffers *buffers)
{
    u16 head = ring->free_first;
    struct vhost_slot *s = NULL;
    u32 room = 0;

    ASSERT(buffers->count);
    if (buffers->count > ring->free_count)
        return false;
    for (u32 i = 0; i < buffers->count; i++) {
        s = &ring->slot[ring->free_first];
        s->seg = buffers->seg[i];
        s->writable = i >= buffers->readable;
        s->linked = i + 1 < buffers->count;
        room += s->writable ? s->seg.len : 0;
        ring->free_first = s->next;
    }
    ring->free_count = (u16)(ring->free_count - buffers->count);
    ring->slot[head].out = true;
    ring->slot[head].room = room;
    ring->slot[head].cookie = buffers->cookie;
    offer(ring, head);
    return true;
}

bool vhost_ring_wants_kick(const struct vhost_ring *ring)
{
    /* The available index must be visible before we look whether anybody waits for it. */
    atomic_thread_fence(memory_order_seq_cst);
    return !(load16(ring->memory + VHOST_RING_USED) & USED_NO_NOTIFY);
}

/* The chain's descriptors are free; what was written of them is told. */
static void take_back(struct vhost_ring *ring, u16 head, const struct gmem *gmem, u32 written)
{
    u16 i = head, count = 1;

    for (;; count++) {
        const struct vhost_slot *s = &ring->slot[i];
        u32 n = written < s->seg.len ? written : s->seg.len;

        if (s->writable && n && gmem->written)
            gmem->written(gmem->ctx, s->seg.gpa, n);
        if (s->writable)
            written -= n;
        if (!s->linked)
            break;
        i = s->next;
    }
    ring->slot[head].out = false;
    ring->slot[i].next = ring->free_first;
    ring->free_first = head;
    ring->free_count = (u16)(ring->free_count + count);
}

bool vhost_ring_take(struct vhost_ring *ring, const struct gmem *gmem,
                     struct virtq_returned *returned, const char **why)
{
    u16 waiting = (u16)(load16(ring->memory + VHOST_RING_USED + 2) - ring->used);
    struct vhost_slot *head;
    u8 raw[8];
    u32 id;

    *why = NULL;
    if (!waiting)
        return false;
    *why = "its used index jumps";
    if (waiting > VHOST_RING_ENTRIES)
        return false;
    memcpy(raw, ring->memory + VHOST_RING_USED + 4 + 8 * (ring->used & MASK), sizeof(raw));
    id = le32_load(raw);
    *why = "it gives back what it does not have";
    if (id >= VHOST_RING_ENTRIES || !ring->slot[id].out)
        return false;
    head = &ring->slot[id];
    returned->cookie = head->cookie;
    returned->written = le32_load(raw + 4);
    *why = "it has written more than there was room for";
    if (!head->room)
        returned->written = 0; /* some say there how much they have read */
    if (returned->written > head->room)
        return false;
    *why = NULL;
    ring->used++;
    take_back(ring, (u16)id, gmem, returned->written);
    return true;
}

bool vhost_ring_revoke(struct vhost_ring *ring, struct virtq_returned *returned)
{
    static const struct gmem nobody;

    for (u32 i = 0; i < VHOST_RING_ENTRIES; i++) {
        if (!ring->slot[i].out)
            continue;
        *returned = (struct virtq_returned){ring->slot[i].cookie, 0};
        take_back(ring, (u16)i, &nobody, 0);
        return true;
    }
    return false;
}
