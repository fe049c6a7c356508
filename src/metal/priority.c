/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fixed priorities with budgets: each vCPU has budget ticks in each period, from its start on; when
 * they are used up it waits for the next period, so none gets more than its share.
 */
#include "metal/hart.h"
#include "metal/health.h"
#include "metal/schedule.h"

static void replenish(struct vcpu *v, u64 now)
{
    u64 period = v->config->period;

    if (v->config->budget && now >= v->replenish_at) {
        v->budget_left = v->config->budget;
        v->replenish_at += ((now - v->replenish_at) / period + 1) * period;
    }
}

/* v ran since h->charged. What it ran in a period that is over was of that one's budget. */
static void charge(struct hart *h, struct vcpu *v, u64 now)
{
    u64 used = now - h->charged, in_period;

    if (!v->config->budget)
        return;
    replenish(v, now);
    in_period = now - (v->replenish_at - v->config->period);
    used = used < in_period ? used : in_period;
    if (v->budget_left) {
        v->budget_left = used < v->budget_left ? v->budget_left - used : 0;
        if (!v->budget_left && v->state == VCPU_READY)
            health_event(v->partition, METAL_EVENT_BUDGET, 0);
    }
}

/* When v may want the hart though it does not now. */
static u64 wake_at(const struct vcpu *v)
{
    if (v->config->budget && !v->budget_left)
        return v->replenish_at;
    return v->state == VCPU_WAITING && v->csr.vsie & BIT(IRQ_STI) ? v->csr.vstimecmp : UINT64_MAX;
}

struct vcpu *schedule_priority(struct hart *h, struct vcpu *current, u64 now,
                               bool (*is_runnable)(struct vcpu *v, bool in, u64 now))
{
    struct vcpu *best = NULL;
    u64 until = UINT64_MAX, at;

    if (current)
        charge(h, current, now);
    h->charged = now;
    for (u32 i = 0; i < h->config->vcpu_count; i++) {
        struct vcpu *v = &metal.vcpu[h->config->vcpu_first + i];
        replenish(v, now);
        if ((!v->config->budget || v->budget_left) && is_runnable(v, v == current, now)) {
            if (!best || v->config->priority > best->config->priority)
                best = v;
        }
    }
    for (u32 i = 0; i < h->config->vcpu_count; i++) {
        at = wake_at(&metal.vcpu[h->config->vcpu_first + i]);
        until = at < until ? at : until;
    }
    if (best && best->config->budget && now + best->budget_left < until)
        until = now + best->budget_left;
    hart_timer_at(h, until);
    return best;
}
