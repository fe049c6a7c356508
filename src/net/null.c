/* SPDX-License-Identifier: BSD-2-Clause */
/* A network that swallows everything and says nothing. */
#include "net/null.h"

static void null_send(void *ctx, const u8 *frame, size_t len)
{
}

const struct net null_net = {.send = null_send};
