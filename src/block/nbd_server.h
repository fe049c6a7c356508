/* SPDX-License-Identifier: BSD-2-Clause */
/* An NBD server: a node for clients on a socket. */
#ifndef COSM_BLOCK_NBD_SERVER_H
#define COSM_BLOCK_NBD_SERVER_H

#include "base/log.h"
#include "block/nbd_session.h"

#define NBD_CLIENTS_MAX 16

/*
 * Serves whoever connects to the listening socket until something can be read from stop, then turns
 * all clients out. A client too many is turned away. 0 or -errno.
 */
MUST_CHECK int nbd_server_run(const struct nbd_export *export, int listener, int stop,
                              const struct log *log, struct err *err);

#endif
