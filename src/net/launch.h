/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting a network process, and asking it. */
#ifndef COSM_NET_LAUNCH_H
#define COSM_NET_LAUNCH_H

#include "net/wire.h"

/* A network process as its maker has it; -1: not there. */
struct net_spawned {
    pid_t pid;         /* a child of ours; else -1 */
    int pidfd;         /* as a sandbox lets nothing be killed by its number */
    int data, control; /* our ends */
};

/* Nothing is there. */
void net_spawned_init(struct net_spawned *s);

/* Starts a process; it serves when this returns. capture: as WIRE_CAPTURE_FD, or -1; again: it has
 * its beginning. warning: a sentence or "", of the size of a wire_answer's. */
MUST_CHECK int net_spawn(struct net_spawned *s, const struct net_settings *settings, int capture,
                         bool again, char *warning, struct err *err);

/* A request and its answer, over control. */
MUST_CHECK int net_ask(int control, const struct wire_request *request, char *warning,
                       struct err *err);

/* Closes what is left of it and waits up to ms for its end, then kills it. Its status as of
 * waitpid, 0 if it is no child of ours. */
int net_spawned_end(struct net_spawned *s, int ms);

#endif
