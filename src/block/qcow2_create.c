/* SPDX-License-Identifier: BSD-2-Clause */
/* New qcow2 images. */
#include "block/qcow2_impl.h"

#include "base/bits.h"
#include "base/fmt.h"
#include "host/scope.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int create_check(const struct node *file, const struct qcow2_create *c, u32 cluster_size,
                        u32 bits, struct err *err)
{
    if (!is_pow2(cluster_size) || cluster_size < 512 || cluster_size > 2 * MIB)
        return err_set(err, EINVAL,
                       "cluster_size=%u is not possible; give a power of two, 512 to 2M",
                       cluster_size);
    if (!is_pow2(bits) || bits > 64)
        return err_set(err, EINVAL,
                       "refcount_bits=%u is not possible; give a power of two, 1 to 64", bits);
    if (c->size % BLK_SECTOR)
        return err_set(err, EINVAL, "'%s' cannot have %llu bytes; give a multiple of %d",
                       file->name, (unsigned long long)c->size, BLK_SECTOR);
    if (c->size > QCOW2_L1_MAX / 8 * (cluster_size / 8) * cluster_size)
        return err_set(err, EFBIG,
                       "'%s' cannot have %llu bytes with clusters of %u; make the clusters larger",
                       file->name, (unsigned long long)c->size, cluster_size);
    if (c->backing && strlen(c->backing) > QCOW2_NAME_MAX)
        return err_set(err, EINVAL, "the name of the backing file is longer than %d bytes",
                       QCOW2_NAME_MAX);
#ifndef COSM_HAVE_ZSTD
    if (c->compression == QCOW2_ZSTD)
        return err_set(err, ENOTSUP, "this cosm was built without zstd");
#endif
    return 0;
}

static void create_header(struct qcow2 *q, const struct qcow2_create *c, u32 bits)
{
    u64 covers = (u64)(q->cluster_size / 8) << q->h.cluster_bits;

    q->h.size = c->size;
    q->h.l1_size = (u32)(c->size / covers + 1); /* one more than needed at times: never none */
    if (q->h.l1_size > QCOW2_L1_MAX / 8)
        q->h.l1_size = QCOW2_L1_MAX / 8;
    q->h.l1_at = q->cluster_size;
    q->h.refcount_order = log2_floor(bits);
    q->h.compression = c->compression;
    q->h.incompatible = c->compression == QCOW2_ZSTD ? QCOW2_COMPRESSION : 0;
    q->h.compatible = c->lazy_refcounts ? QCOW2_LAZY : 0;
    if (!c->backing)
        return;
    fmt_print(q->backing_name, sizeof(q->backing_name), "%s", c->backing);
    if (c->backing_format)
        fmt_print(q->backing_format, sizeof(q->backing_format), "%s", c->backing_format);
}

static int create_write(struct qcow2 *q)
{
    u64 l1 = qcow2_clusters(q, q->h.l1_size * UINT64_C(8)), used = 1 + l1;
    AUTO_FREE u8 *bytes = calloc(1, q->cluster_size);
    AUTO_FREE u32 *refs = calloc(used, sizeof(*refs));
    s64 len;
    int ret = bytes && refs ? 0 : -ENOMEM;

    for (u64 c = 0; c < used && !ret; c++)
        refs[c] = 1;
    if (!ret)
        ret = node_write_zeroes(q->file, q->h.l1_at, l1 << q->h.cluster_bits, false);
    if (!ret)
        ret = qcow2_write_counts(q->file, q->h.cluster_bits, q->h.refcount_order, refs, used,
                                 &q->h.reftable_at, &q->h.reftable_clusters);
    if (!ret)
        ret = node_flush(q->file);
    if (ret)
        return ret;
    len = qcow2_header_make(q, bytes, q->cluster_size);
    if (len < 0)
        return (int)len;
    ret = node_write_bytes(q->file, 0, bytes, q->cluster_size);
    return ret ? ret : node_flush(q->file);
}

int qcow2_create(struct node *file, const struct qcow2_create *create, struct err *err)
{
    u32 cluster_size = create->cluster_size ? create->cluster_size : 64 * KIB;
    u32 bits = create->refcount_bits ? create->refcount_bits : 16;
    struct qcow2 *q;
    int ret = create_check(file, create, cluster_size, bits, err);

    if (ret)
        return ret;
    q = calloc(1, sizeof(*q));
    if (!q)
        return err_set(err, ENOMEM, "'%s': out of memory", file->name);
    q->file = file;
    q->cluster_size = cluster_size;
    q->h.version = 3;
    q->h.cluster_bits = log2_floor(cluster_size);
    create_header(q, create, bits);
    ret = create_write(q);
    free(q);
    if (ret == -ENOSPC)
        return err_set(err, ENOSPC, "'%s': there is no room, on the disk or in a cluster",
                       file->name);
    return ret ? err_set(err, -ret, "'%s' cannot be written: %s", file->name, strerror(-ret)) : 0;
}
