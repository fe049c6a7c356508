/* SPDX-License-Identifier: BSD-2-Clause */
/* Filters: nodes that let requests pass, later than they came or not at all. */
#ifndef COSM_BLOCK_FILTER_H
#define COSM_BLOCK_FILTER_H

#include "block/node.h"

/* Limits; 0: none. What is not used is saved up, as much as burst_s seconds bring. */
struct throttle {
    u64 iops, bps; /* requests and bytes a second, reads and writes together */
    u32 burst_s;   /* 0: 1 */
};

/* Which requests fail, and how; fault_parse makes it. */
struct fault {
    u32 ops;   /* bits of 1 << enum blk_op; 0: none */
    u64 every; /* each so manieth of them fails */
    bool on;   /* and all that follow the first */
    int code;  /* errno */
};

/* Each owns below from success on. */
MUST_CHECK int throttle_open(struct node **node, struct node *below,
                             const struct throttle *throttle, struct err *err);
MUST_CHECK int fault_open(struct node **node, struct node *below, const struct fault *fault,
                          struct err *err);

/* "write:100:ENOSPC": read, write, flush, discard or any; N or N+ (from then on); an errno. */
MUST_CHECK int fault_parse(const char *text, struct fault *fault, struct err *err);

/* What a filter stands on; of other nodes, the node itself. */
struct node *filter_below(struct node *node);
/* Puts below in the place of filter_below(node), which is the caller's then. The new top. */
struct node *filter_replace_below(struct node *node, struct node *below);

#endif
