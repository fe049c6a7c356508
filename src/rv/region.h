/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Regions: the blocks that are reached from a place by direct jumps, branches and the returns of
 * calls, in its page and a few others, lifted as one piece of IR with a LABEL at each place that is
 * jumped to. All offsets are distances from the start of the first page.
 */
#ifndef COSM_RV_REGION_H
#define COSM_RV_REGION_H

#include "rv/lift.h"

#define REGION_INSNS_MAX   LIFT_REGION_MAX
#define REGION_AWAY_MAX    384 /* of these, in other pages than the first */
#define REGION_ENTRIES_MAX 64
#define REGION_PAGES       4
#define REGION_REACH       (1 << 28) /* bytes that two pages may be apart */
#define REGION_TARGETS_MAX 32        /* of an indirect jump */
#define REGION_JUMPS_MAX   256       /* targets of all of them */
#define REGION_SEEDS_MAX   8         /* places that a region was asked for at */

/* By halfword: where instructions begin, which of them are jumped to, and by other code. */
struct region_page {
    s32 at;          /* offset of the page */
    const u8 *bytes; /* others may write them meanwhile */
    u64 starts[PAGE_SIZE / 2 / 64], leaders[PAGE_SIZE / 2 / 64], entries[PAGE_SIZE / 2 / 64];
};

/* Where an indirect jump may lead. */
struct region_jump {
    s32 from, to;
};

/* Which instructions belong to a region. */
struct region_map {
    struct region_page page[REGION_PAGES];
    u32 page_count;
    u32 insns, away;                                     /* away: of insns, not in the first page */
    s32 todo[REGION_INSNS_MAX], later[REGION_INSNS_MAX]; /* leaders to be followed */
    u32 todo_count, later_count;
    struct region_jump jump[REGION_JUMPS_MAX]; /* by ascending from, once it was lifted */
    u32 jump_count;
    u32 seed_count; /* found is what is reached from so many places, */
    u16 seed[REGION_SEEDS_MAX];
};

/*
 * bytes, or NULL: asked about a jump from one page to another: the bytes of its target's page,
 * NULL: not to be followed. targets, or NULL: asked about an indirect jump: where it has led,
 * distances from the start of the page it lies in; how many.
 */
struct region_away {
    const u8 *(*bytes)(void *ctx, s32 target);
    u32 (*targets)(void *ctx, s32 offset, const s32 **to);
    void *ctx;
};

struct region {
    struct lift lift;
    s32 entry[REGION_ENTRIES_MAX]; /* labels at which other code may go in */
    u32 entry_count;
    u32 seeds; /* of these */
};

/* Finds what is reached from an offset of the first page, whose bytes these are; away may be NULL.
 */
void region_discover(struct region_map *map, const struct isa *isa, const u8 *bytes, s32 offset,
                     const struct region_away *away);

/* What is reached from another offset of that page, too, if there is room; REGION_SEEDS_MAX places
 * at most. */
void region_extend(struct region_map *map, const struct isa *isa, s32 offset,
                   const struct region_away *away);

/* Lifts it, from the same bytes or later ones. False: there is no region to be had. */
bool region_lift(struct region *region, const struct isa *isa, struct region_map *map);

#endif
