/* SPDX-License-Identifier: BSD-2-Clause */
/* Slots of cyclic frames. */
#include "metal/schedule.h"

void schedule_begin(struct cycle *c, const struct metal_config *config, u32 hart, u32 plan,
                    u64 origin)
{
    c->frame_start = origin - config->plan[plan].frame;
    c->plan = plan;
    c->window = config->plan[plan].window_count[hart];
    c->vcpu = METAL_NONE;
    c->start = c->frame_start;
    c->end = origin;
}

void schedule_advance(struct cycle *c, const struct metal_plan *plans, u32 hart, u32 next)
{
    const struct metal_plan *plan = &plans[c->plan];
    const struct metal_window *window;

    c->start = c->end;
    if (c->end == c->frame_start + plan->frame) {
        c->frame_start = c->end;
        c->window = 0;
        c->plan = next;
        plan = &plans[c->plan];
    }
    c->vcpu = METAL_NONE;
    if (c->window == plan->window_count[hart]) {
        c->end = c->frame_start + plan->frame;
        return;
    }
    window = &plan->window[hart][c->window];
    if (c->frame_start + window->start > c->end) { /* idle until then */
        c->end = c->frame_start + window->start;
        return;
    }
    c->vcpu = window->vcpu;
    c->end = c->frame_start + window->start + window->length;
    c->window++;
}
