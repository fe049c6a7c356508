/* SPDX-License-Identifier: BSD-2-Clause */
/* What a guest tells of its memory, and what it is asked to give back. */
#ifndef COSM_PORT_BALLOON_H
#define COSM_PORT_BALLOON_H

#include "base/types.h"

#define BALLOON_PAGE UINT64_C(4096) /* bytes; a driver counts in these whatever its pages are */

/* What a guest may tell; their numbers are the wire's (VIRTIO 1.2, 5.5.6.4; from 10 on Linux'). */
enum balloon_stat {
    BALLOON_SWAP_IN,
    BALLOON_SWAP_OUT,
    BALLOON_MAJOR_FAULTS,
    BALLOON_MINOR_FAULTS,
    BALLOON_FREE,
    BALLOON_TOTAL,
    BALLOON_AVAILABLE,
    BALLOON_CACHES,
    BALLOON_HTLB_ALLOCS,
    BALLOON_HTLB_FAILS,
    BALLOON_OOM_KILLS,
    BALLOON_ALLOC_STALLS,
    BALLOON_SCANS_ASYNC,
    BALLOON_SCANS_DIRECT,
    BALLOON_RECLAIMS_ASYNC,
    BALLOON_RECLAIMS_DIRECT,
    BALLOON_STATS,
};

struct balloon_state {
    bool driven;             /* a driver runs */
    u64 target, actual;      /* bytes that the guest is asked to do without, and that it does */
    u64 returned;            /* bytes that went back to the host so far, free pages included */
    u64 stat[BALLOON_STATS]; /* memory in bytes; as the guest has it, so believe nothing */
    u32 known;               /* a bit for each that the guest told of */
    u64 told;                /* how often it did */
};

/* Whom the device tells that the guest has given or taken; any thread, no lock held. */
struct balloon_port {
    void (*changed)(void *ctx);
    void *ctx;
};

#endif
