/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes an ISO 9660 image (ECMA-119) of one folder, file by file, so that a program can write a
 * file straight into it. Linux shows the names in lower case.
 */
#ifndef COSM_STORE_ISO_H
#define COSM_STORE_ISO_H

#include "base/err.h"

#define ISO_FILES_MAX 4096
#define ISO_NAME_MAX  12 /* "P0001.DEB" and the like */

struct iso_file {
    char name[ISO_NAME_MAX + 1]; /* capital letters, digits, at most one dot */
    u32 block;                   /* of 2048 bytes */
    u64 size;
};

struct iso {
    int fd;                /* the image, the caller's; files are written at its offset */
    struct iso_file *file; /* malloc'ed, as many as fit into the folder */
    u32 count, max;
};

/* Room for max files. */
MUST_CHECK int iso_begin(struct iso *iso, int fd, u32 max, struct err *err);
/* What is written at the offset of fd from now on is the file's, up to iso_end. */
MUST_CHECK int iso_file(struct iso *iso, const char *name, struct err *err);
MUST_CHECK int iso_end(struct iso *iso, struct err *err);
/* A whole file. */
MUST_CHECK int iso_put(struct iso *iso, const char *name, const void *bytes, size_t len,
                       struct err *err);
/* The folder and the volume. */
MUST_CHECK int iso_finish(struct iso *iso, struct err *err);
void iso_free(struct iso *iso);

#endif
