/* SPDX-License-Identifier: BSD-2-Clause */
/* Breakpoints and watchpoints by virtual address. Changed only while no hart runs. */
#ifndef COSM_RV_DEBUG_H
#define COSM_RV_DEBUG_H

#include "rv/hart.h"

#define DEBUG_POINTS_MAX 64

struct watchpoint {
    gva_t start;
    u64 len; /* bytes */
    bool read, write;
};

struct debug_points {
    gva_t breakpoint[DEBUG_POINTS_MAX];
    u32 breakpoints;
    struct watchpoint watch[DEBUG_POINTS_MAX];
    u32 watches;
};

/* hart->trap.cause of a watched access: leaves the engine instead of trapping. */
#define CAUSE_DEBUG_WATCH UINT64_C(0x1000) /* CAUSE_ATTEND is the next */

static inline bool debug_breaks_at(const struct debug_points *d, gva_t pc)
{
    for (u32 i = 0; d && i < d->breakpoints; i++) {
        if (d->breakpoint[i] == pc)
            return true;
    }
    return false;
}

/* May a breakpoint lie at this offset of some page? */
static inline bool debug_breaks_at_offset(const struct debug_points *d, gva_t pc)
{
    for (u32 i = 0; d && i < d->breakpoints; i++) {
        if (!((d->breakpoint[i] ^ pc) & ~PAGE_MASK))
            return true;
    }
    return false;
}

/* The watchpoint that an access touches, or NULL. */
static inline const struct watchpoint *debug_watch(const struct debug_points *d, gva_t va, u64 size,
                                                   enum access acc)
{
    for (u32 i = 0; d && i < d->watches; i++) {
        const struct watchpoint *w = &d->watch[i];
        if ((acc == ACCESS_WRITE ? w->write : w->read) &&
            range_overlaps(va, size, w->start, w->len))
            return w;
    }
    return NULL;
}

#endif
