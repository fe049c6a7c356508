/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Byte streams between a guest and its host, each between a port of the guest and one of the host.
 *
 * The device keeps the streams and their credit; the back end keeps what they lead to. All calls of
 * either are made on one thread, the back end's, but for kick.
 */
#ifndef COSM_PORT_VSOCK_H
#define COSM_PORT_VSOCK_H

#include "base/types.h"

#define VSOCK_STREAMS_MAX 256
#define VSOCK_BUFFER      (256 * KIB) /* bytes of a stream that the back end holds at most */

/* What an end does no more. */
enum { VSOCK_NO_RECEIVE = 1, VSOCK_NO_SEND = 2, VSOCK_CLOSED = 3 };

/* The device's end. Streams are numbers below VSOCK_STREAMS_MAX that come from it. */
struct vsock_device {
    /* Does what was kicked for. True: there is more, to be called again soon. */
    bool (*work)(void *ctx);
    /* A stream to a port of the guest; opened or ended follows. -1: no stream is free. */
    s32 (*connect)(void *ctx, u32 guest_port, u32 *host_port);
    /* Returns how much it took; if not all, ready follows. */
    size_t (*send)(void *ctx, u32 stream, const u8 *bytes, size_t len);
    /* So many received bytes are out of the back end's hands. */
    void (*taken)(void *ctx, u32 stream, size_t len);
    void (*shutdown)(void *ctx, u32 stream, u32 no_more);
    /* The number is free again. What the guest still sends is answered by a reset. */
    void (*close)(void *ctx, u32 stream);
    void *ctx;
};

struct vsock {
    void (*attach)(void *ctx, const struct vsock_device *device);
    /* work is wanted; any thread, perhaps with locks held; calls nobody. */
    void (*kick)(void *ctx);
    /* The guest connects to a port of the host. False: nobody is there, and the number is free. */
    bool (*incoming)(void *ctx, u32 stream, u32 host_port);
    void (*opened)(void *ctx, u32 stream); /* the guest accepted a connect */
    void (*received)(void *ctx, u32 stream, const u8 *bytes, size_t len);
    void (*ready)(void *ctx, u32 stream); /* send may be tried again */
    /* What the guest does no more; VSOCK_CLOSED: all that is left is close. */
    void (*ended)(void *ctx, u32 stream, u32 no_more);
    void *ctx;
};

#endif
