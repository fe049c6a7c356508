/* SPDX-License-Identifier: BSD-2-Clause */
/* What the network process may still do once it has begun. */
#ifndef COSM_NET_SANDBOX_H
#define COSM_NET_SANDBOX_H

#include "base/err.h"

/*
 * No new privileges, limits, files only for reading and only where name servers are listed, and
 * only the system calls that sockets need. warning gets a sentence if the host lacks a part of it.
 */
MUST_CHECK int net_sandbox_enter(char *warning, size_t room, struct err *err);

#endif
