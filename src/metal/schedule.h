/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The arithmetic of plans: slots of cyclic frames, budgets of priorities. It touches no hardware;
 * times are ticks, and never wrap (2^64 ticks of 10 MHz are 58,000 years).
 */
#ifndef COSM_METAL_SCHEDULE_H
#define COSM_METAL_SCHEDULE_H

#include "metal/config.h"

/* Where a cyclic hart is in its frame. */
struct cycle {
    u64 frame_start;
    u64 start, end; /* of the slot in force */
    u32 plan;
    u32 window; /* the next one of the frame */
    u16 vcpu;   /* whose slot it is; METAL_NONE: idle */
};

struct hart;
struct vcpu;

/* The time before the first frame of plan, which begins at origin. */
void schedule_begin(struct cycle *c, const struct metal_config *config, u32 hart, u32 plan,
                    u64 origin);
/*
 * The next slot. At a frame's end plan next comes into force. All harts have the same frames, so
 * all change at the same time.
 */
void schedule_advance(struct cycle *c, const struct metal_plan *plans, u32 hart, u32 next);

/* Who runs on a hart with priorities, and sets its timer to when that may change. */
struct vcpu *schedule_priority(struct hart *h, struct vcpu *current, u64 now,
                               bool (*is_runnable)(struct vcpu *v, bool in, u64 now));

#endif
