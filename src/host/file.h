/* SPDX-License-Identifier: BSD-2-Clause */
/* Whole files: read with a bound, written so that a reader sees all or nothing. */
#ifndef COSM_HOST_FILE_H
#define COSM_HOST_FILE_H

#include "base/err.h"

/*
 * Reads all of path, at most max bytes, into *data (malloc'ed, the caller's; never NULL on success)
 * and *size (at least 1); a NUL that
 * size does not count lies behind them. what names the option or role and starts the sentence of an
 * error:
 * "--kernel: 'x' does not exist; check the path". Pipes and devices are read to their end or max.
 */
MUST_CHECK int file_read(const char *what, const char *path, u64 max, u8 **data, u64 *size,
                         struct err *err);

/*
 * Replaces path by size bytes: a temporary file beside it is renamed over it. What is not a regular
 * file (a pipe, a terminal) is written straight. On failure an old file stays as it was.
 */
MUST_CHECK int file_write(const char *what, const char *path, const void *data, u64 size,
                          struct err *err);

/* Writes all of size bytes to a descriptor that waits. 0 or -errno. */
MUST_CHECK int file_write_all(int fd, const void *bytes, u64 size);

#endif
