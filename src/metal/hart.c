/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Harts and their plans. A hart's time is a sequence of slots: a vCPU, or nobody, until a tick at
 * which the timer ends it, whatever the guest does. Exclusive harts have one slot without an end.
 *
 * A slot whose vCPU does not want to run is idle: nobody else gets its time, but with priorities.
 */
#include "metal/hart.h"

#include "metal/console.h"
#include "metal/csr.h"
#include "metal/health.h"
#include "metal/intc.h"
#include "metal/low.h"
#include "metal/partition.h"
#include "metal/sbi_call.h"
#include "metal/schedule.h"
#include "metal/trace.h"
#include "metal/vcpu.h"

#define EID_IPI  UINT64_C(0x735049)
#define IPI_SEND 0
#define NEVER    UINT64_MAX

void hart_timer_at(struct hart *h, u64 ticks)
{
    if (ticks == h->timer)
        return;
    h->timer = ticks;
    csr_write(stimecmp, ticks);
}

bool hart_is_pressed(void)
{
    return csr_read(sip) & csr_read(sie) || csr_read(hip) & csr_read(hie) & BIT(IRQ_SGEI);
}

void hart_kick(struct hart *h)
{
    if (h == hart_self()) {
        h->resched = true;
    } else if (h->kick) {
        fence_to_device(); /* it sees what was stored before */
        *h->kick = KICK;
    } else {
        sbi_call(EID_IPI, IPI_SEND, 1, h->config->hart_id, 0);
    }
}

void hart_switch_plan(u32 plan)
{
    atomic_store_explicit(&metal.plan_next, plan, memory_order_relaxed);
}

void hart_plan_begin(struct hart *h)
{
    h->timer = 0;
    hart_timer_at(h, NEVER);
    if (h->config->mode == METAL_HART_CYCLIC)
        schedule_begin(&h->cycle, &metal_config, h->index, metal_config.plan_first, metal.origin);
}

static struct vcpu *vcpu_at(u16 index)
{
    return index == METAL_NONE ? NULL : &metal.vcpu[index];
}

/* Does v want its hart? */
static bool is_runnable(struct vcpu *v, bool in, u64 now)
{
    if (atomic_load_explicit(&v->requests, memory_order_acquire))
        return true;
    if (v->state == VCPU_WAITING) {
        if (in)
            vcpu_out(v); /* what wakes it is looked for in its state */
        if (vcpu_is_woken(v, now))
            v->state = VCPU_READY;
    }
    return v->state == VCPU_READY || v->state == VCPU_LOADING;
}

/*
 * The plan of the frame that begins at start: who comes there first decides for all harts, so their
 * frames stay in step. No hart is as many frames behind as are kept.
 */
static u32 plan_of_frame(u64 start)
{
    u32 plan = METAL_NONE;

    spin_acquire(&metal.plan_lock);
    for (u32 i = 0; i < ARRAY_SIZE(metal.decided); i++) {
        if (metal.decided[i].start == start)
            plan = metal.decided[i].plan;
    }
    if (plan == METAL_NONE) {
        u32 i = metal.decisions++ % ARRAY_SIZE(metal.decided);

        plan = atomic_load_explicit(&metal.plan_next, memory_order_relaxed);
        metal.decided[i].start = start;
        metal.decided[i].plan = plan;
    }
    spin_release(&metal.plan_lock);
    return plan;
}

static struct vcpu *pick_cyclic(struct hart *h, u64 now)
{
    const struct metal_plan *plans = metal_config.plan;
    u32 before = h->cycle.plan;
    struct vcpu *v;

    if (now >= h->cycle.end && h->cycle.vcpu != METAL_NONE)
        vcpu_at(h->cycle.vcpu)->yielded = false;
    h->due = now;
    while (now >= h->cycle.end) {
        const struct cycle *c = &h->cycle;
        bool frame_ends = c->end == c->frame_start + plans[c->plan].frame;
        u32 next = frame_ends ? plan_of_frame(c->end) : c->plan;

        h->due = h->cycle.end;
        schedule_advance(&h->cycle, plans, h->index, next);
    }
    if (h->cycle.plan != before)
        trace(TRACE_PLAN, h->cycle.plan, 0);
    hart_timer_at(h, h->cycle.end);
    v = vcpu_at(h->cycle.vcpu);
    return v && v->yielded ? NULL : v;
}

static struct vcpu *pick_exclusive(struct hart *h)
{
    struct vcpu *v = vcpu_at(h->config->vcpu_first);
    u64 at = atomic_load_explicit(&v->partition->watchdog_at, memory_order_acquire);
    hart_timer_at(h, v->number ? NEVER : at);
    return v;
}

static struct vcpu *pick(struct hart *h, struct vcpu *current, u64 now)
{
    struct vcpu *v;

    switch (h->config->mode) {
    case METAL_HART_EXCLUSIVE:
        v = pick_exclusive(h);
        break;
    case METAL_HART_CYCLIC:
        v = pick_cyclic(h, now);
        break;
    case METAL_HART_PRIORITY:
        h->due = now;
        return schedule_priority(h, current, now, is_runnable);
    default:
        return NULL;
    }
    if (v && is_runnable(v, v == current, now))
        return v;
    /* The hart's own timer: vstimecmp is that of whoever was in last. */
    if (v && v->state == VCPU_WAITING && v->csr.vsie & BIT(IRQ_STI) && v->csr.vstimecmp < h->timer)
        hart_timer_at(h, v->csr.vstimecmp);
    return NULL;
}

static void hart_switch(struct hart *h, struct vcpu *from, struct vcpu *to)
{
    if (from) {
        if (UNLIKELY(from->steal_gpa != SBI_STEAL_NOWHERE))
            partition_account(from, true);
        vcpu_out(from);
    }
    /* Before to's requests are read: see vcpu_request. */
    atomic_store_explicit(&h->current, to, memory_order_seq_cst);
    if (to) {
        vcpu_in(to);
        if (UNLIKELY(to->steal_gpa != SBI_STEAL_NOWHERE))
            partition_account(to, false);
    }
    intc_switch(h, from ? from->partition : NULL, to ? to->partition : NULL);
    if (h->config->mode != METAL_HART_EXCLUSIVE)
        trace(TRACE_SLOT, to ? (u32)(to - metal.vcpu) : METAL_NONE, h->due);
}

/* What came for HS-mode while the hart was in HS-mode. */
static void interrupts_poll(struct hart *h)
{
    u64 pending = csr_read(sip) & csr_read(sie);

    for (u32 irq = IRQ_SSI; irq <= IRQ_SEI; irq += 4) {
        if (pending & BIT(irq))
            hart_interrupt(h, irq);
    }
}

/* Nobody runs: until an interrupt for HS-mode, or one that wakes the vCPU whose slot this is. */
static void idle(struct hart *h)
{
    console_drain(NULL);
    wait_for_interrupt();
    interrupts_poll(h);
}

/* Would v run as soon as it woke? */
static bool is_awaited(const struct vcpu *v)
{
    const struct hart *h = v->hart;

    if (h->config->mode == METAL_HART_CYCLIC)
        return v == vcpu_at(h->cycle.vcpu) && !v->yielded;
    return !v->config->budget || v->budget_left;
}

/*
 * A window begins two microseconds after its time, always: what the one before was in the middle of
 * is over by then, so it shows in no neighbour's time.
 */
static void release(struct hart *h)
{
    u64 at = h->cycle.start + metal_config.board.timebase / 500000;

    if (h->config->mode != METAL_HART_CYCLIC || h->released == h->cycle.start)
        return;
    h->released = h->cycle.start;
    while (time_now() < at)
        ;
}

struct vcpu *hart_next_on(struct hart *h, struct vcpu *current)
{
    for (;;) {
        struct vcpu *next = pick(h, current, time_now());

        h->resched = false;
        if (next != current)
            hart_switch(h, current, next);
        current = next;
        intc_listen(h, is_awaited);
        if (!next) {
            idle(h);
            continue;
        }
        vcpu_serve(next);
        console_drain(next->partition);
        if (next->state == VCPU_LOADING) {
            partition_load_some(next->partition);
            interrupts_poll(h);
        }
        if (next->state == VCPU_READY && !h->resched) {
            if (UNLIKELY(next->suspended)) {
                next->suspended = false;
                sbi_hart_resumed(next->sbi, next->number);
            }
            release(h);
            return next;
        }
    }
}

struct vcpu *hart_next(struct vcpu *current)
{
    return hart_next_on(current->hart, current);
}

/* Most that is wanted of a vCPU is done while it runs. With priorities it may be for another one.
 */
static void kicked(struct hart *h)
{
    struct vcpu *v = atomic_load_explicit(&h->current, memory_order_relaxed);

    if (!v || h->config->mode == METAL_HART_PRIORITY || !vcpu_serve_running(v))
        h->resched = true;
}

void hart_interrupt(struct hart *h, u32 irq)
{
    switch (irq) {
    case IRQ_STI:
        h->resched = true;
        h->timer = 0; /* or, if it is that already, nothing would be written: then a simulator's */
        hart_timer_at(h, NEVER); /* timer that ran out just when it was set stays pending */
        health_watchdogs(h, time_now());
        break;
    case IRQ_SGEI: /* a waiting vCPU's */
        h->resched = true;
        break;
    case IRQ_SSI:
        csr_clear(sip, BIT(IRQ_SSI));
        kicked(h);
        break;
    default:
        if (intc_external(h))
            kicked(h);
        break;
    }
}
