/* SPDX-License-Identifier: BSD-2-Clause */
/* What the network process may still do once it has begun. */
#ifndef COSM_NET_SANDBOX_H
#define COSM_NET_SANDBOX_H

#include "host/sandbox.h"

enum net_sandbox {
    NET_SANDBOX_USER,   /* makes sockets, and reads where name servers are listed */
    NET_SANDBOX_SWITCH, /* has the sockets that it begins with and those that it accepts */
};

/*
 * No new privileges, limits, files only for reading and only as above, and only the system calls
 * that are needed. warning gets a sentence if the host lacks a part of it.
 */
MUST_CHECK int net_sandbox_enter(enum net_sandbox kind, enum sandbox_mode mode, char *warning,
                                 size_t room, struct err *err);

#endif
