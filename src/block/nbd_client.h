/* SPDX-License-Identifier: BSD-2-Clause */
/* Exports of NBD servers as nodes. */
#ifndef COSM_BLOCK_NBD_CLIENT_H
#define COSM_BLOCK_NBD_CLIENT_H

#include "block/node.h"
#include "host/attendant.h"

#define NBD_RECONNECT_S 10 /* by default */

struct nbd_options {
    bool readonly;
    u32 reconnect_s; /* so long a lost connection is tried again before requests fail; 0: once */
};

/*
 * Connects to what uri names (block/nbd.h). Requests in flight when a connection is lost are made
 * again on the next one: none of them was answered. If others were that no flush followed, flushes
 * fail from then on, as the server may have died before it wrote them.
 */
MUST_CHECK int nbd_open(struct node **node, const char *uri, const struct nbd_options *options,
                        struct err *err);

bool nbd_is(const struct node *node);

/* It is the attendant that connects anew, once it has started. Before that. */
MUST_CHECK int nbd_attend(struct node *node, struct attendant *attendant, struct err *err);

#endif
