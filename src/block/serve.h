/* SPDX-License-Identifier: BSD-2-Clause */
/* A node as the asynchronous struct blk of a device: the one place with threads. */
#ifndef COSM_BLOCK_SERVE_H
#define COSM_BLOCK_SERVE_H

#include "block/node.h"

/*
 * The blk owns the node, which is closed if there is to be none. The node's size must be a multiple
 * of BLK_SECTOR, not 0.
 */
MUST_CHECK int serve_open(struct blk **blk, struct node *node, struct err *err);

/* Requests are done by those who submit them, from now on. Before the first one. */
void serve_inline(struct blk *blk);

/* Finishes what was submitted, then closes the node. NULL is allowed. */
void serve_close(struct blk *blk);

#endif
