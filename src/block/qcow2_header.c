/* SPDX-License-Identifier: BSD-2-Clause */
/* The qcow2 header: every field is checked before anything relies on it. */
#include "block/qcow2_impl.h"

#include "base/checked.h"
#include "base/endian.h"

#include <errno.h>
#include <string.h>

static int header_versions(struct qcow2 *q, struct err *err)
{
    struct qcow2_header *h = &q->h;
    const u8 *s = q->sector;

    if (be32_load(s) != QCOW2_MAGIC)
        return err_set(err, EINVAL, "'%s' is no qcow2 image; for raw bytes, say format=raw",
                       q->node.name);
    h->version = be32_load(s + 4);
    if (h->version != 2 && h->version != 3)
        return err_set(err, ENOTSUP, "'%s' is a qcow2 image of version %u; only 2 and 3 are known",
                       q->node.name, h->version);
    if (h->version == 2 && !q->file->readonly)
        return err_set(
            err, ENOTSUP,
            "'%s' is a qcow2 image of version 2, which is only read; make a new one with: "
            "cosm disk convert -O qcow2",
            q->node.name);
    return 0;
}

static void header_load(struct qcow2_header *h, const u8 *s)
{
    h->backing_at = be64_load(s + 8);
    h->backing_len = be32_load(s + 16);
    h->cluster_bits = be32_load(s + 20);
    h->size = be64_load(s + 24);
    h->l1_size = be32_load(s + 36);
    h->l1_at = be64_load(s + 40);
    h->reftable_at = be64_load(s + 48);
    h->reftable_clusters = be32_load(s + 56);
    h->snapshots = be32_load(s + 60);
    h->snapshots_at = be64_load(s + 64);
    h->refcount_order = 4;
    h->length = 72;
    if (h->version == 2)
        return;
    h->incompatible = be64_load(s + 72);
    h->compatible = be64_load(s + 80);
    h->autoclear = be64_load(s + 88);
    h->refcount_order = be32_load(s + 96);
    h->length = be32_load(s + 100);
    if (h->length > QCOW2_HEADER_V3)
        h->compression = s[104];
}

static int header_features(struct qcow2 *q, struct err *err)
{
    static const char *const names[] = {"dirty", "corrupt", "external data file",
                                        "compression type", "extended L2"};
    u64 known = QCOW2_DIRTY | QCOW2_CORRUPT | QCOW2_COMPRESSION | QCOW2_EXTENDED_L2;
    u64 unknown = q->h.incompatible & ~known;
    u32 bit;

    if (be32_load(q->sector + 32))
        return err_set(
            err, ENOTSUP,
            "'%s' is encrypted, which is not supported; decrypt it with qemu-img convert",
            q->node.name);
    if (unknown) {
        bit = (u32)__builtin_ctzll(unknown);
        return err_set(err, ENOTSUP,
                       "'%s' uses a feature of qcow2 that is not supported: %s (bit %u)",
                       q->node.name, bit < ARRAY_SIZE(names) ? names[bit] : "an unknown one", bit);
    }
    if (!(q->h.incompatible & QCOW2_COMPRESSION) != (q->h.compression == QCOW2_ZLIB))
        return err_set(err, EINVAL, "'%s' contradicts itself about how it is compressed",
                       q->node.name);
    if (q->h.compression != QCOW2_ZLIB && q->h.compression != QCOW2_ZSTD)
        return err_set(err, ENOTSUP, "'%s' is compressed in an unknown way (%u)", q->node.name,
                       (u32)q->h.compression);
    if (q->h.incompatible & QCOW2_EXTENDED_L2 && !q->file->readonly)
        return err_set(err, ENOTSUP,
                       "'%s' has subclusters (extended L2), which are only read; attach it "
                       "read-only, or convert it",
                       q->node.name);
    return 0;
}

static int header_field(const struct qcow2 *q, const char *field, u64 value, struct err *err)
{
    return err_set(err, EINVAL, "'%s' is damaged: its header's %s is %llu", q->node.name, field,
                   (unsigned long long)value);
}

static bool table_is_sane(const struct qcow2 *q, u64 at, u64 bytes)
{
    u64 end;

    return !qcow2_in_cluster(q, at) && at && checked_add(at, bytes, &end) && end <= QCOW2_FILE_MAX;
}

static int header_fields(struct qcow2 *q, struct err *err)
{
    const struct qcow2_header *h = &q->h;
    u64 l2_covers, needed;
    bool extended = h->incompatible & QCOW2_EXTENDED_L2;

    if (h->cluster_bits < (extended ? 14 : 9) || h->cluster_bits > 21)
        return header_field(q, "cluster_bits", h->cluster_bits, err);
    q->cluster_size = 1u << h->cluster_bits;
    q->l2_entry_size = extended ? 16 : 8;
    q->l2_entries = q->cluster_size / q->l2_entry_size;
    if (h->version == 3 &&
        (h->length < QCOW2_HEADER_V3 || h->length > q->cluster_size || h->length % 8))
        return header_field(q, "length", h->length, err);
    if (h->refcount_order > 6)
        return header_field(q, "refcount_order", h->refcount_order, err);
    if (h->size > QCOW2_FILE_MAX || h->size % BLK_SECTOR)
        return header_field(q, "size", h->size, err);
    l2_covers = (u64)q->l2_entries << h->cluster_bits;
    needed = h->size / l2_covers + !!(h->size % l2_covers);
    if (h->l1_size > QCOW2_L1_MAX / 8 || h->l1_size < needed)
        return header_field(q, "L1 size", h->l1_size, err);
    if (h->l1_size && !table_is_sane(q, h->l1_at, h->l1_size * UINT64_C(8)))
        return header_field(q, "L1 offset", h->l1_at, err);
    if (!h->reftable_clusters || h->reftable_clusters > QCOW2_REFTABLE_MAX >> h->cluster_bits)
        return header_field(q, "count of refcount table clusters", h->reftable_clusters, err);
    if (!table_is_sane(q, h->reftable_at, (u64)h->reftable_clusters << h->cluster_bits))
        return header_field(q, "refcount table offset", h->reftable_at, err);
    if (h->snapshots > QCOW2_SNAPSHOTS_MAX)
        return header_field(q, "count of snapshots", h->snapshots, err);
    if (h->snapshots && !table_is_sane(q, h->snapshots_at, 0))
        return header_field(q, "snapshot offset", h->snapshots_at, err);
    return 0;
}

/* Names go to terminals and to open(2). */
static bool name_is_sane(const char *name, u32 len)
{
    for (u32 i = 0; i < len; i++)
        if ((u8)name[i] < ' ' || (u8)name[i] == 0x7f)
            return false;
    return true;
}

static int header_extensions(struct qcow2 *q, struct err *err)
{
    u64 at = q->h.length, end = q->h.backing_at ? q->h.backing_at : q->cluster_size;

    while (at + 8 <= end) {
        u8 head[8];
        int ret = node_read_bytes(q->file, at, head, 8);
        u32 type = be32_load(head), len = be32_load(head + 4);

        if (ret)
            return err_set(err, -ret, "'%s' cannot be read: %s", q->node.name, strerror(-ret));
        if (type == QCOW2_EXT_END)
            return 0;
        at += 8;
        if (len > end - at)
            return header_field(q, "extension's length", len, err);
        if (type == QCOW2_EXT_ENCRYPTED)
            return err_set(err, ENOTSUP, "'%s' is encrypted, which is not supported", q->node.name);
        if (type == QCOW2_EXT_BACKING) {
            if (len >= sizeof(q->backing_format))
                return header_field(q, "backing format's length", len, err);
            ret = node_read_bytes(q->file, at, q->backing_format, len);
            if (ret || !name_is_sane(q->backing_format, len))
                return header_field(q, "backing format, of bytes", len, err);
        }
        at += align_up(len, 8);
    }
    return 0;
}

static int header_backing(struct qcow2 *q, struct err *err)
{
    u32 len = q->h.backing_len;
    u64 at = q->h.backing_at;

    if (!at || !len)
        return 0;
    if (len > QCOW2_NAME_MAX || !range_within(at, len, q->h.length, q->cluster_size - q->h.length))
        return header_field(q, "backing file's name, at", at, err);
    if (node_read_bytes(q->file, at, q->backing_name, len) || !name_is_sane(q->backing_name, len))
        return header_field(q, "backing file's name, of bytes", len, err);
    return 0;
}

int qcow2_header_read(struct qcow2 *q, struct err *err)
{
    int ret = node_read_bytes(q->file, 0, q->sector, sizeof(q->sector));

    if (ret)
        return err_set(err, -ret, "'%s' cannot be read: %s", q->node.name, strerror(-ret));
    ret = header_versions(q, err);
    if (ret)
        return ret;
    header_load(&q->h, q->sector);
    ret = header_features(q, err);
    if (!ret)
        ret = header_fields(q, err);
    if (!ret && q->h.backing_at > q->cluster_size)
        ret = header_field(q, "backing file's name, at", q->h.backing_at, err);
    if (!ret)
        ret = header_extensions(q, err);
    return ret ? ret : header_backing(q, err);
}

static void header_store(const struct qcow2_header *h, u8 *s)
{
    be32_store(s, QCOW2_MAGIC);
    be32_store(s + 4, 3);
    be64_store(s + 8, h->backing_at);
    be32_store(s + 16, h->backing_len);
    be32_store(s + 20, h->cluster_bits);
    be64_store(s + 24, h->size);
    be32_store(s + 36, h->l1_size);
    be64_store(s + 40, h->l1_at);
    be64_store(s + 48, h->reftable_at);
    be32_store(s + 56, h->reftable_clusters);
    be32_store(s + 60, h->snapshots);
    be64_store(s + 64, h->snapshots_at);
    be64_store(s + 72, h->incompatible);
    be64_store(s + 80, h->compatible);
    be64_store(s + 88, h->autoclear);
    be32_store(s + 96, h->refcount_order);
    be32_store(s + 100, h->length);
    if (h->length > QCOW2_HEADER_V3)
        s[104] = (u8)h->compression;
}

int qcow2_header_write(struct qcow2 *q)
{
    u8 sector[QCOW2_SECTOR];
    int ret;

    memcpy(sector, q->sector, sizeof(sector));
    header_store(&q->h, sector);
    ret = node_write_bytes(q->file, 0, sector, sizeof(sector));
    if (!ret)
        memcpy(q->sector, sector, sizeof(sector));
    return ret;
}

s64 qcow2_header_make(struct qcow2 *q, u8 *bytes, u64 room)
{
    u32 format = (u32)strlen(q->backing_format), name = (u32)strlen(q->backing_name);
    u64 at = QCOW2_HEADER, need = at + 8 + (format ? 8 + align_up(format, 8) : 0) + name;

    if (need > room || need > q->cluster_size)
        return -ENOSPC;
    memset(bytes, 0, room);
    q->h.length = QCOW2_HEADER;
    if (format) {
        be32_store(bytes + at, QCOW2_EXT_BACKING);
        be32_store(bytes + at + 4, format);
        memcpy(bytes + at + 8, q->backing_format, format);
        at += 8 + align_up(format, 8);
    }
    at += 8; /* the end of extensions is zeroes */
    q->h.backing_at = name ? at : 0;
    q->h.backing_len = name;
    memcpy(bytes + at, q->backing_name, name);
    header_store(&q->h, bytes);
    return (s64)(at + name);
}
