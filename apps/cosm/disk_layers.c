/* SPDX-License-Identifier: BSD-2-Clause */
/* cosm disk rebase and commit: what an image lies on. */
#include "apps/cosm/disk_impl.h"
#include "apps/cosm/disk_vm.h"
#include "block/copy.h"
#include "host/scope.h"

#include <errno.h>
#include <string.h>

#define CHUNK (1 * MIB)

static int refuse_raw(const struct node *node, struct err *err)
{
    if (qcow2_is(node))
        return 0;
    err_set(err, ENOTSUP, "'%s' is a raw image, which lies on nothing", node->name);
    return DISK_FAILED;
}

static int read_padded(struct node *node, u64 at, u8 *bytes, u64 len)
{
    u64 there = !node || at >= node->size ? 0 : node->size - at < len ? node->size - at : len;

    memset(bytes + there, 0, len - there);
    return there ? node_read_bytes(node, at, bytes, there) : 0;
}

/* What the image does not have itself and the two backing files differ in is written to it. */
static int rebase_data(struct node *node, struct node *backing, struct disk_progress *progress)
{
    AUTO_FREE u8 *old = malloc(CHUNK), *new = malloc(CHUNK);
    int ret = old && new ? 0 : -ENOMEM;

    for (u64 at = 0, len; at < node->size && !ret; at += len) {
        int state = node_state(node, at, node->size - at < CHUNK ? node->size - at : CHUNK, &len);

        if (state < 0)
            return state;
        disk_progress(progress, at, node->size);
        if (state != NODE_ABSENT)
            continue;
        ret = read_padded(qcow2_backing(node), at, old, len);
        if (!ret)
            ret = read_padded(backing, at, new, len);
        if (!ret && memcmp(old, new, len))
            ret = node_write_bytes(node, at, old, len);
    }
    return ret;
}

static int rebase(const struct disk *d, struct node *node, const char *format, struct err *err)
{
    const struct disk_options *o = &d->o->disk;
    const char *name = o->backing_file && *o->backing_file ? o->backing_file : NULL;
    AUTO_FREE char *path = name ? drive_backing_path(node->name, name) : NULL;
    struct drive_options io = {.readonly = true};
    struct disk_progress progress;
    struct node *backing = NULL;
    int ret = 0;

    if (!o->unsafe) {
        if (name && (ret = disk_open(d, path, format, io, &backing, err)))
            return ret;
        disk_progress_init(&progress, d);
        ret = rebase_data(node, backing, &progress);
        disk_progress_end(&progress);
        node_close(backing);
    }
    if (ret) {
        err_set(err, -ret, "'%s' cannot be rebased: %s", node->name, strerror(-ret));
        return DISK_FAILED;
    }
    return qcow2_rename_backing(node, name, name ? format : NULL, err) ? DISK_FAILED : 0;
}

int disk_rebase(const struct disk *d, struct err *err)
{
    const struct disk_options *o = &d->o->disk;
    struct drive_options io = {.alone = o->unsafe};
    struct node *node;
    int ret;

    if (!o->backing_file) {
        err_set(err, EINVAL, "on what? -b FILE -F FORMAT, or -b '' for no backing file");
        return DISK_USAGE;
    }
    if (*o->backing_file && !o->backing_format) {
        err_set(err, EINVAL, "the format of the backing file is missing; add -F raw or -F qcow2");
        return DISK_USAGE;
    }
    ret = disk_open(d, d->arg[0], o->format, io, &node, err);
    if (ret)
        return ret;
    ret = refuse_raw(node, err);
    if (!ret)
        ret = rebase(d, node, o->backing_format, err);
    return disk_close(node, ret, err);
}

/* Copies to below what the image has itself. */
static int commit_data(struct node *node, struct node *below, struct disk_progress *progress)
{
    AUTO_FREE u8 *bytes = malloc(CHUNK);
    int ret = bytes ? 0 : -ENOMEM;

    for (u64 at = 0, len; at < node->size && !ret; at += len) {
        int state = node_state(node, at, node->size - at < CHUNK ? node->size - at : CHUNK, &len);

        if (state < 0)
            return state;
        disk_progress(progress, at, node->size);
        if (state == NODE_ZERO)
            ret = node_write_zeroes(below, at, len, true);
        if (state != NODE_DATA)
            continue;
        ret = node_read_bytes(node, at, bytes, len);
        if (!ret)
            ret = node_write_bytes(below, at, bytes, len);
    }
    return ret ? ret : node_flush(below);
}

static int commit(const struct disk *d, struct node *node, struct err *err)
{
    struct qcow2_info info;
    AUTO_FREE char *path = NULL;
    struct disk_progress progress;
    struct node *below;
    int ret;

    qcow2_get_info(node, &info);
    if (!*info.backing) {
        err_set(err, EINVAL, "'%s' lies on nothing, so there is nothing to commit to", node->name);
        return DISK_FAILED;
    }
    path = drive_backing_path(node->name, info.backing);
    ret = disk_open(d, path, *info.backing_format ? info.backing_format : NULL,
                    (struct drive_options){0}, &below, err);
    if (ret)
        return ret;
    if (below->size < node->size && node_resize(below, node->size, err)) {
        node_close(below);
        return DISK_FAILED;
    }
    disk_progress_init(&progress, d);
    ret = commit_data(node, below, &progress);
    disk_progress_end(&progress);
    node_close(below);
    if (!ret) /* what is below for certain may go here */
        return qcow2_forget(node, err) ? DISK_FAILED : 0;
    err_set(err, -ret, "'%s' cannot be committed: %s", node->name, strerror(-ret));
    return DISK_FAILED;
}

static int commit_in_vm(const struct disk *d, struct disk_vm *vm, struct err *err)
{
    struct disk_progress progress;
    int ret;

    disk_progress_init(&progress, d);
    ret = disk_vm_commit(vm, disk_progress, &progress, err);
    disk_progress_end(&progress);
    disk_vm_leave(vm);
    return ret ? DISK_FAILED : 0;
}

int disk_commit(const struct disk *d, struct err *err)
{
    struct disk_vm vm;
    struct node *node;
    int ret;

    if (!d->o->disk.backing) {
        err_set(err, EPERM,
                "commit writes to the backing file that '%s' names; allow it with --backing",
                d->arg[0]);
        return DISK_FAILED;
    }
    ret = disk_open(d, d->arg[0], d->o->disk.format, (struct drive_options){.alone = true}, &node,
                    err);
    if (ret == DISK_FAILED && disk_vm_find(d->arg[0], &vm))
        return commit_in_vm(d, &vm, err);
    if (ret)
        return ret;
    ret = refuse_raw(node, err);
    if (!ret)
        ret = commit(d, node, err);
    return disk_close(node, ret, err);
}
