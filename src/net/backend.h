/* SPDX-License-Identifier: BSD-2-Clause */
/* The user-mode network itself (libslirp), as the network process drives it. */
#ifndef COSM_NET_BACKEND_H
#define COSM_NET_BACKEND_H

#include "net/settings.h"

#include <poll.h>

struct backend;

/* deliver gets each frame for the guest; it copies. now_ns is a monotonic clock. */
typedef void (*backend_deliver_fn)(void *ctx, const u8 *bytes, size_t len);

/* Loads the library and opens the forwarded ports; before the sandbox closes. */
MUST_CHECK int backend_create(struct backend **backend, const struct net_settings *settings,
                              backend_deliver_fn deliver, void *ctx, struct err *err);
void backend_destroy(struct backend *backend);

/* A frame of the guest with its checksums done. */
void backend_input(struct backend *backend, const u8 *bytes, size_t len);

MUST_CHECK int backend_forward(struct backend *backend, const struct net_forward *forward,
                               struct err *err);
MUST_CHECK int backend_unforward(struct backend *backend, const struct net_forward *forward,
                                 struct err *err);

/* Adds its descriptors behind the first of fds; how many there are then. Lowers timeout_ms. */
u32 backend_poll_fill(struct backend *backend, struct pollfd *fds, u32 first, u32 room,
                      u32 *timeout_ms);
/* After poll on what fill gave. */
void backend_poll_done(struct backend *backend, struct pollfd *fds);

#endif
