/* SPDX-License-Identifier: BSD-2-Clause */
/* Disk images by name: which format they have, and what lies below them. */
#ifndef COSM_BLOCK_DRIVE_H
#define COSM_BLOCK_DRIVE_H

#include "base/log.h"
#include "block/file.h"
#include "block/filter.h"

/* BY_NAME: qcow2 if the name ends so, else raw. What is in a file never decides. */
enum drive_format { DRIVE_BY_NAME, DRIVE_RAW, DRIVE_QCOW2 };

struct drive_options {
    enum drive_format format;
    bool readonly;
    bool backing;    /* the file may name another that is opened below it */
    bool keep_reads; /* what is read from below stays in the image: copy-on-read */
    bool alone;      /* backing files are left alone: for who looks at the image itself */
    bool check_only; /* no damage keeps it from being opened, and nothing is repaired by itself */
    const struct log *log;
    file_holder_fn name_holder; /* may be NULL */
    u32 reconnect_s;            /* of NBD, see block/nbd_client.h */
    struct throttle throttle;   /* filters on top */
    struct fault fault;
};

/*
 * Opens an image and, if allowed, what it lies on; all of it is locked. Or connects to an NBD
 * server, of which path is the URI.
 */
MUST_CHECK int drive_open(struct node **node, const char *path, const struct drive_options *options,
                          struct err *err);

/* "raw", "qcow2"; false: unknown. */
bool drive_format_parse(const char *name, enum drive_format *format);
/* RAW or QCOW2, for a name. */
enum drive_format drive_format_of(const char *path);
const char *drive_format_name(enum drive_format format);

/* The file of a node of drive_open. */
struct node *drive_file(struct node *node);

/* Where a backing file's name leads, seen from the image that names it. malloc'ed, or NULL. */
char *drive_backing_path(const char *image, const char *backing);

#endif
