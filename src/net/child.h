/* SPDX-License-Identifier: BSD-2-Clause */
/* Processes that a VM starts beside itself: this program again. */
#ifndef COSM_NET_CHILD_H
#define COSM_NET_CHILD_H

#include "base/err.h"

#include <sys/types.h>

#define CHILD_FD 3 /* of the first descriptor that a process is given */

/*
 * Starts this program with the one argument command, no terminal, a session of its own, and the
 * count descriptors of fd as CHILD_FD and on (-1: closed there). They stay the caller's.
 */
MUST_CHECK int child_start(const char *command, const int *fd, u32 count, pid_t *pid,
                           struct err *err);

/* A pair of sockets with large buffers that keeps message boundaries; both close on exec. */
MUST_CHECK int child_pair(int *ours, int *theirs, struct err *err);

#endif
