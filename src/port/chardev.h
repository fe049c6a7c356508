/* SPDX-License-Identifier: BSD-2-Clause */
/* A byte stream between a device (serial port, console) and the host. */
#ifndef COSM_PORT_CHARDEV_H
#define COSM_PORT_CHARDEV_H

#include "base/types.h"

/*
 * Device to host. write takes the bytes or drops what does not fit: it never blocks a hart for
 * long. Host to device: the host side calls the device's own receive function, which says how many
 * bytes it took; the device calls room when it can take more after it had refused some.
 */
struct chardev {
    void (*write)(void *ctx, const u8 *bytes, size_t len); /* NULL: discard */
    void (*room)(void *ctx);                               /* any thread; NULL: nobody waits */
    void *ctx;
};

static inline void chardev_write(const struct chardev *c, const u8 *bytes, size_t len)
{
    if (c->write)
        c->write(c->ctx, bytes, len);
}

static inline void chardev_room(const struct chardev *c)
{
    if (c->room)
        c->room(c->ctx);
}

#endif
