/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the clusters of a qcow2 disk are: L1 and L2 tables. */
#include "block/qcow2_impl.h"

#include "base/assert.h"
#include "base/checked.h"
#include "base/endian.h"

#include <errno.h>
#include <string.h>

static u32 l1_shift(const struct qcow2 *q)
{
    return q->h.cluster_bits + log2_floor(q->l2_entries);
}

static u32 l2_index(const struct qcow2 *q, u64 at)
{
    return (u32)(at >> q->h.cluster_bits) & (q->l2_entries - 1);
}

u64 qcow2_l2_entry(const struct qcow2 *q, const struct qcow2_meta *l2, u64 at)
{
    return be64_load(l2->bytes + (size_t)l2_index(q, at) * q->l2_entry_size);
}

void qcow2_l2_set(struct qcow2 *q, struct qcow2_meta *l2, u64 at, u64 entry)
{
    u32 offset = l2_index(q, at) * q->l2_entry_size;

    ASSERT(q->l2_entry_size == 8); /* subclusters are only read */
    be64_store(l2->bytes + offset, entry);
    qcow2_cache_soil(&q->l2, l2, offset, 8);
}

void qcow2_packed_range(const struct qcow2 *q, u64 entry, u64 *at, u64 *len)
{
    u32 bits = 62 - (q->h.cluster_bits - 8);
    u64 sectors;

    *at = entry & (BIT(bits) - 1);
    sectors = (entry >> bits & (BIT(62 - bits) - 1)) + 1;
    *len = sectors * QCOW2_SECTOR - (*at & (QCOW2_SECTOR - 1));
}

/* One cluster, or a piece of it that is alike, from offset in on. */
struct piece {
    enum qcow2_kind kind;
    u64 host; /* of the piece's first byte, 0: none */
    u64 len;
};

/* Of an entry with subclusters: 32 bits say which are allocated, 32 which are zeroes. */
static int piece_of_subcluster(struct qcow2 *q, u64 host, u64 bitmap, u64 in, struct piece *p)
{
    u32 size = q->cluster_size / 32, i = (u32)(in / size);
    bool data = bitmap >> i & 1, zero = bitmap >> (32 + i) & 1;

    if ((data && zero) || (data && !host))
        return qcow2_damaged(q, "a subcluster is both data and zeroes, or nowhere");
    p->kind = zero ? QCOW2_IS_ZERO : data ? QCOW2_DATA : QCOW2_ABSENT;
    p->host = host ? host + in : 0;
    p->len = size - in % size;
    return 0;
}

static int piece_of(struct qcow2 *q, const u8 *raw, u64 in, struct piece *p)
{
    u64 entry = be64_load(raw), host = entry & QCOW2_OFFSET;

    p->len = q->cluster_size - in;
    if (entry & QCOW2_COMPRESSED) {
        p->kind = QCOW2_PACKED;
        p->host = 0;
        return 0;
    }
    if (qcow2_in_cluster(q, host) || host > QCOW2_FILE_MAX - q->cluster_size)
        return qcow2_damaged(q, "a cluster of data is said to be at 0x%llx",
                             (unsigned long long)host);
    if (q->h.incompatible & QCOW2_EXTENDED_L2)
        return piece_of_subcluster(q, host, be64_load(raw + 8), in, p);
    p->kind = entry & QCOW2_ZERO && q->h.version == 3 ? QCOW2_IS_ZERO
              : host                                  ? QCOW2_DATA
                                                      : QCOW2_ABSENT;
    p->host = host ? host + in : 0;
    return 0;
}

/* The L2 table of at, or NULL if there is none. */
static int l2_get(struct qcow2 *q, u64 at, struct qcow2_meta **l2)
{
    u64 i = at >> l1_shift(q), l2_at;

    *l2 = NULL;
    if (i >= q->l1.count)
        return 0;
    l2_at = q->l1.entry[i] & QCOW2_OFFSET;
    if (!l2_at)
        return 0;
    if (qcow2_in_cluster(q, l2_at) || l2_at > QCOW2_FILE_MAX - q->cluster_size)
        return qcow2_damaged(q, "an L2 table is said to be at 0x%llx", (unsigned long long)l2_at);
    return qcow2_cache_get(q, &q->l2, l2_at, l2);
}

bool qcow2_map_is_cached(struct qcow2 *q, u64 at)
{
    u64 i = at >> l1_shift(q), l2_at = i < q->l1.count ? q->l1.entry[i] & QCOW2_OFFSET : 0;

    return !l2_at || qcow2_cache_has(&q->l2, l2_at);
}

int qcow2_map(struct qcow2 *q, u64 at, u64 max, struct qcow2_run *run)
{
    u64 end = ((at >> l1_shift(q)) + 1) << l1_shift(q); /* of what the L2 table covers */
    struct qcow2_meta *l2;
    struct piece first, next;
    int ret = l2_get(q, at, &l2);

    if (ret)
        return ret;
    max = end - at < max ? end - at : max;
    *run = (struct qcow2_run){.kind = QCOW2_ABSENT, .len = max};
    if (!l2)
        return 0;
    run->entry = qcow2_l2_entry(q, l2, at);
    run->copied = run->entry & QCOW2_COPIED;
    ret = piece_of(q, l2->bytes + (size_t)l2_index(q, at) * q->l2_entry_size,
                   qcow2_in_cluster(q, at), &first);
    if (ret)
        return ret;
    run->kind = first.kind;
    run->host = first.host;
    run->len = first.len;
    while (run->len < max && run->kind != QCOW2_PACKED) {
        const u8 *raw = l2->bytes + (size_t)l2_index(q, at + run->len) * q->l2_entry_size;

        if (piece_of(q, raw, qcow2_in_cluster(q, at + run->len), &next) ||
            next.kind != first.kind || !(be64_load(raw) & QCOW2_COPIED) != !run->copied ||
            (next.kind == QCOW2_DATA && next.host != first.host + run->len))
            break;
        run->len += next.len;
    }
    run->len = run->len < max ? run->len : max;
    return 0;
}

static int l2_make(struct qcow2 *q, u64 l1_index, u64 old, struct qcow2_meta **l2)
{
    struct qcow2_meta *from;
    u64 cluster, got, at;
    int ret = qcow2_allocate(q, 1, &cluster, &got);

    if (ret)
        return ret;
    at = cluster << q->h.cluster_bits;
    ret = qcow2_cache_new(q, &q->l2, at, l2);
    if (!ret && old) {
        ret = qcow2_cache_get(q, &q->l2, old, &from);
        if (!ret)
            memcpy((*l2)->bytes, from->bytes, q->cluster_size);
    }
    if (!ret)
        ret = qcow2_set_add(&q->meta, cluster);
    if (ret) {
        qcow2_cache_forget(&q->l2, at);
        qcow2_unallocate(q, cluster, 1);
        return ret;
    }
    qcow2_table_set(&q->l1, (u32)l1_index, at | QCOW2_COPIED);
    if (!old)
        return 0;
    qcow2_set_remove(&q->meta, old >> q->h.cluster_bits);
    return qcow2_free_later(q, old >> q->h.cluster_bits);
}

int qcow2_l2_for_write(struct qcow2 *q, u64 at, struct qcow2_meta **l2)
{
    u64 i = at >> l1_shift(q);
    int ret = l2_get(q, at, l2);

    if (ret)
        return ret;
    ASSERT(i < q->l1.count); /* the header's check, and resize, see to that */
    if (*l2 && q->l1.entry[i] & QCOW2_COPIED)
        return 0;
    return l2_make(q, i, q->l1.entry[i] & QCOW2_OFFSET, l2);
}

int qcow2_free_entry(struct qcow2 *q, u64 entry)
{
    u64 at = entry & QCOW2_OFFSET, len = 1, first;

    if (entry & QCOW2_COMPRESSED)
        qcow2_packed_range(q, entry, &at, &len);
    if (!at)
        return 0;
    first = at >> q->h.cluster_bits;
    for (u64 c = first; c <= (at + len - 1) >> q->h.cluster_bits; c++) {
        int ret = qcow2_free_later(q, c);

        if (ret)
            return ret;
    }
    return 0;
}
