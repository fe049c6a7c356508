/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who starts a network process anew for a VM that has given up starting processes.
 *
 * The keeper is started before that, with the settings; it never sees a byte of the guest's. A VM's
 * process can ask it for one thing: another network process, with these settings and the forwarded
 * ports that it names. So what a guest may reach stays as the user wanted, even if the guest has
 * taken over the VM's process.
 */
#ifndef COSM_NET_KEEPER_H
#define COSM_NET_KEEPER_H

#include "net/launch.h"

#define KEEPER_COMMAND "net-keeper" /* argv[1] of the process */

struct keeper {
    pid_t pid;
    int pidfd, socket; /* -1: none */
};

/* capture: as of net_spawn; it stays the caller's. */
MUST_CHECK int keeper_start(struct keeper *keeper, const struct net_settings *settings, int capture,
                            struct err *err);

/* Another network process, no child of ours; of settings the forwards alone count. */
MUST_CHECK int keeper_spawn(const struct keeper *keeper, const struct net_settings *settings,
                            struct net_spawned *spawned, struct err *err);

/* Ends it. A keeper that never started is left alone. */
void keeper_stop(struct keeper *keeper);

/* The process: its exit status. */
int keeper_serve(void);

#endif
