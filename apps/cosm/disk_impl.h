/* SPDX-License-Identifier: BSD-2-Clause */
/* The verbs of cosm disk; for apps/cosm/disk*.c alone. */
#ifndef COSM_APPS_DISK_IMPL_H
#define COSM_APPS_DISK_IMPL_H

#include "apps/cosm/options.h"
#include "block/drive.h"
#include "block/qcow2.h"

enum { DISK_FAILED = -1, DISK_USAGE = -2 };

/* What a verb gets: the operands behind it, as many as it wants. */
struct disk {
    const struct options *o;
    char **arg;
    u32 args;
    struct log log; /* warnings, on standard error */
};

/* Each returns the exit status, DISK_FAILED or DISK_USAGE. */
int disk_create(const struct disk *d, struct err *err);
int disk_convert(const struct disk *d, struct err *err);
int disk_compare(const struct disk *d, struct err *err);
int disk_info(const struct disk *d, struct err *err);
int disk_check(const struct disk *d, struct err *err);
int disk_snapshot(const struct disk *d, struct err *err);
int disk_rebase(const struct disk *d, struct err *err);
int disk_commit(const struct disk *d, struct err *err);
int disk_serve(const struct disk *d, struct err *err);

/* disk.c */
/* Opens an image in the format that text tells; NULL: by its name. */
MUST_CHECK int disk_open(const struct disk *d, const char *path, const char *format,
                         struct drive_options options, struct node **node, struct err *err);
MUST_CHECK int disk_format(const char *text, const char *path, enum drive_format *format,
                           struct err *err);
/* "10G": bytes, or with a letter of k, M, G, T. */
MUST_CHECK bool disk_size(const char *text, u64 *size);
/* Closes it, and says so if what was written may not have reached the disk. */
MUST_CHECK int disk_close(struct node *node, int status, struct err *err);

/* disk_create.c: makes an image with -o's options; the node is open for writing. */
MUST_CHECK int disk_make(const struct disk *d, const char *path, const char *format, u64 size,
                         struct node **node, struct err *err);

/* disk_convert.c: a bar on standard error, if it is a terminal or -p is given. */
struct disk_progress {
    bool shown;
    int percent;
};
void disk_progress_init(struct disk_progress *p, const struct disk *d);
bool disk_progress(void *ctx, u64 done, u64 total);
void disk_progress_end(const struct disk_progress *p);

/* disk_info.c */
void disk_print_string(const char *text); /* as JSON writes it */

#endif
