/* SPDX-License-Identifier: BSD-2-Clause */
/* Reference counts of a qcow2 image's clusters, and the allocation of clusters by them. */
#include "block/qcow2_impl.h"

#include "base/assert.h"
#include "base/endian.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

u64 qcow2_count_load(const u8 *block, u32 order, u64 i)
{
    u32 bits = 1u << order;

    switch (order) {
    case 3:
        return block[i];
    case 4:
        return be16_load(block + i * 2);
    case 5:
        return be32_load(block + i * 4);
    case 6:
        return be64_load(block + i * 8);
    default: /* less than a byte: the lowest bits are the first */
        return block[i * bits / 8] >> (i * bits % 8) & ((1u << bits) - 1);
    }
}

void qcow2_count_store(u8 *block, u32 order, u64 i, u64 count)
{
    u32 bits = 1u << order, shift, mask;
    u8 *byte;

    switch (order) {
    case 3:
        block[i] = (u8)count;
        return;
    case 4:
        be16_store(block + i * 2, (u16)count);
        return;
    case 5:
        be32_store(block + i * 4, (u32)count);
        return;
    case 6:
        be64_store(block + i * 8, count);
        return;
    default:
        byte = &block[i * bits / 8];
        shift = (u32)(i * bits % 8);
        mask = ((1u << bits) - 1) << shift;
        *byte = (u8)((*byte & ~mask) | (count << shift & mask));
    }
}

/* Counts in a block, a power of two. */
static u32 block_bits(const struct qcow2 *q)
{
    return q->h.cluster_bits + 3 - q->h.refcount_order;
}

static u64 count_max(const struct qcow2 *q)
{
    return q->h.refcount_order == 6 ? UINT64_MAX : BIT(1u << q->h.refcount_order) - 1;
}

/* The block with a cluster's count; NULL: there is none, so the count is 0. */
static int block_get(struct qcow2 *q, u64 cluster, struct qcow2_meta **block)
{
    u64 i = cluster >> block_bits(q), at;

    *block = NULL;
    if (i >= q->reftable.count)
        return 0;
    at = q->reftable.entry[i] & ~UINT64_C(0x1ff);
    if (!at)
        return 0;
    if (qcow2_in_cluster(q, at) || at > QCOW2_FILE_MAX - q->cluster_size)
        return qcow2_damaged(q, "a refcount block is said to be at 0x%llx", (unsigned long long)at);
    return qcow2_cache_get(q, &q->blocks, at, block);
}

static u64 block_index(const struct qcow2 *q, u64 cluster)
{
    return cluster & (BIT(block_bits(q)) - 1);
}

int qcow2_count_get(struct qcow2 *q, u64 cluster, u64 *count)
{
    struct qcow2_meta *block;
    int ret = block_get(q, cluster, &block);

    if (ret)
        return ret;
    *count =
        block ? qcow2_count_load(block->bytes, q->h.refcount_order, block_index(q, cluster)) : 0;
    return 0;
}

static void block_set(struct qcow2 *q, struct qcow2_meta *block, u64 cluster, u64 count)
{
    u64 i = block_index(q, cluster);

    qcow2_count_store(block->bytes, q->h.refcount_order, i, count);
    qcow2_cache_soil(&q->blocks, block, (u32)((i << q->h.refcount_order) / 8),
                     q->h.refcount_order < 3 ? 1 : 1u << (q->h.refcount_order - 3));
}

int qcow2_count_set(struct qcow2 *q, u64 cluster, u64 count)
{
    struct qcow2_meta *block;
    int ret = block_get(q, cluster, &block);

    if (!ret && !block)
        return -ENOSPC;
    if (!ret)
        block_set(q, block, cluster, count);
    return ret;
}

int qcow2_count_add(struct qcow2 *q, u64 cluster, int change)
{
    struct qcow2_meta *block;
    u64 count;
    int ret = block_get(q, cluster, &block);

    if (ret)
        return ret;
    count =
        block ? qcow2_count_load(block->bytes, q->h.refcount_order, block_index(q, cluster)) : 0;
    if (change < 0 && !count)
        return qcow2_damaged(q, "cluster %llu is in use but not counted",
                             (unsigned long long)cluster);
    if (!block || (change > 0 && count == count_max(q)))
        return -ENOSPC;
    block_set(q, block, cluster, change < 0 ? count - 1 : count + 1);
    return 0;
}

struct growth {
    u64 start;            /* the first new cluster, which begins an uncounted block */
    u64 blocks, clusters; /* refcount blocks at start, then clusters of the new table */
    u64 first_block;      /* the index of the first new block */
};

/* How much is needed to count what lies at start, which are the new table and blocks themselves. */
static void growth_plan(const struct qcow2 *q, struct growth *g)
{
    u32 per_table = q->cluster_size / 8;

    g->clusters = q->h.reftable_clusters;
    g->blocks = 1;
    g->first_block = g->start >> block_bits(q);
    for (;;) {
        u64 need = ((g->start + g->clusters + g->blocks - 1) >> block_bits(q)) + 1;

        if (need - g->first_block <= g->blocks && need <= g->clusters * per_table)
            return;
        if (need - g->first_block > g->blocks)
            g->blocks = need - g->first_block;
        if (need > g->clusters * per_table)
            g->clusters = need / per_table + 1 + g->clusters / 2;
    }
}

/* The new blocks, in the cache and in the new table. */
static int growth_blocks(struct qcow2 *q, const struct growth *g, u64 *entry)
{
    for (u64 b = 0; b < g->blocks; b++) {
        struct qcow2_meta *block;
        u64 at = (g->start + b) << q->h.cluster_bits;
        int ret = qcow2_cache_new(q, &q->blocks, at, &block);

        if (!ret)
            ret = qcow2_set_add(&q->meta, g->start + b);
        if (ret)
            return ret;
        entry[g->first_block + b] = at;
        for (u64 c = g->start; c < g->start + g->blocks + g->clusters; c++)
            if (c >> block_bits(q) == g->first_block + b)
                block_set(q, block, c, 1);
    }
    for (u64 c = 0; c < g->clusters; c++) {
        int ret = qcow2_set_add(&q->meta, g->start + g->blocks + c);

        if (ret)
            return ret;
    }
    return 0;
}

/* The new table is not to be, for lack of space: as if it had never been. */
static void growth_undo(struct qcow2 *q, const struct growth *g, struct qcow2_table *old)
{
    for (u64 c = g->start; c < g->start + g->blocks + g->clusters; c++) {
        qcow2_cache_forget(&q->blocks, c << q->h.cluster_bits);
        qcow2_set_remove(&q->meta, c);
    }
    free(q->reftable.entry);
    q->reftable = *old;
    old->entry = NULL;
}

/* The new table and blocks are in memory: brings them to the file. */
static int growth_write(struct qcow2 *q, const struct growth *g)
{
    u64 at = q->h.reftable_at;
    int ret;

    q->h.reftable_at = (g->start + g->blocks) << q->h.cluster_bits;
    ret = qcow2_write_back(q);
    if (!ret)
        ret = node_flush(q->file);
    q->h.reftable_at = at;
    return ret;
}

/* Changes over to the new table: from here on the file may have the old one or the new. */
static int growth_commit(struct qcow2 *q, const struct growth *g)
{
    int ret;

    q->h.reftable_at = (g->start + g->blocks) << q->h.cluster_bits;
    q->h.reftable_clusters = (u32)g->clusters;
    ret = qcow2_header_write(q);
    if (!ret)
        ret = node_flush(q->file);
    if (ret)
        q->corrupt = true; /* so it stays as it is */
    return ret;
}

/* A larger refcount table, far enough to count what lies at start and beyond. */
static int grow_reftable(struct qcow2 *q, u64 start)
{
    u64 old = q->h.reftable_at >> q->h.cluster_bits, old_clusters = q->h.reftable_clusters, *entry;
    struct growth g = {.start = start};
    struct qcow2_table before = q->reftable;
    u32 count;
    int ret = qcow2_write_back(q);

    if (ret)
        return ret;
    growth_plan(q, &g);
    if (g.clusters << q->h.cluster_bits > QCOW2_REFTABLE_MAX)
        return -EFBIG;
    count = (u32)(g.clusters * (q->cluster_size / 8));
    entry = calloc(count, sizeof(*entry));
    if (!entry)
        return -ENOMEM;
    memcpy(entry, q->reftable.entry, q->reftable.count * sizeof(*entry));
    ret = growth_blocks(q, &g, entry);
    q->reftable = (struct qcow2_table){entry, count, 0, count};
    if (!ret)
        ret = growth_write(q, &g);
    if (ret) {
        growth_undo(q, &g, &before);
        return ret;
    }
    free(before.entry);
    ret = growth_commit(q, &g);
    for (u64 c = 0; !ret && c < old_clusters; c++) {
        qcow2_set_remove(&q->meta, old + c);
        ret = qcow2_free_later(q, old + c);
    }
    return ret;
}

/* Makes the block that counts a cluster. It lies at the cluster, if that is the first it counts. */
static int block_make(struct qcow2 *q, u64 cluster)
{
    u64 i = cluster >> block_bits(q);
    struct qcow2_meta *block;
    int ret;

    if (i >= q->reftable.count)
        return grow_reftable(q, i << block_bits(q));
    ret = qcow2_cache_new(q, &q->blocks, cluster << q->h.cluster_bits, &block);
    if (!ret)
        ret = qcow2_set_add(&q->meta, cluster);
    if (ret)
        return ret;
    block_set(q, block, cluster, 1);
    qcow2_table_set(&q->reftable, (u32)i, cluster << q->h.cluster_bits);
    return 0;
}

static bool cluster_is_possible(const struct qcow2 *q, u64 cluster)
{
    return cluster < QCOW2_OFFSET >> q->h.cluster_bits;
}

/* The first cluster from *cluster on that is free. */
static int find_free(struct qcow2 *q, u64 *cluster)
{
    for (u64 c = *cluster;; c++) {
        struct qcow2_meta *block;
        int ret = block_get(q, c, &block);

        if (ret)
            return ret;
        if (!cluster_is_possible(q, c))
            return -EFBIG;
        if (!block && !qcow2_set_has(&q->meta, c)) {
            ret = block_make(q, c);
            if (ret)
                return ret;
            c--; /* look again, it is counted now */
            continue;
        }
        if (block && qcow2_count_load(block->bytes, q->h.refcount_order, block_index(q, c)))
            continue;
        if (qcow2_set_has(&q->meta, c))
            return qcow2_damaged(q, "cluster %llu holds metadata but is not counted",
                                 (unsigned long long)c);
        *cluster = c;
        return 0;
    }
}

int qcow2_allocate(struct qcow2 *q, u64 want, u64 *first, u64 *got)
{
    u64 cluster = q->hint, n = 0;
    int ret = find_free(q, &cluster);

    if (ret)
        return ret;
    *first = cluster;
    while (n < want) {
        struct qcow2_meta *block;

        ret = block_get(q, cluster + n, &block);
        if (ret || !block || !cluster_is_possible(q, cluster + n) ||
            qcow2_count_load(block->bytes, q->h.refcount_order, block_index(q, cluster + n)) ||
            qcow2_set_has(&q->meta, cluster + n))
            break;
        block_set(q, block, cluster + n++, 1);
    }
    if (!n)
        return ret ? ret : -EIO;
    q->hint = cluster + n;
    *got = n;
    return 0;
}

int qcow2_allocate_run(struct qcow2 *q, u64 count, u64 *first)
{
    for (;;) {
        u64 got;
        int ret = qcow2_allocate(q, count, first, &got);

        if (ret || got == count)
            return ret;
        /* Too short: it stays free, and the search goes on behind it. */
        for (u64 c = *first; c < *first + got && !ret; c++)
            ret = qcow2_count_add(q, c, -1);
        if (ret)
            return ret;
    }
}

void qcow2_unallocate(struct qcow2 *q, u64 first, u64 count)
{
    for (u64 c = first; c < first + count; c++)
        if (qcow2_count_add(q, c, -1))
            return; /* leaks */
    if (first < q->hint)
        q->hint = first;
}

int qcow2_free_later(struct qcow2 *q, u64 cluster)
{
    if (q->freed == q->ready + QCOW2_FREES_MAX) {
        int ret = qcow2_write_back(q);

        if (ret)
            return ret;
    }
    if (q->freed % QCOW2_FREES_MAX == 0) {
        u64 *frees = realloc(q->frees, (q->freed + QCOW2_FREES_MAX) * sizeof(*frees));

        if (!frees)
            return -ENOMEM;
        q->frees = frees;
    }
    q->frees[q->freed++] = cluster;
    return 0;
}

int qcow2_apply_frees(struct qcow2 *q)
{
    u32 n = 0;
    int ret = 0;

    if (!q->ready)
        return 0;
    for (; n < q->ready && !ret; n++) {
        u64 cluster = q->frees[n], count = 0;

        ret = qcow2_count_add(q, cluster, -1);
        if (!ret)
            ret = qcow2_count_get(q, cluster, &count);
        if (ret || count)
            continue;
        if (cluster < q->hint)
            q->hint = cluster;
        if (cluster == q->packing >> q->h.cluster_bits)
            q->packing = 0;
        /* Only a hint: the host's file gives back the space. */
        (void)!node_discard(q->file, cluster << q->h.cluster_bits, q->cluster_size);
    }
    memmove(q->frees, q->frees + n, (q->freed - n) * sizeof(*q->frees));
    q->freed -= n;
    q->ready -= n;
    return ret;
}
