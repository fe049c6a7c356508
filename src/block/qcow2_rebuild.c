/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Changes of a qcow2 image that touch much at once: snapshots, repair.
 *
 * Whether a cluster may be written in place stands in the L2 entry and in its count, which cannot
 * be changed at one moment. So all tables are written anew, behind the end of the file, to fit each
 * other; one sector, the header, then changes over. What it no longer refers to is free by the new
 * counts.
 */
#include "block/qcow2_impl.h"

#include "base/checked.h"
#include "base/endian.h"
#include "host/scope.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where new counts lie: a table, then blocks. */
struct counts {
    const u32 *refs;
    u64 used; /* clusters with refs; the table comes behind */
    u64 entries, table, blocks;
    u32 per_block;
};

static bool block_is_needed(const struct counts *c, u64 block)
{
    u64 first = block * c->per_block, end = first + c->per_block;

    if (range_overlaps(first, c->per_block, c->used, c->table + c->blocks))
        return true;
    for (u64 i = first; i < end && i < c->used; i++)
        if (c->refs[i])
            return true;
    return false;
}

static void counts_plan(struct counts *c, u32 cluster_bits)
{
    for (;;) {
        u64 entries = (c->used + c->table + c->blocks) / c->per_block + 1, blocks = 0;
        u64 table = ((entries * 8 - 1) >> cluster_bits) + 1;

        for (u64 i = 0; i < entries; i++)
            blocks += block_is_needed(c, i);
        if (entries == c->entries && table == c->table && blocks == c->blocks)
            return;
        c->entries = entries;
        c->table = table > c->table ? table : c->table;
        c->blocks = blocks > c->blocks ? blocks : c->blocks;
    }
}

static int counts_block(const struct counts *c, u32 order, u64 block, u8 *bytes)
{
    u64 max = order >= 5 ? UINT32_MAX : BIT(1u << order) - 1;

    for (u64 i = 0; i < c->per_block; i++) {
        u64 cluster = block * c->per_block + i, count = 0;

        if (cluster < c->used)
            count = c->refs[cluster];
        else if (cluster < c->used + c->table + c->blocks)
            count = 1;
        if (count > max)
            return -ERANGE;
        qcow2_count_store(bytes, order, i, count);
    }
    return 0;
}

int qcow2_write_counts(struct node *file, u32 cluster_bits, u32 order, const u32 *refs, u64 used,
                       u64 *table_at, u32 *table_clusters)
{
    struct counts c = {.refs = refs, .used = used, .per_block = 1u << (cluster_bits + 3 - order)};
    AUTO_FREE u8 *table = NULL, *block = malloc((size_t)1 << cluster_bits);
    u64 next;
    int ret = 0;

    counts_plan(&c, cluster_bits);
    if (c.table << cluster_bits > QCOW2_REFTABLE_MAX)
        return -EFBIG;
    table = calloc(c.table, (size_t)1 << cluster_bits);
    if (!table || !block)
        return -ENOMEM;
    next = used + c.table;
    for (u64 i = 0; i < c.entries && !ret; i++) {
        if (!block_is_needed(&c, i))
            continue;
        memset(block, 0, (size_t)1 << cluster_bits);
        be64_store(table + i * 8, next << cluster_bits);
        ret = counts_block(&c, order, i, block);
        if (!ret)
            ret =
                node_write_bytes(file, next++ << cluster_bits, block, UINT64_C(1) << cluster_bits);
    }
    if (!ret)
        ret = node_write_bytes(file, used << cluster_bits, table, c.table << cluster_bits);
    *table_at = used << cluster_bits;
    *table_clusters = (u32)c.table;
    return ret;
}

/* Where the new state's parts lie, in clusters. */
struct plan {
    struct qcow2_walk w;
    u64 l2, l2_count, l1, l1_count, snapshots, snapshots_count, end;
};

static int plan_make(struct qcow2 *q, const struct qcow2_state *state, struct plan *p,
                     struct qcow2_check *result, struct err *err)
{
    int ret;

    *p = (struct plan){0};
    for (u32 i = 0; i < state->l1_size; i++)
        p->l2_count += !!(state->l1[i] & QCOW2_OFFSET);
    p->l1_count = qcow2_clusters(q, state->l1_size * UINT64_C(8));
    p->snapshots_count = qcow2_clusters(q, state->snapshots->len);
    ret = qcow2_walk_init(&p->w, q, p->l2_count + p->l1_count + p->snapshots_count, result, err);
    if (ret)
        return ret;
    p->l2 = p->w.clusters;
    p->l1 = p->l2 + p->l2_count;
    p->snapshots = p->l1 + p->l1_count;
    p->end = p->snapshots + p->snapshots_count;
    qcow2_walk_range(&p->w, 0, 1, "the header");
    ret = qcow2_walk_snapshots(&p->w, state->snapshots);
    if (!ret)
        ret = qcow2_walk_l1(&p->w, state->l1, state->l1_size, false, false);
    for (u64 c = p->l2; c < p->end; c++)
        p->w.refs[c] = 1;
    return ret ? err_set(err, -ret, "'%s' cannot be read: %s", q->node.name, qcow2_walk_error(ret))
               : 0;
}

/* Copies an L2 table; entries say whether they are their cluster's only user. */
static int copy_l2(struct qcow2 *q, const struct plan *p, u64 from, u64 to)
{
    AUTO_FREE u8 *table = malloc(q->cluster_size);
    int ret = table ? node_read_bytes(q->file, from, table, q->cluster_size) : -ENOMEM;

    if (ret)
        return ret;
    for (u32 i = 0; i < q->l2_entries; i++) {
        u64 entry = be64_load(table + i * 8ull), at = entry & QCOW2_OFFSET;
        u64 cluster = at >> q->h.cluster_bits;

        if (entry & QCOW2_COMPRESSED)
            continue;
        entry &= ~QCOW2_COPIED;
        if (at && cluster < p->w.clusters && p->w.refs[cluster] == 1)
            entry |= QCOW2_COPIED;
        be64_store(table + i * 8ull, entry);
    }
    return node_write_bytes(q->file, to, table, q->cluster_size);
}

static int write_l1(struct qcow2 *q, const struct qcow2_state *state, const struct plan *p)
{
    u64 len = p->l1_count << q->h.cluster_bits, next = p->l2;
    AUTO_FREE u8 *l1 = calloc(1, len ? len : 1);
    int ret = l1 ? 0 : -ENOMEM;

    for (u32 i = 0; i < state->l1_size && !ret; i++) {
        u64 from = state->l1[i] & QCOW2_OFFSET, to = next << q->h.cluster_bits;

        if (!from)
            continue;
        ret = copy_l2(q, p, from, to);
        be64_store(l1 + i * 8ull, to | QCOW2_COPIED);
        next++;
    }
    return ret ? ret : node_write_bytes(q->file, p->l1 << q->h.cluster_bits, l1, len);
}

static int write_snapshots(struct qcow2 *q, const struct qcow2_state *state, const struct plan *p)
{
    u64 len = p->snapshots_count << q->h.cluster_bits, at = 0;
    AUTO_FREE u8 *table = calloc(1, len ? len : 1);

    if (!table)
        return -ENOMEM;
    for (u32 i = 0; i < state->snapshots->count; i++) {
        const struct qcow2_snapshot *s = &state->snapshots->list[i];

        memcpy(table + at, s->raw, s->raw_len);
        at += align_up(s->raw_len, 8);
    }
    return node_write_bytes(q->file, p->snapshots << q->h.cluster_bits, table, len);
}

static int commit(struct qcow2 *q, const struct qcow2_state *state, const struct plan *p)
{
    struct qcow2_header old = q->h, *h = &q->h;
    u64 table_at;
    u32 table_clusters;
    int ret = qcow2_write_counts(q->file, h->cluster_bits, h->refcount_order, p->w.refs, p->end,
                                 &table_at, &table_clusters);

    if (!ret)
        ret = node_flush(q->file);
    if (ret)
        return ret;
    h->size = state->size;
    h->l1_at = p->l1 << h->cluster_bits;
    h->l1_size = state->l1_size;
    h->reftable_at = table_at;
    h->reftable_clusters = table_clusters;
    h->snapshots = state->snapshots->count;
    h->snapshots_at = h->snapshots ? p->snapshots << h->cluster_bits : 0;
    h->autoclear = 0;
    ret = qcow2_header_write(q);
    if (ret)
        *h = old;
    else
        ret = node_flush(q->file);
    return ret;
}

int qcow2_rebuild(struct qcow2 *q, const struct qcow2_state *state, struct err *err)
{
    struct qcow2_check result = {0};
    struct plan p;
    int ret = plan_make(q, state, &p, &result, err);

    if (ret) {
        qcow2_walk_fini(&p.w);
        return ret;
    }
    ret = write_l1(q, state, &p);
    if (!ret)
        ret = write_snapshots(q, state, &p);
    if (!ret)
        ret = commit(q, state, &p);
    qcow2_walk_fini(&p.w);
    if (ret == -ERANGE)
        return err_set(err, ERANGE, "'%s' counts only up to %llu: it can have no more snapshots",
                       q->node.name, (unsigned long long)BIT(1u << q->h.refcount_order) - 1);
    if (ret) {
        q->corrupt = true; /* what the header says now is not known */
        return err_set(err, -ret, "'%s' cannot be written: %s", q->node.name, strerror(-ret));
    }
    q->node.size = state->size;
    return qcow2_load_tables(q, err);
}
