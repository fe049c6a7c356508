/* SPDX-License-Identifier: BSD-2-Clause */
/* Disk images by name: which format they have, and what lies below them. */
#include "block/drive.h"

#include "base/endian.h"
#include "block/cor.h"
#include "block/nbd.h"
#include "block/nbd_client.h"
#include "block/qcow2.h"
#include "host/scope.h"

#include <errno.h>
#include <string.h>

#define DEPTH_MAX 64 /* images on top of each other */

/* The images above the one that is opened. */
struct above {
    struct node *file;
    const struct above *next;
    u32 depth;
};

bool drive_format_parse(const char *name, enum drive_format *format)
{
    if (!strcmp(name, "raw"))
        *format = DRIVE_RAW;
    else if (!strcmp(name, "qcow2"))
        *format = DRIVE_QCOW2;
    else
        return false;
    return true;
}

enum drive_format drive_format_of(const char *path)
{
    size_t len = strlen(path);

    return len > 6 && !strcmp(path + len - 6, ".qcow2") ? DRIVE_QCOW2 : DRIVE_RAW;
}

const char *drive_format_name(enum drive_format format)
{
    return format == DRIVE_QCOW2 ? "qcow2" : "raw";
}

struct node *drive_file(struct node *node)
{
    node = filter_below(node);
    return qcow2_is(node) ? qcow2_file(node) : node;
}

char *drive_backing_path(const char *image, const char *backing)
{
    const char *slash = strrchr(image, '/');
    size_t folder = slash && *backing != '/' ? (size_t)(slash - image) + 1 : 0;
    char *path;

    if (!strncmp(backing, "file:", 5))
        return drive_backing_path(image, backing + 5);
    path = malloc(folder + strlen(backing) + 1);
    if (!path)
        return NULL;
    memcpy(path, image, folder);
    memcpy(path + folder, backing, strlen(backing) + 1);
    return path;
}

static int open_layer(struct node **node, const char *path, const struct drive_options *o,
                      const struct above *above, struct err *err);

static int backing_refuse(const char *path, const struct qcow2_info *info, u32 depth,
                          const struct drive_options *o, struct err *err)
{
    if (!o->backing)
        return err_set(err, EPERM,
                       "'%s' has the backing file '%s', which is opened only if you allow it; add "
                       "backing=on (cosm disk: --backing)",
                       path, info->backing);
    if (!strncmp(info->backing, "json:", 5) || strstr(info->backing, "://"))
        return err_set(err, ENOTSUP,
                       "'%s' has the backing file '%s'; only plain files are supported", path,
                       info->backing);
    if (depth == DEPTH_MAX)
        return err_set(err, ELOOP, "'%s': more than %d images lie on top of each other", path,
                       DEPTH_MAX);
    return 0;
}

static int open_backing(struct node *node, const char *path, const struct drive_options *o,
                        const struct above *above, struct err *err)
{
    struct drive_options below = *o;
    struct qcow2_info info;
    struct above here = {qcow2_file(node), above, above ? above->depth + 1 : 1};
    AUTO_FREE char *name = NULL;
    struct node *backing;
    int ret;

    qcow2_get_info(node, &info);
    if (!*info.backing || o->alone)
        return 0;
    ret = backing_refuse(path, &info, here.depth, o, err);
    if (ret)
        return ret;
    name = drive_backing_path(path, info.backing);
    if (!name)
        return err_set(err, ENOMEM, "'%s': out of memory", path);
    below.format = DRIVE_BY_NAME;
    if (*info.backing_format && !drive_format_parse(info.backing_format, &below.format))
        return err_set(err, ENOTSUP,
                       "'%s' has a backing file in the format '%s', which is not known", path,
                       info.backing_format);
    below.readonly = true;
    below.check_only = false;
    ret = open_layer(&backing, name, &below, &here, err);
    if (!ret)
        qcow2_set_backing(node, backing);
    return ret;
}

static int open_qcow2(struct node **node, struct node *file, const char *path,
                      const struct drive_options *o, const struct above *above, struct err *err)
{
    struct node *image;
    int ret = qcow2_open(&image, file, o->check_only, o->log, err);

    if (ret) {
        node_close(file);
        return ret;
    }
    ret = open_backing(image, path, o, above, err);
    if (ret) {
        node_close(image);
        return ret;
    }
    *node = image;
    return 0;
}

/* A guest that writes qcow2's first bytes to its raw disk must not gain by it: nobody is asked then
 * but the user. */
static int check_raw(struct node *file, const char *path, const struct drive_options *o,
                     struct err *err)
{
    u8 magic[4] = {0};

    if (o->format == DRIVE_RAW || file->size < sizeof(magic) ||
        node_read_bytes(file, 0, magic, sizeof(magic)) || be32_load(magic) != 0x514649fb)
        return 0;
    return err_set(
        err, EINVAL,
        "'%s' begins as a qcow2 image but is not named so; say format=qcow2 or format=raw", path);
}

static int open_layer(struct node **node, const char *path, const struct drive_options *o,
                      const struct above *above, struct err *err)
{
    enum drive_format format = o->format ? o->format : drive_format_of(path);
    struct file_options fo = {
        .readonly = o->readonly, .growable = format == DRIVE_QCOW2, .name_holder = o->name_holder};
    struct node *file;
    int ret = 0;

    for (const struct above *a = above; a && !ret; a = a->next)
        if (file_is_path(a->file, path))
            ret = err_set(err, ELOOP, "'%s' is its own backing file, directly or by others", path);
    if (!ret)
        ret = file_open(&file, path, &fo, err);
    if (ret)
        return ret;
    if (format == DRIVE_QCOW2)
        return open_qcow2(node, file, path, o, above, err);
    ret = check_raw(file, path, o, err);
    if (ret)
        node_close(file);
    else
        *node = file;
    return ret;
}

/* Puts filters on an image that is open. Closes it if that fails. */
static int add_filters(struct node **node, const struct drive_options *o, struct err *err)
{
    int ret = 0;

    if (o->keep_reads && (!qcow2_is(*node) || !qcow2_backing(*node) || o->readonly))
        ret = err_set(err, EINVAL,
                      "'%.200s': copy-on-read=on is for a qcow2 image that lies on another and may "
                      "be written",
                      (*node)->name);
    else if (o->keep_reads)
        ret = cor_open(node, *node, err);
    if (!ret && o->fault.ops)
        ret = fault_open(node, *node, &o->fault, err);
    if (!ret && (o->throttle.iops || o->throttle.bps))
        ret = throttle_open(node, *node, &o->throttle, err);
    if (ret)
        node_close(*node);
    return ret;
}

static int open_nbd(struct node **node, const char *uri, const struct drive_options *o,
                    struct err *err)
{
    const struct nbd_options options = {.readonly = o->readonly, .reconnect_s = o->reconnect_s};

    if (o->format == DRIVE_QCOW2)
        return err_set(err, ENOTSUP,
                       "'%.200s': a qcow2 image cannot be used by way of NBD; let the server open "
                       "it, as 'cosm disk serve' does",
                       uri);
    return nbd_open(node, uri, &options, err);
}

int drive_open(struct node **node, const char *path, const struct drive_options *options,
               struct err *err)
{
    struct node *image;
    int ret = nbd_is_uri(path) ? open_nbd(&image, path, options, err)
                               : open_layer(&image, path, options, NULL, err);

    if (!ret)
        ret = add_filters(&image, options, err);
    if (!ret)
        *node = image;
    return ret;
}
