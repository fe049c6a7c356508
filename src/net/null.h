/* SPDX-License-Identifier: BSD-2-Clause */
/* A network that swallows everything and says nothing. */
#ifndef COSM_NET_NULL_H
#define COSM_NET_NULL_H

#include "port/net.h"

/* Hand &null_net to the device; it has no state. */
extern const struct net null_net;

#endif
