/* SPDX-License-Identifier: BSD-2-Clause */
/* A node as the asynchronous struct blk of a device: the one place with threads. */
#ifndef COSM_BLOCK_SERVE_H
#define COSM_BLOCK_SERVE_H

#include "block/node.h"
#include "host/sandbox.h"

/* What becomes of a request that fails. */
enum serve_policy {
    SERVE_REPORT, /* the guest gets an error */
    SERVE_ENOSPC, /* as HALT if the host lacks space, else as REPORT */
    SERVE_HALT,   /* it waits; whoever owns the blk is told */
    SERVE_IGNORE, /* the guest is told of success */
};

struct serve_options {
    /* Of reads and of all else. A read that fails for lack of space goes by werror, too: it had to
     * write metadata first. */
    enum serve_policy rerror, werror;
    bool inline_work; /* requests are done by those who submit them */
    /* Requests wait, or none does any more: serve_halted tells. Any thread; NULL: nobody cares. */
    void (*changed)(void *ctx);
    void *ctx;
};

/* Of the request that failed last. */
struct serve_halt {
    enum blk_op op;
    int code;      /* errno */
    bool no_space; /* it is tried again by itself, every half second */
};

/*
 * The blk owns the node, which is closed if there is to be none. The node's size must be a multiple
 * of BLK_SECTOR, not 0.
 */
MUST_CHECK int serve_open(struct blk **blk, struct node *node, const struct serve_options *options,
                          struct err *err);

/* Starts the threads that do the requests, in this sandbox (NULL: none), which outlives them; until
 * then requests wait. Once; with inline_work it does nothing. */
MUST_CHECK int serve_begin(struct blk *blk, const struct sandbox *sandbox, struct err *err);

/* Do requests wait for the host to recover? halt may be NULL. */
bool serve_halted(struct blk *blk, struct serve_halt *halt);
/* What waits is tried again. */
void serve_retry(struct blk *blk);
/*
 * Between these two no request reaches the node, whose structure may be changed: its size, what it
 * stands on. No thread submits meanwhile. serve_quiesce waits for requests in flight, not for such
 * as wait for the host to recover.
 */
void serve_quiesce(struct blk *blk);
void serve_continue(struct blk *blk);
/* The node, for whoever has quiesced it. Set: another stands in its place, and owns it. */
struct node *serve_node(const struct blk *blk);
void serve_set_node(struct blk *blk, struct node *node);
/* Quiesced. blk->size follows. */
MUST_CHECK int serve_resize(struct blk *blk, u64 size, struct err *err);

/* For messages: the image's name. */
const char *serve_name(const struct blk *blk);

/* Finishes what was submitted, then closes the node. NULL is allowed. */
void serve_close(struct blk *blk);

#endif
