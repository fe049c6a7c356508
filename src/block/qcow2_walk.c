/* SPDX-License-Identifier: BSD-2-Clause */
/* All that refers to clusters of a qcow2 image, counted: for checks and for new counts. */
#include "block/qcow2_impl.h"

#include "base/checked.h"
#include "base/endian.h"
#include "base/fmt.h"
#include "host/scope.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* A check looks at so many entries at most; one that refers to something weighs more. */
#define ENTRIES_LEAST       BIT(31)
#define ENTRIES_PER_CLUSTER 1024 /* of the file: 64 snapshots that have all of it */
#define ENTRY_COST          16

int qcow2_walk_init(struct qcow2_walk *w, struct qcow2 *q, u64 more, struct qcow2_check *result,
                    struct err *err)
{
    *w = (struct qcow2_walk){.q = q, .result = result};
    w->clusters = qcow2_clusters(q, q->file->size);
    if (w->clusters + more > QCOW2_REFS_MAX)
        return err_set(err, EFBIG, "'%s' has more than %llu clusters, too many to check",
                       q->node.name, (unsigned long long)QCOW2_REFS_MAX);
    w->left = ENTRIES_LEAST + w->clusters * ENTRIES_PER_CLUSTER;
    w->refs = calloc(w->clusters + more, sizeof(*w->refs)); /* what is not used takes no memory */
    return w->refs ? 0 : err_set(err, ENOMEM, "'%s': out of memory", q->node.name);
}

/* Some more entries are looked at. */
static int walk_pay(struct qcow2_walk *w, u64 entries)
{
    if (w->left < entries)
        return -E2BIG;
    w->left -= entries;
    return 0;
}

const char *qcow2_walk_error(int code)
{
    return code == -E2BIG ? "its tables refer to more than can be looked through" : strerror(-code);
}

void qcow2_walk_fini(struct qcow2_walk *w)
{
    free(w->refs);
}

void qcow2_walk_wrong(struct qcow2_walk *w, const char *fmt, ...)
{
    va_list ap;

    w->result->corruptions++;
    if (*w->result->first)
        return;
    va_start(ap, fmt);
    fmt_vprint(w->result->first, sizeof(w->result->first), fmt, ap);
    va_end(ap);
}

/* Is this where clusters may be? Says so if not. */
static bool walk_is_inside(struct qcow2_walk *w, u64 at, u64 len, const char *what)
{
    if (at && len <= QCOW2_FILE_MAX && at <= QCOW2_FILE_MAX &&
        (at + len - 1) >> w->q->h.cluster_bits < w->clusters)
        return true;
    qcow2_walk_wrong(w, "%s is said to be at 0x%llx, beyond the end of the file", what,
                     (unsigned long long)at);
    return false;
}

void qcow2_walk_range(struct qcow2_walk *w, u64 at, u64 len, const char *what)
{
    u64 first = at >> w->q->h.cluster_bits, last;

    if (!len || (at && !walk_is_inside(w, at, len, what)))
        return;
    last = (at + len - 1) >> w->q->h.cluster_bits;
    for (u64 c = first; c <= last; c++)
        w->refs[c] += w->refs[c] != UINT32_MAX;
    if (last + 1 > w->highest)
        w->highest = last + 1;
}

/* One entry of an L2 table. False: it cannot be right. */
static bool walk_entry(struct qcow2_walk *w, u64 entry, bool active, u64 *last)
{
    struct qcow2 *q = w->q;
    u64 at = entry & QCOW2_OFFSET, len = q->cluster_size,
        file_end = w->clusters << q->h.cluster_bits;

    if (entry & QCOW2_COMPRESSED) {
        qcow2_packed_range(q, entry, &at, &len);
        if (!range_within(at, 1, 1, file_end - 1))
            return false;
        if (len > file_end - at) /* only whole sectors are told, the data may end before */
            len = file_end - at;
        w->result->compressed += active;
    } else if (!at) {
        return true;
    } else if (qcow2_in_cluster(q, at) || !range_within(at, len, 0, file_end)) {
        return false;
    }
    if (active) {
        w->result->allocated++;
        w->result->fragmented += *last && at != *last;
        *last = at + len;
    }
    qcow2_walk_range(w, at, len, "data");
    return true;
}

static void walk_copied(struct qcow2_walk *w, u64 entry, u64 at, const char *what)
{
    u64 count = 0;

    if (qcow2_count_get(w->q, at >> w->q->h.cluster_bits, &count))
        qcow2_walk_wrong(w, "the count of %s at 0x%llx cannot be read", what,
                         (unsigned long long)at);
    else if ((count == 1) != !!(entry & QCOW2_COPIED))
        qcow2_walk_wrong(w, "%s at 0x%llx is counted %llu times but marked otherwise", what,
                         (unsigned long long)at, (unsigned long long)count);
}

static int walk_l2(struct qcow2_walk *w, u64 l2_at, bool active, u64 *last)
{
    struct qcow2 *q = w->q;
    AUTO_FREE u8 *table = malloc(q->cluster_size);
    bool mended = false;
    int ret = table ? walk_pay(w, q->l2_entries) : -ENOMEM;

    if (!ret)
        ret = node_read_bytes(q->file, l2_at, table, q->cluster_size);
    for (u32 i = 0; i < q->l2_entries && !ret; i++) {
        u8 *raw = table + (size_t)i * q->l2_entry_size;
        u64 entry = be64_load(raw);

        if (entry && walk_pay(w, ENTRY_COST))
            return -E2BIG;
        if (!walk_entry(w, entry, active, last)) {
            qcow2_walk_wrong(w, "the L2 table at 0x%llx has an impossible entry, 0x%llx",
                             (unsigned long long)l2_at, (unsigned long long)entry);
            if (w->mend)
                be64_store(raw, q->h.backing_len ? QCOW2_ZERO : 0);
            mended = true;
        } else if (active && entry & QCOW2_OFFSET && !(entry & QCOW2_COMPRESSED)) {
            walk_copied(w, entry, entry & QCOW2_OFFSET, "a cluster of data");
        }
    }
    if (!ret && w->mend && mended)
        ret = node_write_bytes(q->file, l2_at, table, q->cluster_size);
    return ret;
}

int qcow2_walk_l1(struct qcow2_walk *w, const u64 *l1, u32 count, bool with_tables, bool active)
{
    u64 last = 0;

    for (u32 i = 0; i < count; i++) {
        u64 at = l1[i] & QCOW2_OFFSET;
        int ret;

        if (!at)
            continue;
        if (qcow2_in_cluster(w->q, at) ||
            !walk_is_inside(w, at, w->q->cluster_size, "an L2 table")) {
            if (qcow2_in_cluster(w->q, at))
                qcow2_walk_wrong(w, "an L2 table is said to be at 0x%llx", (unsigned long long)at);
            continue;
        }
        if (with_tables)
            qcow2_walk_range(w, at, w->q->cluster_size, "an L2 table");
        if (active && with_tables)
            walk_copied(w, l1[i], at, "an L2 table");
        ret = walk_l2(w, at, active, &last);
        if (ret)
            return ret;
    }
    return 0;
}

int qcow2_walk_snapshots(struct qcow2_walk *w, const struct qcow2_snapshots *snapshots)
{
    for (u32 i = 0; i < snapshots->count; i++) {
        const struct qcow2_snapshot *s = &snapshots->list[i];
        u64 len = s->l1_size * UINT64_C(8);
        struct qcow2_table l1 = {0};
        int ret;

        if (!len)
            continue;
        if (qcow2_in_cluster(w->q, s->l1_at) ||
            !walk_is_inside(w, s->l1_at, len, "a snapshot's L1 table"))
            continue;
        qcow2_walk_range(w, s->l1_at, len, "a snapshot's L1 table");
        ret = walk_pay(w, s->l1_size);
        if (!ret)
            ret = qcow2_table_load(w->q, &l1, s->l1_at, s->l1_size);
        if (!ret)
            ret = qcow2_walk_l1(w, l1.entry, l1.count, true, false);
        free(l1.entry);
        if (ret)
            return ret;
    }
    return 0;
}
