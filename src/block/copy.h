/* SPDX-License-Identifier: BSD-2-Clause */
/* Copies and comparisons of whole disks. */
#ifndef COSM_BLOCK_COPY_H
#define COSM_BLOCK_COPY_H

#include "block/node.h"

/* Is there something to read? As node_state, of the whole stack: ZERO or DATA, or -errno. */
MUST_CHECK int copy_state(struct node *node, u64 at, u64 max, u64 *len);

struct copy_options {
    bool compressed;      /* into a qcow2 image, cluster by cluster */
    bool target_is_blank; /* it reads as zeroes: these are not written */
    u32 chunk;            /* bytes of a write if compressed: the cluster's */
    /* How far it is; false stops it with -EINTR. NULL: nobody wants to know. */
    bool (*progress)(void *ctx, u64 done, u64 total);
    void *ctx;
};

/* Copies what from has to to, which is at least as large. */
MUST_CHECK int copy_disk(struct node *from, struct node *to, const struct copy_options *options);

/* *at: the first byte that differs, or the size if none does. The longer's rest must be zeroes. */
MUST_CHECK int copy_compare(struct node *a, struct node *b, u64 *at);

#endif
