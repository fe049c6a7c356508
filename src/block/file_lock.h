/* SPDX-License-Identifier: BSD-2-Clause */
/* Locks of disk images, and who holds them. */
#ifndef COSM_BLOCK_FILE_LOCK_H
#define COSM_BLOCK_FILE_LOCK_H

#include "block/file.h"

/* Locks fd, shared or alone, until it is closed. -EBUSY with a sentence that names the holder. */
MUST_CHECK int file_lock(int fd, const char *path, const struct file_options *options,
                         struct err *err);

#endif
