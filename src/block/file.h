/* SPDX-License-Identifier: BSD-2-Clause */
/* Files and block devices of the host as nodes, locked against other users. */
#ifndef COSM_BLOCK_FILE_H
#define COSM_BLOCK_FILE_H

#include "block/node.h"

/* The name of the VM that a process is; false: it is none. */
typedef bool (*file_holder_fn)(long pid, char *name, size_t size);

struct file_options {
    bool readonly;
    bool growable; /* a format stands above, which minds the size */
    bool create;   /* a new file of no bytes; one that exists is cut, once it is locked */
    file_holder_fn name_holder; /* for who is told that the file is in use; may be NULL */
};

/*
 * Opens path and locks it: shared if readonly, else alone. The locks are those of open file
 * descriptions, and placed so that QEMU's tools and cosm refuse each other.
 */
MUST_CHECK int file_open(struct node **node, const char *path, const struct file_options *options,
                         struct err *err);

/* The same of a descriptor that somebody has opened as options say; it is closed in any case. */
MUST_CHECK int file_adopt(struct node **node, int fd, const char *path,
                          const struct file_options *options, struct err *err);

/*
 * Another descriptor for the same file, locked anew, which may be written or not. fd: opened
 * fittingly, it is closed in any case; -1: opened here. Where that fails the file can be read.
 * Nobody else uses the node meanwhile.
 */
MUST_CHECK int file_reopen(struct node *node, int fd, bool readonly, file_holder_fn name_holder,
                           struct err *err);

/* It is only read from now on: others may read it, too. */
void file_share(struct node *node);

/* Does path lead to the file of a node of file_open? */
bool file_is_path(const struct node *node, const char *path);

/* How many bytes it has now, and how many it occupies, which of other nodes is not known. */
MUST_CHECK int file_length(const struct node *node, u64 *length, u64 *occupied);

#endif
