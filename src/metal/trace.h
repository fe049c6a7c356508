/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The trace: a ring of what happened on each hart, written by that hart alone, read by partitions
 * that may (METAL_MAY_MONITOR). The newest records overwrite the oldest.
 */
#ifndef COSM_METAL_TRACE_H
#define COSM_METAL_TRACE_H

#include "metal/state.h"

enum trace_kind {
    /* A hart changes to another vCPU (its index) or to nobody (METAL_NONE), not on exclusive
     * harts; detail: when that was to be, ticks: a window's start, or else the time itself. */
    TRACE_SLOT = 1,
    TRACE_HEALTH, /* what: partition << 16 | event << 8 | action; detail: address */
    TRACE_LOADED, /* what: partition; detail: ticks since it was halted */
    TRACE_PLAN,   /* what: plan */
};

struct trace_record {
    u64 time; /* ticks */
    u32 kind; /* enum trace_kind */
    u32 what;
    u64 detail;
    u64 number; /* of the hart's records, from 1; written last: a torn record has another */
};

void trace(u32 kind, u32 what, u64 detail);
/* Up to count records of a hart after number since, oldest first; returns how many. */
u32 trace_read(u32 hart, u64 since, struct trace_record *record, u32 count);

#endif
