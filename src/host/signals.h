/* SPDX-License-Identifier: BSD-2-Clause */
/* SIGINT, SIGTERM and SIGHUP as events on the loop, so that a VM ends in order. */
#ifndef COSM_HOST_SIGNALS_H
#define COSM_HOST_SIGNALS_H

#include "base/err.h"
#include "host/loop.h"

struct signals;

/*
 * Calls fn(ctx, signal) on the loop for the first of these signals; a second one ends the process
 * as if nothing were there. Called on the main thread before other threads start: it blocks them.
 */
MUST_CHECK int signals_create(struct signals **signals, struct loop *loop,
                              void (*fn)(void *ctx, int signal), void *ctx, struct err *err);

/* Not while the loop runs on another thread. NULL is allowed. */
void signals_destroy(struct signals *signals);

#endif
