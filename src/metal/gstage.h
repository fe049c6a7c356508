/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest-physical to board-physical translation: Sv39x4 tables (Privileged Architecture, "Two-Stage
 * Address Translation"), built once at boot from the configuration's regions and never changed.
 */
#ifndef COSM_METAL_GSTAGE_H
#define COSM_METAL_GSTAGE_H

#include "metal/config.h"

#define GSTAGE_ROOT_PAGES 4 /* and as many pages of alignment */

/* Where tables come from: pages of 4096 bytes, zeroed; base is aligned to a root. */
struct gstage_pool {
    u64 (*page)[512];
    u64 hpa; /* of page[0] */
    u32 used, count;
};

/* A root table for one partition, as a page number in the pool; METAL_NONE: no room. */
u32 gstage_root(struct gstage_pool *pool);
/*
 * Maps region r below root by the largest pages that its addresses allow. False: no room for
 * tables, or something is mapped there. Device regions are neither cached nor executable.
 */
MUST_CHECK bool gstage_map(struct gstage_pool *pool, u32 root, const struct metal_region *r);

#endif
