/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's end of a VM's virtio sockets, in the form that Firecracker gave them: a local stream
 * socket NAME. A client writes "CONNECT PORT\n", reads "OK HOSTPORT\n" once the guest has accepted,
 * and from then on talks to that port of the guest; a connection that is closed instead says that
 * nobody listens there. When the guest connects to PORT of the host (CID 2), whoever listens on
 * NAME_PORT in the same folder gets the connection.
 */
#ifndef COSM_SHARE_VSOCK_HOST_H
#define COSM_SHARE_VSOCK_HOST_H

#include "base/log.h"
#include "host/attendant.h"
#include "host/loop.h"
#include "port/vsock.h"

#define VSOCK_HOST_NAME_MAX 96 /* with its NUL */

struct vsock_host;

/* Serves on the loop's thread. */
MUST_CHECK int vsock_host_create(struct vsock_host **host, struct loop *loop, struct err *err);

/* Listens on name in dir (mode 0600), in place of a socket that lies there; twice at most. */
MUST_CHECK int vsock_host_listen(struct vsock_host *host, int dir, const char *name,
                                 struct err *err);

/* The same by a path; -EADDRINUSE: something answers there, or it is no socket. */
MUST_CHECK int vsock_host_listen_path(struct vsock_host *host, const char *path, struct err *err);

/* The attendant is to connect to NAME_PORT and to remove NAME, as this process will not be able to.
 * Before it starts, after the last socket; it outlives the host's end. */
MUST_CHECK int vsock_host_attend(struct vsock_host *host, struct attendant *attendant,
                                 struct err *err);

/*
 * A connection to a port of the guest of our own, as a client of the socket has it after CONNECT:
 * "OK HOSTPORT\n" comes first, or its end. A descriptor, or -errno.
 */
MUST_CHECK int vsock_host_connect(struct vsock_host *host, u32 port);

/* For the device; valid until destroy. */
const struct vsock *vsock_host_port(struct vsock_host *host);

/* Closes all; nothing is said to the device any more. The loop does not run. NULL is allowed. */
void vsock_host_close(struct vsock_host *host);
/* Frees it once the loop is destroyed, as calls may be posted there. NULL is allowed. */
void vsock_host_destroy(struct vsock_host *host);

#endif
