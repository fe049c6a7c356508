/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writing what an image holds into the one below while the disk is in use: a node in the image's
 * place, which sees to it that what was copied already stays the same in both. The image has all
 * data at any moment; the one below changes only where the image hides it.
 */
#ifndef COSM_BLOCK_COMMIT_H
#define COSM_BLOCK_COMMIT_H

#include "block/node.h"

/* Stands for image, a qcow2 node, which it owns from success on. Its backing node may be written,
 * and is as large. */
MUST_CHECK int commit_open(struct node **node, struct node *image, struct err *err);

/* Copies the next piece. 1: all is copied; 0: there is more; -errno. From one thread. */
MUST_CHECK int commit_step(struct node *node);
/* Bytes of the disk that are done. Any thread. */
u64 commit_done(struct node *node);

/*
 * Nobody uses the node any more. Brings the copy to the disk and empties the image, if all was
 * copied and nothing failed; else says why. The image is the caller's again; the node is gone.
 */
MUST_CHECK int commit_finish(struct node *node, struct err *err);
/* The same, but all stays where it is. */
void commit_cancel(struct node *node);

#endif
