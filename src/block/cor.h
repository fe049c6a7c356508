/* SPDX-License-Identifier: BSD-2-Clause */
/* Copy-on-read: what an image takes from the one below, it keeps. */
#ifndef COSM_BLOCK_COR_H
#define COSM_BLOCK_COR_H

#include "block/node.h"

/*
 * A filter over a qcow2 node that lies on another and may be written. The node owns below from
 * success on. A read goes well even where what it brought cannot be kept.
 */
MUST_CHECK int cor_open(struct node **node, struct node *below, struct err *err);

#endif
