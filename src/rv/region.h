/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Regions: the blocks of one page that are reached from an offset by direct jumps, branches and
 * the returns of calls, lifted as one piece of IR with a LABEL at each place that is jumped to.
 */
#ifndef COSM_RV_REGION_H
#define COSM_RV_REGION_H

#include "rv/lift.h"

#define REGION_INSNS_MAX   LIFT_REGION_MAX
#define REGION_ENTRIES_MAX 64

struct region {
    struct lift lift;
    u16 entry[REGION_ENTRIES_MAX]; /* offsets of labels at which other code may go in */
    u32 entry_count;
    /* While it is built: by halfword, what was found. */
    u64 starts[PAGE_SIZE / 2 / 64], leaders[PAGE_SIZE / 2 / 64], entries[PAGE_SIZE / 2 / 64];
    u32 insns;
    u16 todo[REGION_INSNS_MAX], later[REGION_INSNS_MAX]; /* leaders to be followed */
    u32 todo_count, later_count;
};

/* bytes: the page, which others may write meanwhile. False: there is no region to be had. */
bool region_build(struct region *region, const struct isa *isa, const u8 *bytes, u32 offset);

#endif
