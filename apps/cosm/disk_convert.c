/* SPDX-License-Identifier: BSD-2-Clause */
/* cosm disk convert and compare. */
#include "apps/cosm/disk_impl.h"
#include "block/copy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BAR 50 /* characters */

void disk_progress_init(struct disk_progress *p, const struct disk *d)
{
    p->shown = !d->o->disk.quiet && (d->o->disk.progress || isatty(STDERR_FILENO));
    p->percent = -1;
}

bool disk_progress(void *ctx, u64 done, u64 total)
{
    static const char full[BAR + 1] = "##################################################";
    struct disk_progress *p = ctx;
    int percent = total ? (int)((double)done / (double)total * 100) : 100;

    if (!p->shown || percent == p->percent)
        return true;
    p->percent = percent;
    fprintf(stderr, "\r[%-*.*s] %3d %%", BAR, percent * BAR / 100, full, percent);
    fflush(stderr);
    return true;
}

void disk_progress_end(const struct disk_progress *p)
{
    if (p->shown && p->percent >= 0)
        fputc('\n', stderr);
}

static int convert_to(const struct disk *d, struct node *from, struct node *to, struct err *err)
{
    struct disk_progress progress;
    struct copy_options o = {.compressed = d->o->disk.compress,
                             .target_is_blank = true,
                             .progress = disk_progress,
                             .ctx = &progress};
    int ret;

    if (qcow2_is(to)) {
        struct qcow2_info info;

        qcow2_get_info(to, &info);
        o.chunk = info.cluster_size;
    }
    disk_progress_init(&progress, d);
    ret = copy_disk(from, to, &o);
    disk_progress_end(&progress);
    if (!ret)
        return 0;
    err_set(err, -ret, "'%s' cannot be converted to '%s': %s", from->name, to->name,
            strerror(-ret));
    return DISK_FAILED;
}

int disk_convert(const struct disk *d, struct err *err)
{
    const struct disk_options *o = &d->o->disk;
    struct drive_options io = {.readonly = true};
    enum drive_format format;
    struct node *from, *to;
    int ret = disk_format(o->output_format, d->arg[1], &format, err);

    if (!ret && o->compress && format != DRIVE_QCOW2) {
        err_set(err, EINVAL, "only a qcow2 image can be compressed; add -O qcow2");
        ret = DISK_USAGE;
    }
    if (!ret)
        ret = disk_open(d, d->arg[0], o->format, io, &from, err);
    if (ret)
        return ret;
    ret = disk_make(d, d->arg[1], drive_format_name(format),
                    (from->size + BLK_SECTOR - 1) / BLK_SECTOR * BLK_SECTOR, &to, err);
    if (!ret) {
        ret = convert_to(d, from, to, err);
        ret = disk_close(to, ret, err);
    }
    node_close(from);
    return ret;
}

int disk_compare(const struct disk *d, struct err *err)
{
    const struct disk_options *o = &d->o->disk;
    struct drive_options io = {.readonly = true};
    struct node *a, *b;
    u64 at, size;
    int ret = disk_open(d, d->arg[0], o->format, io, &a, err);

    if (ret)
        return ret;
    ret = disk_open(d, d->arg[1], o->backing_format, io, &b, err);
    if (ret) {
        node_close(a);
        return ret;
    }
    ret = copy_compare(a, b, &at);
    size = a->size > b->size ? a->size : b->size;
    if (ret) {
        err_set(err, -ret, "'%s' and '%s' cannot be compared: %s", a->name, b->name,
                strerror(-ret));
        ret = DISK_FAILED;
    } else if (at < size) {
        if (!o->quiet)
            printf("Content mismatch at offset %llu!\n", (unsigned long long)at);
        ret = 1;
    } else if (!o->quiet) {
        printf("Images are identical.\n");
    }
    node_close(a);
    node_close(b);
    return ret;
}
