/* SPDX-License-Identifier: BSD-2-Clause */
/* The negotiation of an NBD client with its server. */
#ifndef COSM_BLOCK_NBD_HANDSHAKE_H
#define COSM_BLOCK_NBD_HANDSHAKE_H

#include "block/nbd.h"

/* What was agreed on. */
struct nbd_agreed {
    u64 size; /* bytes */
    u16 flags;
    bool structured;
    bool context; /* base:allocation, with this id */
    u32 context_id;
    u32 request_max; /* bytes of a read or write */
};

/* On a socket that is connected. uri is for the sentence. */
MUST_CHECK int nbd_handshake(int fd, const char *export, const char *uri, struct nbd_agreed *agreed,
                             struct err *err);

#endif
