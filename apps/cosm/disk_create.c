/* SPDX-License-Identifier: BSD-2-Clause */
/* cosm disk create: new images. */
#include "apps/cosm/disk_impl.h"
#include "block/file.h"
#include "host/scope.h"

#include <errno.h>
#include <string.h>

static int option_switch(const char *value, bool *on)
{
    *on = !strcmp(value, "on");
    return *on || !strcmp(value, "off") ? 0 : -EINVAL;
}

static int option_size(const char *value, u32 *to)
{
    u64 n;

    if (!disk_size(value, &n) || n > UINT32_MAX || !n)
        return -EINVAL;
    *to = (u32)n;
    return 0;
}

static int option_compression(const char *value, enum qcow2_compression *to)
{
    *to = !strcmp(value, "zstd") ? QCOW2_ZSTD : QCOW2_ZLIB;
    return *to == QCOW2_ZSTD || !strcmp(value, "zlib") ? 0 : -EINVAL;
}

/* One of QEMU's options for qcow2. -ENOENT: there is none of this name. */
static int option_take(struct qcow2_create *c, const char *key, const char *value)
{
    bool on;

    if (!strcmp(key, "cluster_size"))
        return option_size(value, &c->cluster_size);
    if (!strcmp(key, "refcount_bits"))
        return option_size(value, &c->refcount_bits);
    if (!strcmp(key, "lazy_refcounts"))
        return option_switch(value, &c->lazy_refcounts);
    if (!strcmp(key, "compression_type"))
        return option_compression(value, &c->compression);
    if (!strcmp(key, "size"))
        return disk_size(value, &c->size) ? 0 : -EINVAL;
    if (!strcmp(key, "backing_file"))
        c->backing = value;
    else if (!strcmp(key, "backing_fmt"))
        c->backing_format = value;
    else if (!strcmp(key, "compat"))
        return strcmp(value, "1.1") && strcmp(value, "v3") ? -EINVAL : 0;
    else if (!strcmp(key, "preallocation"))
        return strcmp(value, "off") ? -EINVAL : 0;
    else if (!strcmp(key, "extended_l2"))
        return option_switch(value, &on) || on ? -EINVAL : 0;
    else
        return -ENOENT;
    return 0;
}

/* Takes "a=b,c=d" apart, in text itself. */
static int options_take(char *text, bool raw, struct qcow2_create *c, struct err *err)
{
    while (text && *text) {
        char *item = text, *value;
        int ret;

        text += strcspn(text, ",");
        if (*text)
            *text++ = '\0';
        value = strchr(item, '=');
        if (value)
            *value++ = '\0';
        ret = !value || (raw && strcmp(item, "size")) ? -ENOENT : option_take(c, item, value);
        if (!ret)
            continue;
        if (ret == -ENOENT)
            err_set(err, EINVAL, "-o %.64s is not known of a %s image", item,
                    raw ? "raw" : "qcow2");
        else
            err_set(err, EINVAL, "-o %.64s=%.64s is not possible here", item, value);
        return DISK_USAGE;
    }
    return 0;
}

static int make_raw(struct node *file, u64 size, struct err *err)
{
    return node_resize(file, size, err) ? DISK_FAILED : 0;
}

static int make_qcow2(struct node **node, struct node *file, const struct qcow2_create *c,
                      struct err *err)
{
    if (qcow2_create(file, c, err) || qcow2_open(node, file, false, NULL, err))
        return DISK_FAILED;
    return 0;
}

static int make(const char *path, enum drive_format format, const struct qcow2_create *c,
                struct node **node, struct err *err)
{
    const struct file_options fo = {.create = true, .growable = format == DRIVE_QCOW2};
    struct node *file;
    int ret;

    if (file_open(&file, path, &fo, err))
        return DISK_FAILED;
    *node = file;
    ret = format == DRIVE_QCOW2 ? make_qcow2(node, file, c, err) : make_raw(file, c->size, err);
    if (ret)
        node_close(file);
    return ret;
}

int disk_make(const struct disk *d, const char *path, const char *format_name, u64 size,
              struct node **node, struct err *err)
{
    AUTO_FREE char *text = d->o->disk.options ? strdup(d->o->disk.options) : NULL;
    struct qcow2_create c = {.size = size};
    enum drive_format format;
    int ret = disk_format(format_name, path, &format, err);

    if (!ret)
        ret = options_take(text, format == DRIVE_RAW, &c, err);
    return ret ? ret : make(path, format, &c, node, err);
}

/* The backing file must be there; without a size, the image is as large. */
static int check_backing(const struct disk *d, const char *path, struct qcow2_create *c,
                         bool has_size, struct err *err)
{
    AUTO_FREE char *name = drive_backing_path(path, c->backing);
    struct drive_options io = {.readonly = true, .alone = true};
    struct node *backing;
    int ret;

    if (!name) {
        err_set(err, ENOMEM, "out of memory");
        return DISK_FAILED;
    }
    if (!c->backing_format) {
        err_set(err, EINVAL, "the format of the backing file is missing; add -F raw or -F qcow2");
        return DISK_USAGE;
    }
    if (d->o->disk.unsafe && has_size)
        return 0;
    ret = disk_open(d, name, c->backing_format, io, &backing, err);
    if (ret)
        return ret;
    if (!has_size)
        c->size = (backing->size + BLK_SECTOR - 1) / BLK_SECTOR * BLK_SECTOR;
    node_close(backing);
    return 0;
}

int disk_create(const struct disk *d, struct err *err)
{
    const struct disk_options *o = &d->o->disk;
    AUTO_FREE char *text = o->options ? strdup(o->options) : NULL;
    struct qcow2_create c = {
        .size = UINT64_MAX, .backing = o->backing_file, .backing_format = o->backing_format};
    enum drive_format format;
    struct node *node;
    int ret = disk_format(o->format, d->arg[0], &format, err);

    if (!ret && d->args > 1 && !disk_size(d->arg[1], &c.size)) {
        err_set(err, EINVAL, "'%.64s' is no size; give a number with k, M, G or T", d->arg[1]);
        ret = DISK_USAGE;
    }
    if (!ret)
        ret = options_take(text, format == DRIVE_RAW, &c, err);
    if (!ret && c.backing && format == DRIVE_RAW) {
        err_set(err, EINVAL, "a raw image has no backing file; make a qcow2 image");
        ret = DISK_USAGE;
    }
    if (!ret && c.backing)
        ret = check_backing(d, d->arg[0], &c, c.size != UINT64_MAX, err);
    if (!ret && c.size == UINT64_MAX) {
        err_set(err, EINVAL, "how large? for instance: cosm disk create '%.64s' 10G", d->arg[0]);
        ret = DISK_USAGE;
    }
    c.size = (c.size + BLK_SECTOR - 1) / BLK_SECTOR * BLK_SECTOR;
    if (!ret)
        ret = make(d->arg[0], format, &c, &node, err);
    return ret ? ret : disk_close(node, 0, err);
}
