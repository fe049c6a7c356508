/* SPDX-License-Identifier: BSD-2-Clause */
/* qcow2 images: opening, closing, flushing, resizing. */
#include "block/qcow2.h"

#include "base/assert.h"
#include "base/checked.h"
#include "base/endian.h"
#include "base/fmt.h"
#include "block/qcow2_impl.h"
#include "host/scope.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int qcow2_damaged(struct qcow2 *q, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    if (q->corrupt)
        return -EIO;
    va_start(ap, fmt);
    fmt_vprint(text, sizeof(text), fmt, ap);
    va_end(ap);
    log_print(q->log, LOG_ERROR, "block", "'%s' is damaged: %s; it is not written any more",
              q->node.name, text);
    q->corrupt = true;
    if (!q->node.readonly) {
        q->h.incompatible |= QCOW2_CORRUPT;
        (void)!qcow2_header_write(q); /* the file may be as broken as what is in it */
    }
    return -EIO;
}

static int qcow2_flush_op(struct node *node)
{
    struct qcow2 *q = qcow2_of(node);
    int ret;

    pthread_mutex_lock(&q->lock);
    /* A damaged image is not written: what was to be may be lost. */
    ret = q->corrupt ? -EIO : qcow2_write_back(q);
    pthread_mutex_unlock(&q->lock);
    return ret ? ret : node_flush(q->file);
}

static int qcow2_state_op(struct node *node, u64 at, u64 max, u64 *len)
{
    struct qcow2 *q = qcow2_of(node);
    struct qcow2_run run;
    int ret;

    pthread_rwlock_rdlock(&q->io);
    pthread_mutex_lock(&q->lock);
    ret = qcow2_map(q, at, max, &run);
    pthread_mutex_unlock(&q->lock);
    pthread_rwlock_unlock(&q->io);
    if (ret)
        return ret;
    *len = run.len;
    return run.kind == QCOW2_ABSENT    ? NODE_ABSENT
           : run.kind == QCOW2_IS_ZERO ? NODE_ZERO
                                       : NODE_DATA;
}

static void qcow2_free(struct qcow2 *q)
{
    if (q->l2.bucket)
        qcow2_cache_fini(&q->l2);
    if (q->blocks.bucket)
        qcow2_cache_fini(&q->blocks);
    qcow2_set_clear(&q->meta);
    free(q->l1.entry);
    free(q->reftable.entry);
    free(q->frees);
    pthread_mutex_destroy(&q->lock);
    pthread_rwlock_destroy(&q->io);
    free(q->node.name);
    free(q);
}

int qcow2_settle(struct node *node)
{
    struct qcow2 *q = qcow2_of(node);
    int ret;

    pthread_mutex_lock(&q->lock);
    ret = q->corrupt ? -EIO : qcow2_write_back(q);
    /* Twice, as counts go down only when nothing refers to their clusters any more. */
    if (!ret)
        ret = qcow2_apply_frees(q);
    if (!ret)
        ret = qcow2_write_back(q);
    pthread_mutex_unlock(&q->lock);
    return ret ? ret : node_flush(q->file);
}

static void qcow2_close(struct node *node)
{
    struct qcow2 *q = qcow2_of(node);

    if (!node->readonly && !q->corrupt)
        (void)!qcow2_settle(node);
    node_close(q->backing);
    node_close(q->file);
    qcow2_free(q);
}

/* A larger L1 table, in new clusters. The lock is held; io too, alone. */
static int grow_l1(struct qcow2 *q, u64 size, u64 entries)
{
    u64 clusters = qcow2_clusters(q, entries * 8), first, room;
    u64 old = q->h.l1_at >> q->h.cluster_bits, old_clusters = qcow2_clusters(q, q->l1.count * 8ull);
    AUTO_FREE u8 *bytes = NULL;
    AUTO_FREE u64 *entry = NULL;
    int ret = qcow2_allocate_run(q, clusters, &first);

    if (ret)
        return ret;
    room = (clusters << q->h.cluster_bits) / 8;
    entry = calloc(room, sizeof(*entry));
    bytes = calloc(room, sizeof(*entry));
    ret = entry && bytes ? qcow2_write_back(q) : -ENOMEM; /* the old table is as it should be */
    for (u32 i = 0; !ret && i < q->l1.count; i++) {
        entry[i] = q->l1.entry[i];
        be64_store(bytes + 8 * (size_t)i, entry[i]);
    }
    if (!ret)
        ret = node_write_bytes(q->file, first << q->h.cluster_bits, bytes, room * 8);
    if (!ret)
        ret = node_flush(q->file);
    for (u64 c = 0; !ret && c < clusters; c++)
        ret = qcow2_set_add(&q->meta, first + c);
    if (ret) { /* nothing refers to it yet */
        for (u64 c = 0; c < clusters; c++)
            qcow2_set_remove(&q->meta, first + c);
        qcow2_unallocate(q, first, clusters);
        return ret;
    }
    free(q->l1.entry);
    q->l1 = (struct qcow2_table){.entry = steal(entry), .count = (u32)room};
    q->h.l1_at = first << q->h.cluster_bits;
    q->h.l1_size = (u32)room;
    q->h.size = size;
    ret = qcow2_header_write(q);
    if (!ret)
        ret = node_flush(q->file);
    if (ret)
        q->corrupt = true; /* the file may have the old table or the new one */
    for (u64 c = 0; !ret && c < old_clusters; c++) {
        qcow2_set_remove(&q->meta, old + c);
        ret = qcow2_free_later(q, old + c);
    }
    return ret;
}

static int set_size(struct qcow2 *q, u64 size)
{
    u64 covers = (u64)q->l2_entries << q->h.cluster_bits;
    u64 entries = size / covers + !!(size % covers);
    int ret = 0;

    if (entries > QCOW2_L1_MAX / 8)
        return -EFBIG;
    pthread_mutex_lock(&q->lock);
    if (entries > q->l1.count) {
        ret = grow_l1(q, size, entries);
    } else {
        ret = qcow2_write_back(q);
        if (!ret)
            ret = node_flush(q->file);
        q->h.size = size;
        if (!ret)
            ret = qcow2_header_write(q);
    }
    pthread_mutex_unlock(&q->lock);
    if (!ret)
        q->node.size = size;
    return ret;
}

static int qcow2_resize(struct node *node, u64 size, struct err *err)
{
    struct qcow2 *q = qcow2_of(node);
    u64 old = node->size;
    int ret = 0;

    if (size % BLK_SECTOR || size > QCOW2_FILE_MAX)
        return err_set(err, EINVAL, "'%s' cannot get %llu bytes; give a multiple of %d", node->name,
                       (unsigned long long)size, BLK_SECTOR);
    if (q->corrupt)
        return err_set(err, EIO, "'%s' is damaged; repair it first", node->name);
    if (q->h.backing_len && !q->backing && size > old)
        return err_set(err, EINVAL, "'%s' needs its backing file '%s' for this; allow it",
                       node->name, q->backing_name);
    if (size < old)
        ret = qcow2_zeroes_op(node, size, old - size, true);
    if (!ret)
        ret = set_size(q, size);
    /* What the backing file has there was never part of this disk. */
    if (!ret && q->backing && q->backing->size > old && size > old)
        ret = qcow2_zeroes_op(node, old, (size < q->backing->size ? size : q->backing->size) - old,
                              true);
    if (ret)
        return err_set(err, -ret, "'%s' cannot get %llu bytes: %s", node->name,
                       (unsigned long long)size, strerror(-ret));
    return 0;
}

static const struct node_ops qcow2_ops = {
    .name = "qcow2",
    .read = qcow2_read_op,
    .write = qcow2_write_op,
    .try_read = qcow2_try_read_op,
    .try_write = qcow2_try_write_op,
    .flush = qcow2_flush_op,
    .discard = qcow2_discard_op,
    .write_zeroes = qcow2_zeroes_op,
    .resize = qcow2_resize,
    .state = qcow2_state_op,
    .close = qcow2_close,
};

static int set_add_range(struct qcow2 *q, u64 at, u64 len)
{
    int ret = 0;

    for (u64 c = 0; c < qcow2_clusters(q, len) && !ret; c++)
        ret = qcow2_set_add(&q->meta, (at >> q->h.cluster_bits) + c);
    return ret;
}

/* Which clusters are metadata. Nonsense among the entries is met again where they are used. */
static int find_metadata(struct qcow2 *q)
{
    int ret = qcow2_set_add(&q->meta, 0);

    if (!ret)
        ret = set_add_range(q, q->h.l1_at, q->h.l1_size * UINT64_C(8));
    if (!ret)
        ret = set_add_range(q, q->h.reftable_at, (u64)q->h.reftable_clusters << q->h.cluster_bits);
    for (u32 i = 0; i < q->l1.count && !ret; i++)
        if (q->l1.entry[i] & QCOW2_OFFSET)
            ret = set_add_range(q, q->l1.entry[i] & QCOW2_OFFSET, 1);
    for (u32 i = 0; i < q->reftable.count && !ret; i++)
        if (q->reftable.entry[i] & ~UINT64_C(0x1ff))
            ret = set_add_range(q, q->reftable.entry[i] & ~UINT64_C(0x1ff), 1);
    return ret;
}

int qcow2_load_tables(struct qcow2 *q, struct err *err)
{
    u32 refs = q->h.reftable_clusters << (q->h.cluster_bits - 3);
    struct qcow2_snapshots snapshots;
    int ret;

    qcow2_set_clear(&q->meta);
    qcow2_cache_drop(&q->l2);
    qcow2_cache_drop(&q->blocks);
    q->hint = q->packing = q->freed = q->ready = 0;
    ret = qcow2_table_load(q, &q->l1, q->h.l1_at, q->h.l1_size);
    if (!ret)
        ret = qcow2_table_load(q, &q->reftable, q->h.reftable_at, refs);
    if (!ret)
        ret = find_metadata(q);
    if (ret)
        return err_set(err, -ret, "'%s' cannot be read: %s", q->node.name, strerror(-ret));
    ret = qcow2_snapshots_load(q, &snapshots, err);
    if (ret)
        return ret;
    ret = snapshots.count ? set_add_range(q, q->h.snapshots_at, snapshots.len) : 0;
    qcow2_snapshots_fini(&snapshots);
    return ret ? err_set(err, -ret, "'%s': out of memory", q->node.name) : 0;
}

/* A writer changes what it does not know of: features that say so are cleared. */
static int prepare_for_writes(struct qcow2 *q, struct err *err)
{
    struct qcow2_check result;
    int ret = 0;

    if (q->h.incompatible & QCOW2_CORRUPT)
        return err_set(err, EIO,
                       "'%s' is marked as damaged; repair it with: cosm disk check -r all '%s'",
                       q->node.name, q->node.name);
    if (q->h.incompatible & QCOW2_DIRTY)
        ret = qcow2_check(&q->node, QCOW2_REPAIR_ALL, &result, err);
    if (ret || !q->h.autoclear)
        return ret;
    q->h.autoclear = 0;
    ret = qcow2_header_write(q);
    return ret ? err_set(err, -ret, "'%s' cannot be written: %s", q->node.name, strerror(-ret)) : 0;
}

static int qcow2_init(struct qcow2 *q, bool check_only, struct err *err)
{
    pthread_rwlockattr_t attr;
    int ret = qcow2_header_read(q, err);

    if (ret)
        return ret;
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_destroy(&q->io);
    pthread_rwlock_init(&q->io, &attr);
    pthread_rwlockattr_destroy(&attr);
    q->node.size = q->h.size;
    q->node.readonly = q->file->readonly;
    ret = qcow2_cache_init(q, &q->l2, QCOW2_L2_CACHE);
    if (!ret)
        ret = qcow2_cache_init(q, &q->blocks, QCOW2_REF_CACHE);
    if (ret)
        return err_set(err, ENOMEM, "'%s': out of memory", q->node.name);
    ret = qcow2_load_tables(q, err);
    if (ret || check_only || q->node.readonly)
        return ret;
    return prepare_for_writes(q, err);
}

int qcow2_open(struct node **node, struct node *file, bool check_only, const struct log *log,
               struct err *err)
{
    struct qcow2 *q = calloc(1, sizeof(*q));
    int ret;

    ASSERT(file->growable);
    if (q)
        q->node.name = strdup(file->name);
    if (!q || !q->node.name) {
        free(q);
        return err_set(err, ENOMEM, "'%s': out of memory", file->name);
    }
    q->node.ops = &qcow2_ops;
    q->file = file;
    q->log = log;
    pthread_mutex_init(&q->lock, NULL);
    pthread_rwlock_init(&q->io, NULL);
    ret = qcow2_init(q, check_only, err);
    if (ret) {
        qcow2_free(q);
        return ret;
    }
    *node = &q->node;
    return 0;
}

int qcow2_set_readonly(struct node *node, bool readonly, struct err *err)
{
    struct qcow2 *q = qcow2_of(node);
    int ret = 0;

    if (readonly && !node->readonly)
        ret = qcow2_settle(node);
    if (ret)
        return err_set(err, -ret, "'%s' cannot be written: %s", node->name, strerror(-ret));
    if (!readonly)
        ret = prepare_for_writes(q, err);
    if (!ret)
        node->readonly = readonly;
    return ret;
}

bool qcow2_is(const struct node *node)
{
    return node->ops == &qcow2_ops;
}

void qcow2_get_info(struct node *node, struct qcow2_info *info)
{
    const struct qcow2 *q = qcow2_of(node);

    *info = (struct qcow2_info){
        .size = q->h.size,
        .version = q->h.version,
        .cluster_size = q->cluster_size,
        .refcount_bits = 1u << q->h.refcount_order,
        .lazy_refcounts = q->h.compatible & QCOW2_LAZY,
        .extended_l2 = q->h.incompatible & QCOW2_EXTENDED_L2,
        .dirty = q->h.incompatible & QCOW2_DIRTY,
        .corrupt = q->h.incompatible & QCOW2_CORRUPT,
        .compression = q->h.compression,
        .backing = q->backing_name,
        .backing_format = q->backing_format,
        .snapshots = q->h.snapshots,
    };
}

void qcow2_set_backing(struct node *node, struct node *backing)
{
    struct qcow2 *q = qcow2_of(node);

    ASSERT(!q->backing);
    q->backing = backing;
}

struct node *qcow2_backing(struct node *node)
{
    return qcow2_of(node)->backing;
}

struct node *qcow2_file(struct node *node)
{
    return qcow2_of(node)->file;
}

int qcow2_rename_backing(struct node *node, const char *backing, const char *format,
                         struct err *err)
{
    struct qcow2 *q = qcow2_of(node);
    AUTO_FREE u8 *bytes = calloc(1, q->cluster_size);
    s64 len;
    int ret;

    if (!bytes)
        return err_set(err, ENOMEM, "'%s': out of memory", node->name);
    if (strlen(backing ? backing : "") > QCOW2_NAME_MAX ||
        strlen(format ? format : "") >= sizeof(q->backing_format))
        return err_set(err, EINVAL, "the name of the backing file is longer than %d bytes",
                       QCOW2_NAME_MAX);
    fmt_print(q->backing_name, sizeof(q->backing_name), "%s", backing ? backing : "");
    fmt_print(q->backing_format, sizeof(q->backing_format), "%s", backing && format ? format : "");
    len = qcow2_header_make(q, bytes, q->cluster_size);
    if (len < 0)
        return err_set(err, EINVAL, "'%s' has no room for so long a name", node->name);
    /* What is behind the first sector comes first: nothing refers to it yet. */
    ret = qcow2_flush_op(node);
    if (!ret && q->cluster_size > QCOW2_SECTOR && len > QCOW2_SECTOR)
        ret = node_write_bytes(q->file, QCOW2_SECTOR, bytes + QCOW2_SECTOR,
                               q->cluster_size - QCOW2_SECTOR);
    if (!ret)
        ret = node_flush(q->file);
    if (!ret)
        ret = node_write_bytes(q->file, 0, bytes, QCOW2_SECTOR);
    if (!ret)
        ret = node_flush(q->file);
    if (!ret)
        memcpy(q->sector, bytes, QCOW2_SECTOR);
    return ret ? err_set(err, -ret, "'%s' cannot be written: %s", node->name, strerror(-ret)) : 0;
}
