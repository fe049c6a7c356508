/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A node of a disk's stack: filters stand over formats, formats over protocols (files, NBD).
 *
 * All calls but resize and close may come from several threads at once; a node that needs order
 * makes it. What has returned before flush is called is on stable storage when flush returns 0.
 * Functions return 0 or -errno.
 */
#ifndef COSM_BLOCK_NODE_H
#define COSM_BLOCK_NODE_H

#include "base/err.h"
#include "port/blk.h"

#include <sys/uio.h>

#define VEC_MAX (BLK_IOV_MAX + 2) /* a request, and what a format puts around it */

/* Pieces of memory that are read into or written from. */
struct vec {
    u64 len; /* bytes, the sum */
    u32 count;
    struct iovec io[VEC_MAX];
};

/* What is known of a range without reading it. */
enum node_state {
    NODE_ABSENT, /* not in this layer: it reads as the backing file, or as zeroes */
    NODE_ZERO,
    NODE_DATA,
};

struct node;

struct node_ops {
    const char *name; /* "file", "qcow2", ... */
    int (*read)(struct node *node, u64 at, const struct vec *v);
    int (*write)(struct node *node, u64 at, const struct vec *v);
    /* The same without waiting for the host's disk or for other requests: 0, or nothing that counts
     * was done and -EAGAIN. NULL: it never can. */
    int (*try_read)(struct node *node, u64 at, const struct vec *v);
    int (*try_write)(struct node *node, u64 at, const struct vec *v);
    int (*flush)(struct node *node);
    /* A hint; what is discarded may read as before or as zeroes. */
    int (*discard)(struct node *node, u64 at, u64 len);
    int (*write_zeroes)(struct node *node, u64 at, u64 len, bool unmap);
    int (*resize)(struct node *node, u64 size, struct err *err);
    /* The state of [at, at + *len) with 0 < *len <= max. */
    int (*state)(struct node *node, u64 at, u64 max, u64 *len);
    void (*close)(struct node *node);
    /* Of filters: where they keep the node that they stand on. NULL: it is none. */
    struct node **(*below)(struct node *node);
};

struct node {
    const struct node_ops *ops;
    u64 size; /* bytes; of a growable node: how far it was written */
    bool readonly;
    bool growable; /* writes beyond the end extend it, reads there give zeroes */
    char *name;    /* for messages: the path */
};

void vec_init(struct vec *v);
void vec_one(struct vec *v, const void *base, u64 len);
/* Adds memory at the end; there must be room. */
void vec_add(struct vec *v, const void *base, u64 len);
/* Adds len bytes of from, from byte at on. */
void vec_add_part(struct vec *v, const struct vec *from, u64 at, u64 len);
void vec_zero(const struct vec *v);
void vec_put(const struct vec *v, const void *bytes); /* v->len bytes into v */
void vec_get(const struct vec *v, void *bytes);       /* v->len bytes out of v */

/* These check the range and whether the node may be written. */
MUST_CHECK int node_read(struct node *node, u64 at, const struct vec *v);
MUST_CHECK int node_write(struct node *node, u64 at, const struct vec *v);
/* Whoever gets -EAGAIN, or any error, calls the ones above. */
MUST_CHECK int node_try_read(struct node *node, u64 at, const struct vec *v);
MUST_CHECK int node_try_write(struct node *node, u64 at, const struct vec *v);
MUST_CHECK int node_read_bytes(struct node *node, u64 at, void *bytes, u64 len);
MUST_CHECK int node_write_bytes(struct node *node, u64 at, const void *bytes, u64 len);
MUST_CHECK int node_flush(struct node *node);
MUST_CHECK int node_discard(struct node *node, u64 at, u64 len);
MUST_CHECK int node_write_zeroes(struct node *node, u64 at, u64 len, bool unmap);
MUST_CHECK int node_resize(struct node *node, u64 size, struct err *err);
/* An enum node_state, or -errno; max > 0. */
MUST_CHECK int node_state(struct node *node, u64 at, u64 max, u64 *len);

/* Closes it and what is below it. NULL is allowed. What was written is flushed as far as it goes.
 */
void node_close(struct node *node);

#endif
