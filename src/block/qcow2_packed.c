/* SPDX-License-Identifier: BSD-2-Clause */
/* Compressed clusters: raw deflate in a window of 4 KiB, or one zstd frame. */
#include "block/qcow2_impl.h"

#include "base/checked.h"
#include "host/scope.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>
#ifdef COSM_HAVE_ZSTD
#include <zstd.h>
#endif

#define DEFLATE_WINDOW (-12)

static int inflate_cluster(const u8 *from, u64 len, u8 *cluster, u32 size)
{
    z_stream z = {.next_in = (u8 *)(uintptr_t)from,
                  .avail_in = (uInt)len,
                  .next_out = cluster,
                  .avail_out = size};
    int ret;

    if (inflateInit2(&z, DEFLATE_WINDOW) != Z_OK)
        return -ENOMEM;
    ret = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    return (ret == Z_STREAM_END || ret == Z_BUF_ERROR) && !z.avail_out ? 0 : -EIO;
}

/* The stored length is in sectors, so bytes of the next cluster's may follow the frame. */
static int unzstd_cluster(const u8 *from, u64 len, u8 *cluster, u32 size)
{
#ifdef COSM_HAVE_ZSTD
    ZSTD_DCtx *ctx = ZSTD_createDCtx();
    ZSTD_inBuffer in = {from, len, 0};
    ZSTD_outBuffer out = {cluster, size, 0};
    size_t left = 1;

    if (!ctx)
        return -ENOMEM;
    while (out.pos < out.size && left) {
        size_t in_before = in.pos, out_before = out.pos;

        left = ZSTD_decompressStream(ctx, &out, &in);
        if (ZSTD_isError(left) || (in.pos == in_before && out.pos == out_before))
            break;
    }
    ZSTD_freeDCtx(ctx);
    return out.pos == out.size ? 0 : -EIO;
#else
    return -EOPNOTSUPP;
#endif
}

int qcow2_unpack(struct qcow2 *q, u64 entry, u8 *cluster)
{
    AUTO_FREE u8 *bytes = NULL;
    u64 at, len;
    int ret;

    qcow2_packed_range(q, entry, &at, &len);
    if (!at || len > 2 * (u64)q->cluster_size || !range_within(at, len, 0, QCOW2_FILE_MAX))
        return -EIO;
    bytes = malloc(len);
    if (!bytes)
        return -ENOMEM;
    ret = node_read_bytes(q->file, at, bytes, len);
    if (ret)
        return ret;
    return (q->h.compression == QCOW2_ZSTD ? unzstd_cluster : inflate_cluster)(bytes, len, cluster,
                                                                               q->cluster_size);
}

/* Compresses into fewer than size bytes. Returns how many, or 0: it does not get smaller. */
static u64 deflate_cluster(const u8 *cluster, u32 size, u8 *to)
{
    z_stream z = {.next_in = (u8 *)(uintptr_t)cluster,
                  .avail_in = size,
                  .next_out = to,
                  .avail_out = size - 1};
    int ret;

    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, DEFLATE_WINDOW, 9,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return 0;
    ret = deflate(&z, Z_FINISH);
    deflateEnd(&z);
    return ret == Z_STREAM_END ? size - 1 - z.avail_out : 0;
}

static u64 zstd_cluster(const u8 *cluster, u32 size, u8 *to)
{
#ifdef COSM_HAVE_ZSTD
    size_t len = ZSTD_compress(to, size - 1, cluster, size, ZSTD_CLEVEL_DEFAULT);

    return ZSTD_isError(len) ? 0 : len;
#else
    return 0;
#endif
}

/* Finds room for len bytes, right behind the ones before if they leave some. The lock is held. */
static int packed_room(struct qcow2 *q, u64 len, u64 *at)
{
    u64 left = q->packing ? q->cluster_size - qcow2_in_cluster(q, q->packing) : 0, first, got;
    int ret;

    if (left == q->cluster_size)
        left = 0;
    if (left) { /* the cluster that is begun gets one user more; data may go on in the next */
        ret = qcow2_count_add(q, q->packing >> q->h.cluster_bits, 1);
        if (ret == -ENOSPC)
            left = 0; /* its count is as high as can be */
        else if (ret)
            return ret;
    }
    if (left >= len) {
        *at = q->packing;
        q->packing += len;
        return 0;
    }
    ret = qcow2_allocate(q, 1, &first, &got);
    if (ret)
        return ret;
    if (left && first == (q->packing >> q->h.cluster_bits) + 1) {
        *at = q->packing;
    } else {
        if (left)
            ret = qcow2_count_add(q, q->packing >> q->h.cluster_bits, -1);
        *at = first << q->h.cluster_bits;
    }
    q->packing = *at + len;
    return ret;
}

static u64 packed_entry(const struct qcow2 *q, u64 at, u64 len)
{
    u32 bits = 62 - (q->h.cluster_bits - 8);
    u64 sectors = (at + len - 1) / QCOW2_SECTOR - at / QCOW2_SECTOR;

    return QCOW2_COMPRESSED | sectors << bits | at;
}

static int packed_write(struct qcow2 *q, u64 at, const u8 *bytes, u64 len)
{
    struct qcow2_meta *l2;
    u64 host, old;
    int ret = q->corrupt ? -EIO : qcow2_apply_frees(q);

    if (!ret)
        ret = packed_room(q, len, &host);
    if (!ret)
        ret = node_write_bytes(q->file, host, bytes, len);
    if (!ret)
        ret = qcow2_l2_for_write(q, at, &l2);
    if (ret)
        return ret;
    old = qcow2_l2_entry(q, l2, at);
    qcow2_l2_set(q, l2, at, packed_entry(q, host, len));
    return qcow2_free_entry(q, old);
}

int qcow2_write_compressed(struct node *node, u64 at, const void *bytes, u64 len)
{
    struct qcow2 *q = qcow2_of(node);
    AUTO_FREE u8 *cluster = NULL, *to = NULL;
    u64 packed;
    int ret;

    if (node->readonly)
        return -EROFS;
    if (qcow2_in_cluster(q, at) || !range_within(at, len, 0, node->size) || !len ||
        (len < q->cluster_size ? at + len != node->size : len != q->cluster_size))
        return -EINVAL;
    cluster = calloc(1, q->cluster_size);
    to = malloc(q->cluster_size);
    if (!cluster || !to)
        return -ENOMEM;
    memcpy(cluster, bytes, len);
    packed = (q->h.compression == QCOW2_ZSTD ? zstd_cluster : deflate_cluster)(cluster,
                                                                               q->cluster_size, to);
    if (!packed)
        return node_write_bytes(node, at, bytes, len);
    pthread_rwlock_wrlock(&q->io);
    pthread_mutex_lock(&q->lock);
    ret = packed_write(q, at, to, packed);
    pthread_mutex_unlock(&q->lock);
    pthread_rwlock_unlock(&q->io);
    return ret;
}
