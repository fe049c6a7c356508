/* SPDX-License-Identifier: BSD-2-Clause */
/* One client of an NBD server: its negotiation, and its requests to a node. */
#ifndef COSM_BLOCK_NBD_SESSION_H
#define COSM_BLOCK_NBD_SESSION_H

#include "block/node.h"

/* What is served; several sessions share it. */
struct nbd_export {
    struct node *node;
    const char *name; /* "": whoever asks for none */
    bool readonly;    /* although the node may be written */
};

/* The client's end. Each transfers all of len bytes or fails with -errno. */
struct nbd_stream {
    int (*receive)(void *ctx, void *bytes, size_t len);
    int (*send)(void *ctx, const void *bytes, size_t len, bool more);
    void *ctx;
};

/*
 * Serves a client until it leaves. 0: it said so, or left between requests; else -errno: it was
 * lost, or broke the protocol (-EPROTO).
 */
int nbd_session_run(const struct nbd_export *export, const struct nbd_stream *stream);

#endif
