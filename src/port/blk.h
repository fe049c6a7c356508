/* SPDX-License-Identifier: BSD-2-Clause */
/* A block device's back end, asynchronous: virtio-blk on one side, block/ on the other. */
#ifndef COSM_PORT_BLK_H
#define COSM_PORT_BLK_H

#include "base/types.h"

#define BLK_SECTOR  512 /* bytes */
#define BLK_IOV_MAX 256 /* 1 MiB of scattered pages is two requests, as with QEMU */

enum blk_op { BLK_READ, BLK_WRITE, BLK_FLUSH, BLK_DISCARD, BLK_WRITE_ZEROES };

/* A piece of host memory (guest RAM already checked by the device, or a bounce buffer). */
struct blk_iov {
    void *base;
    u64 len; /* bytes */
};

/*
 * One request, owned by the submitter until done is called. offset and the total length are
 * multiples of BLK_SECTOR and lie within the device's size: the submitter has checked.
 */
struct blk_req {
    enum blk_op op;
    u64 offset; /* bytes */
    u64 len;    /* bytes; sum of iov for READ and WRITE */
    struct blk_iov iov[BLK_IOV_MAX];
    u32 iov_count;
    /* status 0 or a negative errno; called once, on any thread, perhaps from within submit. */
    void (*done)(struct blk_req *req, int status);
    void *ctx;
    struct blk_req *next; /* these two are the back end's while it has the request */
    bool failed;
};

struct blk {
    void (*submit)(void *ctx, struct blk_req *req);
    /*
     * on: requests that wait for the host to recover fail, and none waits from then on; so all that
     * was submitted is answered soon. off: as before. NULL: none ever waits.
     */
    void (*give_up)(void *ctx, bool on);
    void *ctx;
    u64 size; /* bytes, multiple of BLK_SECTOR */
    bool readonly;
    bool can_discard;
};

#endif
