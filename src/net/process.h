/* SPDX-License-Identifier: BSD-2-Clause */
/* The VM's end of a network process: a back end for a network device. */
#ifndef COSM_NET_PROCESS_H
#define COSM_NET_PROCESS_H

#include "base/log.h"
#include "host/loop.h"
#include "net/link.h"
#include "net/settings.h"

struct net_process;

/*
 * Starts the process: this program again, as WIRE_COMMAND. Returns when it serves. capture: an open
 * empty file for a record of the frames, which stays the caller's, or -1. If the process dies it is
 * started anew after a while, with the ports that are then forwarded.
 */
MUST_CHECK int net_process_create(struct net_process **process, struct loop *loop,
                                  const struct log *log, const struct net_settings *settings,
                                  int capture, struct err *err);

/*
 * From now on another process starts it anew, as this one is about to give up starting any
 * (net/keeper.h). Once.
 */
MUST_CHECK int net_process_keep(struct net_process *process, struct err *err);

/* Ends the process; nothing is handed to the device any more. The loop does not run. NULL is
 * allowed. */
void net_process_close(struct net_process *process);
/* Frees it once the loop is destroyed, as calls may be posted there. NULL is allowed. */
void net_process_destroy(struct net_process *process);

/* Its link: the back end for the device; valid until destroy. */
struct link *net_process_link(struct net_process *process);
/* With the ports that are forwarded now. */
const struct net_settings *net_process_settings(const struct net_process *process);

/* Ports added and removed while the VM runs; from the loop's thread. */
MUST_CHECK int net_process_forward(struct net_process *process, const struct net_forward *forward,
                                   struct err *err);
MUST_CHECK int net_process_unforward(struct net_process *process, const struct net_forward *forward,
                                     struct err *err);

#endif
