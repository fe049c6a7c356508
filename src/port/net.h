/* SPDX-License-Identifier: BSD-2-Clause */
/* An Ethernet link between a device and a back end. */
#ifndef COSM_PORT_NET_H
#define COSM_PORT_NET_H

#include "base/types.h"

#define NET_FRAME_MAX 65550 /* bytes, headers included, without FCS */

/*
 * Device to back end: send takes one whole frame (copied before it returns) or drops it. The back
 * end hands frames in by the receive function that the device gave it at attach.
 */
typedef bool (*net_receive_fn)(void *device, const u8 *frame, size_t len); /* false: no room */

struct net {
    void (*send)(void *ctx, const u8 *frame, size_t len);            /* NULL: a dead link */
    void (*attach)(void *ctx, net_receive_fn receive, void *device); /* may be NULL */
    void (*room)(void *ctx); /* the device can receive again after it had refused; may be NULL */
    void *ctx;
};

#endif
