/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console of a VM for many: what the guest prints goes to a log of bounded size and to whoever
 * is connected to the console's socket; what these type goes to the guest.
 *
 * The socket carries plain bytes both ways. Who connects first gets the line that the guest has
 * begun. Who reads too slowly loses what is older than the last 256 KiB, and is told so.
 */
#ifndef COSM_API_HUB_H
#define COSM_API_HUB_H

#include "host/console.h"

#define HUB_LOG_MAX (8 * MIB) /* of each of console.log and console.log.1, the older part */

struct hub;

/* Log in the folder dir, socket runtime/socket. All outlive the hub. Before the guest runs. What it
 * prints waits for hub_begin. */
MUST_CHECK int hub_create(struct hub **hub, struct loop *loop, struct console *console, int dir,
                          int runtime, const char *socket, struct err *err);

/* Starts the thread that writes the log, in this sandbox, which outlives the hub. Once. */
MUST_CHECK int hub_begin(struct hub *hub, const struct sandbox *sandbox, struct err *err);

/* When neither guest nor loop run. What is left goes out as far as readers take it at once. */
void hub_destroy(struct hub *hub);

#endif
