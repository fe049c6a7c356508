/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A shared folder behind a device: requests and replies of FUSE, of which neither end of this
 * interface knows more than their header. They are handed over in slots of memory of the back end.
 */
#ifndef COSM_PORT_FS_H
#define COSM_PORT_FS_H

#include "base/types.h"

#define FS_SLOTS    16
#define FS_ROOM     (1 * MIB + 64 * KIB) /* bytes of a slot: the longest request or reply */
#define FS_TAG_SIZE 36                   /* bytes of a name, as the device shows it */

/* The device's end, for the back end to call with no lock held, from any thread. */
struct fs_device {
    void (*done)(void *ctx, u32 slot, u32 len); /* len bytes of reply lie in the slot; 0: none */
    void *ctx;
};

struct fs {
    void (*attach)(void *ctx, const struct fs_device *device);
    u8 *(*slot)(void *ctx, u32 slot); /* its memory, for as long as the back end lives */
    /*
     * A request of len bytes lies in the slot; the reply may take room bytes. done follows, perhaps
     * from within; until then the slot is the back end's.
     */
    void (*submit)(void *ctx, u32 slot, u32 len, u32 room);
    void *ctx;
};

#endif
