/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes a cpio archive in the form "newc", as Linux takes initial file systems (its
 * Documentation/driver-api/early-userspace/buffer-format). All in it belongs to root.
 */
#ifndef COSM_STORE_CPIO_H
#define COSM_STORE_CPIO_H

#include "base/err.h"

#include <stdio.h>

struct cpio {
    FILE *file; /* the caller's; its own record of errors counts */
    u32 inode;
};

/* Names have no '/' first. The content of a file follows in cpio_write calls, size bytes in all. */
void cpio_folder(struct cpio *cpio, const char *name);
void cpio_symlink(struct cpio *cpio, const char *name, const char *target);
void cpio_file(struct cpio *cpio, const char *name, u32 mode, u64 size);
void cpio_write(struct cpio *cpio, const void *bytes, size_t len, bool last);

/* The end of the archive; 0 or -errno of all that was written. */
MUST_CHECK int cpio_finish(struct cpio *cpio);

#endif
