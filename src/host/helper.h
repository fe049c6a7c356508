/* SPDX-License-Identifier: BSD-2-Clause */
/* Processes that a VM starts beside itself: this program again. */
#ifndef COSM_HOST_HELPER_H
#define COSM_HOST_HELPER_H

#include "base/err.h"

#include <sys/types.h>

#define HELPER_FD 3 /* of the first descriptor that a process is given */

/*
 * Starts this program with the one argument command, no terminal, a session of its own, and the
 * count descriptors of fd as HELPER_FD and on (-1: closed there). They stay the caller's.
 */
MUST_CHECK int helper_start(const char *command, const int *fd, u32 count, pid_t *pid,
                            struct err *err);

/* A pair of sockets with large buffers that keeps message boundaries; both close on exec. */
MUST_CHECK int helper_pair(int *ours, int *theirs, struct err *err);

#endif
