/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks a qcow2 image: what refers to clusters against their counts; and repairs it. */
#include "block/qcow2_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* All that the active state of the image refers to. */
static int count_all(struct qcow2_walk *w, const struct qcow2_snapshots *snapshots)
{
    const struct qcow2_header *h = &w->q->h;
    int ret;

    qcow2_walk_range(w, 0, 1, "the header");
    qcow2_walk_range(w, h->l1_at, h->l1_size * UINT64_C(8), "the L1 table");
    ret = qcow2_walk_l1(w, w->q->l1.entry, w->q->l1.count, true, true);
    if (!ret)
        ret = qcow2_walk_snapshots(w, snapshots);
    if (ret)
        return ret;
    if (snapshots->count)
        qcow2_walk_range(w, h->snapshots_at, snapshots->len, "the snapshot table");
    qcow2_walk_range(w, h->reftable_at, (u64)h->reftable_clusters << h->cluster_bits,
                     "the refcount table");
    for (u32 i = 0; i < w->q->reftable.count; i++) {
        u64 at = w->q->reftable.entry[i] & ~UINT64_C(0x1ff);

        if (qcow2_in_cluster(w->q, at))
            qcow2_walk_wrong(w, "a refcount block is said to be at 0x%llx", (unsigned long long)at);
        else if (at)
            qcow2_walk_range(w, at, w->q->cluster_size, "a refcount block");
    }
    return 0;
}

/* One refcount block, or the lack of one, against what was counted. */
static int compare_block(struct qcow2_walk *w, u32 block, bool fix_leaks)
{
    struct qcow2 *q = w->q;
    u32 per_block = 1u << (q->h.cluster_bits + 3 - q->h.refcount_order);
    u64 first = (u64)block * per_block;

    for (u64 c = first; c < first + per_block; c++) {
        u64 count, want = c < w->clusters ? w->refs[c] : 0;
        int ret = qcow2_count_get(q, c, &count);

        if (ret)
            return ret;
        if (count < want)
            qcow2_walk_wrong(w, "cluster %llu is used %llu times but counted %llu times",
                             (unsigned long long)c, (unsigned long long)want,
                             (unsigned long long)count);
        if (count <= want)
            continue;
        w->result->leaks++;
        if (fix_leaks)
            ret = qcow2_count_set(q, c, want);
        if (ret)
            return ret;
        w->result->leaks_fixed += fix_leaks;
    }
    return 0;
}

static int compare(struct qcow2_walk *w, bool fix_leaks)
{
    struct qcow2 *q = w->q;
    u32 per_block = 1u << (q->h.cluster_bits + 3 - q->h.refcount_order);

    for (u32 i = 0; i < q->reftable.count; i++) {
        u64 at = q->reftable.entry[i] & ~UINT64_C(0x1ff);
        int ret = 0;

        if (at && !qcow2_in_cluster(q, at) && at >> q->h.cluster_bits < w->clusters)
            ret = compare_block(w, i, fix_leaks);
        if (ret)
            return ret;
    }
    for (u64 c = 0; c < w->clusters; c++) {
        u64 i = c / per_block, at;

        at = i < q->reftable.count ? q->reftable.entry[i] & ~UINT64_C(0x1ff) : 0;
        if (w->refs[c] && !at)
            qcow2_walk_wrong(w, "cluster %llu is used but not counted", (unsigned long long)c);
    }
    return 0;
}

static int check_once(struct qcow2 *q, bool mend, bool fix_leaks,
                      const struct qcow2_snapshots *snapshots, struct qcow2_check *result,
                      struct err *err)
{
    struct qcow2_walk w;
    int ret = qcow2_walk_init(&w, q, 0, result, err);

    if (ret)
        return ret;
    w.mend = mend;
    ret = count_all(&w, snapshots);
    if (!ret)
        ret = compare(&w, fix_leaks && !result->corruptions);
    result->end = w.highest << q->h.cluster_bits;
    result->total = qcow2_clusters(q, q->h.size);
    qcow2_walk_fini(&w);
    return ret ? err_set(err, -ret, "'%s' cannot be checked: %s", q->node.name,
                         qcow2_walk_error(ret))
               : 0;
}

static int repair_all(struct qcow2 *q, const struct qcow2_snapshots *snapshots,
                      struct qcow2_check *result, struct err *err)
{
    struct qcow2_state state = {q->h.size, q->l1.entry, q->l1.count, snapshots};
    struct qcow2_check scratch = {0};
    int ret = check_once(q, true, false, snapshots, &scratch, err);

    if (ret)
        return ret;
    for (u32 i = 0; i < q->l1.count; i++) {
        u64 at = q->l1.entry[i] & QCOW2_OFFSET;

        if (qcow2_in_cluster(q, at) || at >> q->h.cluster_bits >= qcow2_clusters(q, q->file->size))
            q->l1.entry[i] = 0;
    }
    q->h.incompatible &= ~(QCOW2_DIRTY | QCOW2_CORRUPT);
    ret = qcow2_rebuild(q, &state, err);
    if (ret)
        return ret;
    q->corrupt = false;
    result->corruptions_fixed = result->corruptions;
    result->leaks_fixed = result->leaks;
    return 0;
}

static int check_locked(struct qcow2 *q, enum qcow2_repair repair, struct qcow2_check *result,
                        struct err *err)
{
    struct qcow2_snapshots snapshots;
    bool marked = q->h.incompatible & (QCOW2_DIRTY | QCOW2_CORRUPT);
    int ret = q->corrupt ? 0 : qcow2_write_back(q);

    if (!ret && !q->corrupt)
        ret = qcow2_apply_frees(q);
    if (!ret && !q->corrupt)
        ret = qcow2_write_back(q);
    if (ret)
        return err_set(err, -ret, "'%s' cannot be written: %s", q->node.name, strerror(-ret));
    ret = qcow2_snapshots_load(q, &snapshots, err);
    if (ret)
        return ret;
    ret = check_once(q, false, repair == QCOW2_REPAIR_LEAKS, &snapshots, result, err);
    if (!ret && repair == QCOW2_REPAIR_ALL && (result->corruptions || result->leaks || marked))
        ret = repair_all(q, &snapshots, result, err);
    if (!ret && repair == QCOW2_REPAIR_LEAKS && qcow2_write_back(q))
        ret = err_set(err, EIO, "'%s' cannot be written", q->node.name);
    qcow2_snapshots_fini(&snapshots);
    return ret;
}

int qcow2_check(struct node *node, enum qcow2_repair repair, struct qcow2_check *result,
                struct err *err)
{
    struct qcow2 *q = qcow2_of(node);
    int ret;

    *result = (struct qcow2_check){0};
    if (q->h.incompatible & QCOW2_EXTENDED_L2)
        return err_set(err, ENOTSUP, "'%s' has subclusters, which cosm cannot check", node->name);
    if (repair != QCOW2_REPAIR_NONE && node->readonly)
        return err_set(err, EROFS, "'%s' is open read-only and cannot be repaired", node->name);
    pthread_rwlock_wrlock(&q->io);
    pthread_mutex_lock(&q->lock);
    ret = check_locked(q, repair, result, err);
    pthread_mutex_unlock(&q->lock);
    pthread_rwlock_unlock(&q->io);
    return ret;
}
