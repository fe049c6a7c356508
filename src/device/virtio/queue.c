/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtqueues, the device's side: see queue.h. Layouts: VIRTIO 1.2, 2.7 (split) and 2.8 (packed). */
#include "device/virtio/queue.h"

#include "base/mem.h"

enum { DESC_SIZE = 16 };

/* Descriptor flags, both rings (2.7.5, 2.8.1). */
enum {
    DESC_NEXT = 1 << 0,
    DESC_WRITE = 1 << 1,
    DESC_INDIRECT = 1 << 2,
    DESC_AVAIL = 1 << 7, /* packed */
    DESC_USED = 1 << 15, /* packed */
};

enum { AVAIL_NO_INTERRUPT = 1 };                                 /* split: avail.flags */
enum { EVENT_ENABLE = 0, EVENT_DISABLE = 1, EVENT_AT_DESC = 2 }; /* packed: event flags */

struct desc {
    gpa_t addr;
    u32 len;
    u16 flags;
    u16 next; /* split */
    u16 id;   /* packed */
};

static enum virtq_pop broken(struct virtq *q, const char *why)
{
    q->broken = why;
    return VIRTQ_BROKEN;
}

void virtq_reset(struct virtq *q)
{
    u16 size_max = q->size_max;
    u32 generation = q->generation + 1;

    memset(q, 0, sizeof(*q));
    q->size_max = size_max;
    q->size = size_max;
    q->generation = generation;
    q->avail_wrap = q->used_wrap = true;
}

static bool area_ok(const struct virtq *q, gpa_t gpa, u64 len, u64 align, bool write)
{
    return gpa % align == 0 && gmem_is_valid(q->gmem, gpa, len, write);
}

static bool areas_ok(const struct virtq *q)
{
    u64 n = q->size;

    if (q->packed)
        return area_ok(q, q->desc, n * DESC_SIZE, 16, true) && area_ok(q, q->driver, 4, 4, false) &&
               area_ok(q, q->device, 4, 4, true);
    return area_ok(q, q->desc, n * DESC_SIZE, 16, false) &&
           area_ok(q, q->driver, 6 + 2 * n, 2, false) && area_ok(q, q->device, 6 + 8 * n, 4, true);
}

bool virtq_start(struct virtq *q, const struct gmem *gmem, u64 features)
{
    q->gmem = gmem;
    q->packed = features & VIRTIO_F_RING_PACKED;
    q->indirect = features & VIRTIO_F_INDIRECT_DESC;
    q->event_idx = features & VIRTIO_F_EVENT_IDX;
    if (!q->size || q->size > q->size_max || (!q->packed && !is_pow2(q->size)) || !areas_ok(q))
        return false;
    q->ready = true;
    return true;
}

static bool desc_load(const struct virtq *q, gpa_t table, u32 index, struct desc *desc)
{
    u8 raw[DESC_SIZE];

    if (!gmem_read(q->gmem, table + (u64)index * DESC_SIZE, raw, sizeof(raw)))
        return false;
    desc->addr = le64_load(raw);
    desc->len = le32_load(raw + 8);
    desc->id = le16_load(raw + 12);
    desc->flags = le16_load(raw + (q->packed ? 14 : 12));
    desc->next = le16_load(raw + 14);
    return true;
}

/* NULL, or why the descriptor cannot be part of the chain. */
static const char *chain_add(const struct virtq *q, struct virtq_chain *chain,
                             const struct desc *desc)
{
    bool write = desc->flags & DESC_WRITE;
    u64 total = (u64)chain->readable_len + chain->writable_len + desc->len;

    if (!desc->len)
        return "a descriptor has length 0";
    if (chain->count == VIRTQ_SEG_MAX)
        return "a descriptor chain is too long";
    if (total > UINT32_MAX)
        return "a descriptor chain covers 4 GiB or more";
    if (!write && chain->count > chain->readable)
        return "a readable descriptor follows a writable one";
    if (!gmem_is_valid(q->gmem, desc->addr, desc->len, write))
        return "a descriptor points to what is not memory";
    chain->seg[chain->count++] = (struct virtq_seg){.gpa = desc->addr, .len = desc->len};
    if (write) {
        chain->writable_len += desc->len;
    } else {
        chain->readable++;
        chain->readable_len += desc->len;
    }
    return NULL;
}

/*
 * An indirect table: split tables are linked by next, packed ones are read from first to last. A
 * split table whose links visit more descriptors than it has must loop.
 */
static const char *chain_add_table(const struct virtq *q, struct virtq_chain *chain,
                                   const struct desc *head)
{
    u32 count = head->len / DESC_SIZE;
    u32 index = 0;
    struct desc desc;
    const char *why;

    if (!q->indirect)
        return "an indirect descriptor was not negotiated";
    if (!count || head->len % DESC_SIZE)
        return "an indirect table has no whole number of descriptors";
    if (!gmem_is_valid(q->gmem, head->addr, head->len, false))
        return "an indirect table is not in memory";
    for (u32 seen = 0; seen < count; seen++) {
        if (!desc_load(q, head->addr, index, &desc))
            return "an indirect table is not in memory";
        if (desc.flags & DESC_INDIRECT)
            return "an indirect table is nested";
        why = chain_add(q, chain, &desc);
        if (why)
            return why;
        if (q->packed) {
            index++;
            continue;
        }
        if (!(desc.flags & DESC_NEXT))
            return NULL;
        if (desc.next >= count)
            return "a descriptor index is out of range";
        index = desc.next;
    }
    return q->packed ? NULL : "a descriptor chain loops";
}

static const char *chain_add_any(const struct virtq *q, struct virtq_chain *chain,
                                 const struct desc *desc)
{
    if (!(desc->flags & DESC_INDIRECT))
        return chain_add(q, chain, desc);
    if (desc->flags & DESC_NEXT)
        return "an indirect descriptor has a successor";
    return chain_add_table(q, chain, desc);
}

/* Split ring. */

static gpa_t split_used_event(const struct virtq *q)
{
    return q->driver + 4 + 2 * (u64)q->size;
}

static gpa_t split_avail_event(const struct virtq *q)
{
    return q->device + 4 + 8 * (u64)q->size;
}

/* How many chains wait. False: the ring lies, or left memory. */
static bool split_waiting(const struct virtq *q, u16 *waiting)
{
    u16 index;

    if (!gmem_load16_acquire(q->gmem, q->driver + 2, &index))
        return false;
    *waiting = (u16)(index - q->avail);
    return *waiting <= q->size;
}

static enum virtq_pop split_peek(struct virtq *q)
{
    u16 waiting;

    if (!split_waiting(q, &waiting))
        return broken(q, "the available index jumps");
    if (waiting || !q->event_idx)
        return waiting ? VIRTQ_GOT : VIRTQ_EMPTY;
    /* Ask for a notification, then look again: the driver may have looked before we asked. */
    if (!gmem_store16_release(q->gmem, split_avail_event(q), q->avail))
        return broken(q, "the used ring is not in memory");
    atomic_thread_fence(memory_order_seq_cst);
    if (!split_waiting(q, &waiting))
        return broken(q, "the available index jumps");
    return waiting ? VIRTQ_GOT : VIRTQ_EMPTY;
}

static enum virtq_pop split_pop(struct virtq *q, struct virtq_chain *chain)
{
    enum virtq_pop peek = split_peek(q);
    struct desc desc;
    const char *why;
    u8 raw[2];
    u16 index;

    if (peek != VIRTQ_GOT)
        return peek;
    if (!gmem_read(q->gmem, q->driver + 4 + 2 * (u64)(q->avail % q->size), raw, sizeof(raw)))
        return broken(q, "the available ring is not in memory");
    index = le16_load(raw);
    chain->token.id = index;
    chain->token.slots = 1;
    for (u32 seen = 0; seen < q->size; seen++) {
        if (index >= q->size)
            return broken(q, "a descriptor index is out of range");
        if (!desc_load(q, q->desc, index, &desc))
            return broken(q, "the descriptor table is not in memory");
        why = chain_add_any(q, chain, &desc);
        if (why)
            return broken(q, why);
        if (!(desc.flags & DESC_NEXT)) {
            q->avail++;
            return VIRTQ_GOT;
        }
        index = desc.next;
    }
    return broken(q, "a descriptor chain loops");
}

static bool split_push(struct virtq *q, const struct virtq_used *used, u32 count)
{
    for (u32 i = 0; i < count; i++) {
        u8 raw[8];

        le32_store(raw, used[i].token.id);
        le32_store(raw + 4, used[i].written);
        if (!gmem_write(q->gmem, q->device + 4 + 8 * (u64)((u16)(q->used + i) % q->size), raw,
                        sizeof(raw)))
            return false;
    }
    q->used = (u16)(q->used + count);
    return gmem_store16_release(q->gmem, q->device + 2, q->used);
}

/* Has the ring, when it moved from old to now, passed the index event? (2.7.10) */
static bool event_passed(u16 event, u16 now, u16 old)
{
    return (u16)(now - event - 1) < (u16)(now - old);
}

static bool split_should_notify(const struct virtq *q, u16 since)
{
    u16 v;

    if (!q->event_idx)
        return !gmem_load16_acquire(q->gmem, q->driver, &v) || !(v & AVAIL_NO_INTERRUPT);
    return !gmem_load16_acquire(q->gmem, split_used_event(q), &v) ||
           event_passed(v, q->used, (u16)(q->used - since));
}

/* Packed ring. Positions run from 0 to size - 1; wrap counters flip at each turn. */

static u16 packed_advance(const struct virtq *q, u16 at, u16 slots, bool *wrap)
{
    u32 next = (u32)at + slots;

    if (next < q->size)
        return (u16)next;
    *wrap = !*wrap;
    return (u16)(next - q->size);
}

/* The flags of the next descriptor tell whether it is ours; only then may the rest be read. */
static enum virtq_pop packed_peek(struct virtq *q)
{
    u16 flags;

    if (!gmem_load16_acquire(q->gmem, q->desc + (u64)q->avail * DESC_SIZE + 14, &flags))
        return broken(q, "the descriptor ring is not in memory");
    if (!!(flags & DESC_AVAIL) == q->avail_wrap && !!(flags & DESC_USED) != q->avail_wrap)
        return VIRTQ_GOT;
    return VIRTQ_EMPTY;
}

static enum virtq_pop packed_pop(struct virtq *q, struct virtq_chain *chain)
{
    enum virtq_pop peek = packed_peek(q);
    u16 at = q->avail;
    struct desc desc;
    const char *why;

    if (peek != VIRTQ_GOT)
        return peek;
    for (u32 seen = 0; seen < q->size; seen++) {
        if (!desc_load(q, q->desc, at, &desc))
            return broken(q, "the descriptor ring is not in memory");
        why = chain_add_any(q, chain, &desc);
        if (why)
            return broken(q, why);
        at = (u16)(at + 1 == q->size ? 0 : at + 1);
        if (desc.flags & DESC_NEXT)
            continue;
        chain->token.id = desc.id; /* that of the chain's last descriptor counts (2.8.6) */
        chain->token.slots = (u16)(seen + 1);
        q->avail = packed_advance(q, q->avail, chain->token.slots, &q->avail_wrap);
        return VIRTQ_GOT;
    }
    return broken(q, "a descriptor chain loops");
}

/* The last first: with the flags of the first one the driver sees them all. */
static bool packed_push(struct virtq *q, const struct virtq_used *used, u32 count)
{
    u16 position = q->used;
    bool wrap = q->used_wrap;

    for (u32 i = 0; i < count; i++)
        position = packed_advance(q, position, used[i].token.slots, &wrap);
    q->used = position;
    q->used_wrap = wrap;
    for (u32 i = count; i-- > 0;) {
        u16 slots = used[i].token.slots, flags;
        u8 raw[6];
        gpa_t at;

        if (slots > position) {
            position = (u16)(position + q->size);
            wrap = !wrap;
        }
        position = (u16)(position - slots);
        flags = (u16)((wrap ? DESC_AVAIL | DESC_USED : 0) | (used[i].written ? DESC_WRITE : 0));
        at = q->desc + (u64)position * DESC_SIZE;
        le32_store(raw, used[i].written);
        le16_store(raw + 4, used[i].token.id);
        if (!gmem_write(q->gmem, at + 8, raw, sizeof(raw)) ||
            !gmem_store16_release(q->gmem, at + 14, flags))
            return false;
    }
    return true;
}

static bool packed_should_notify(const struct virtq *q, u16 since)
{
    u16 flags, at, event;

    if (!gmem_load16_acquire(q->gmem, q->driver + 2, &flags) ||
        !gmem_load16_acquire(q->gmem, q->driver, &at))
        return true;
    if ((flags & 3) != EVENT_AT_DESC || !q->event_idx)
        return (flags & 3) != EVENT_DISABLE;
    event = at & 0x7fff;
    if ((at >> 15) != q->used_wrap) /* still in the turn before: count it as negative */
        event = (u16)(event - q->size);
    return event_passed(event, q->used, (u16)(q->used - since));
}

/* Either. */

enum virtq_pop virtq_pop(struct virtq *q, struct virtq_chain *chain)
{
    if (q->broken)
        return VIRTQ_BROKEN;
    if (!q->ready)
        return VIRTQ_EMPTY;
    chain->count = chain->readable = 0;
    chain->readable_len = chain->writable_len = 0;
    chain->token.generation = q->generation;
    return q->packed ? packed_pop(q, chain) : split_pop(q, chain);
}

void virtq_unpop(struct virtq *q, struct virtq_token token)
{
    if (!virtq_is_current(q, token))
        return;
    if (q->packed && token.slots > q->avail) {
        q->avail = (u16)(q->avail + q->size - token.slots);
        q->avail_wrap = !q->avail_wrap;
    } else {
        q->avail = (u16)(q->avail - token.slots);
    }
}

bool virtq_is_current(const struct virtq *q, struct virtq_token token)
{
    return q->ready && !q->broken && token.generation == q->generation;
}

void virtq_push_all(struct virtq *q, const struct virtq_used *used, u32 count)
{
    u32 since = q->used_since;

    for (u32 i = 0; i < count; i++) {
        if (!virtq_is_current(q, used[i].token))
            return;
        since += used[i].token.slots;
    }
    if (!(q->packed ? packed_push(q, used, count) : split_push(q, used, count)))
        q->broken = "the used ring is not in memory";
    q->used_since = since < UINT16_MAX ? (u16)since : UINT16_MAX;
}

void virtq_push(struct virtq *q, struct virtq_token token, u32 written)
{
    struct virtq_used used = {token, written};

    virtq_push_all(q, &used, 1);
}

bool virtq_should_notify(struct virtq *q)
{
    u16 since = q->used_since;

    if (!since || !q->ready)
        return false;
    q->used_since = 0;
    /* Our used entry must be visible before we read what the driver waits for. */
    atomic_thread_fence(memory_order_seq_cst);
    if (q->packed)
        return packed_should_notify(q, since);
    return split_should_notify(q, since);
}

/* Walks seg[first .. last) from byte at on and moves up to len bytes. */
static size_t chain_copy(const struct virtq *q, const struct virtq_seg *seg, u32 count, u32 at,
                         u8 *into, const u8 *from, size_t len)
{
    size_t done = 0;

    for (u32 i = 0; i < count && done < len; i++) {
        u64 n;
        bool ok;

        if (at >= seg[i].len) {
            at -= seg[i].len;
            continue;
        }
        n = seg[i].len - at;
        if (n > len - done)
            n = len - done;
        ok = into ? gmem_read(q->gmem, seg[i].gpa + at, into + done, n)
                  : gmem_write(q->gmem, seg[i].gpa + at, from + done, n);
        if (!ok)
            break; /* cannot be: regions are fixed and the segment was checked */
        done += n;
        at = 0;
    }
    return done;
}

size_t virtq_chain_read(const struct virtq *q, const struct virtq_chain *chain, u32 at, void *buf,
                        size_t len)
{
    return chain_copy(q, chain->seg, chain->readable, at, buf, NULL, len);
}

size_t virtq_chain_write(const struct virtq *q, const struct virtq_chain *chain, u32 at,
                         const void *buf, size_t len)
{
    return chain_copy(q, chain->seg + chain->readable, chain->count - chain->readable, at, NULL,
                      buf, len);
}
