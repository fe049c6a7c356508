/* SPDX-License-Identifier: BSD-2-Clause */
/* Random bytes for virtio-rng, Zkr and boot seeds. */
#ifndef COSM_PORT_ENTROPY_H
#define COSM_PORT_ENTROPY_H

#include "base/types.h"

struct entropy {
    void (*fill)(void *ctx, void *buf, size_t len); /* always fills all of buf; does not block */
    void *ctx;
};

static inline void entropy_fill(const struct entropy *e, void *buf, size_t len)
{
    e->fill(e->ctx, buf, len);
}

#endif
