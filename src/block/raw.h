/* SPDX-License-Identifier: BSD-2-Clause */
/* Raw disk images: a file or block device as a struct blk, with one worker thread. */
#ifndef COSM_BLOCK_RAW_H
#define COSM_BLOCK_RAW_H

#include "base/err.h"
#include "port/blk.h"

/*
 * Opens path; the image is locked against other users (shared if readonly). Its size must be a
 * multiple of BLK_SECTOR. 0 or -errno with a sentence in err.
 */
MUST_CHECK int raw_open(struct blk **blk, const char *path, bool readonly, struct err *err);

/* Requests are done by those who submit them, from now on. Before the first one. */
void raw_work_inline(struct blk *blk);

/* Finishes what was submitted, then flushes and closes. NULL is allowed. */
void raw_close(struct blk *blk);

#endif
