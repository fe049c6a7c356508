/* SPDX-License-Identifier: BSD-2-Clause */
/* A local socket in a checked folder, served on a loop; nobody but its user gets in. */
#ifndef COSM_HOST_LISTENER_H
#define COSM_HOST_LISTENER_H

#include "base/err.h"
#include "host/loop.h"

struct listener;

/*
 * Binds dir/name (mode 0600), in place of what lies there: the caller holds the name's lock.
 * dir outlives the listener. accepted(ctx, fd) gets each connection, non-blocking and its to close.
 */
MUST_CHECK int listener_create(struct listener **listener, struct loop *loop, int dir,
                               const char *name, void (*accepted)(void *ctx, int fd), void *ctx,
                               struct err *err);

/* Closes and removes the socket. NULL is allowed. */
void listener_destroy(struct listener *listener);

/* Connects to dir/name; a descriptor, that blocks or does not, or -errno. */
MUST_CHECK int listener_connect(int dir, const char *name, bool blocks);

#endif
