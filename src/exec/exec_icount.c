/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Harts in turn on one thread, by counts of instructions: the same guest does the same every time.
 *
 * Theory of operation. A hart runs for a slice of so many instructions, or until it waits; then
 * comes the next that can. Time is what all of them have done together, so it never goes back from
 * one hart to another; when all wait it jumps to the next timer's deadline. A slice ends at a
 * deadline, too, so that timers fire at exact counts. Between slices, and right after a store to a
 * device or a CSR, a hart looks for interrupts; what lies in between depends on no engine.
 *
 * With the H extension, whose users hold plans to the microsecond, the hart that a timer calls has
 * the next turn; else it waits for it, as it did before there was H.
 *
 * A pause from outside (debugger, end of the VM) interrupts a slice, which later goes on as if
 * nothing had been.
 */
#include "exec/exec_state.h"

#include "base/assert.h"
#include "exec/vclock.h"
#include "rv/trap.h"

#include <errno.h>
#include <stdlib.h>

#define SLICE       65536u /* short enough for a hart that spins until another has done its part */
#define SLICE_ALONE (1u << 20) /* input from outside waits no longer */

struct icount {
    struct vclock clock;
    u32 turn;             /* the hart that runs, or ran last */
    u64 left;             /* of its slice; 0: the next one's turn */
    bool resumes;         /* the slice goes on after a pause */
    bool prompt;          /* a timer that fires may end another hart's slice: there are guests */
    bool fired;           /* and one did */
    struct vcpu *current; /* it runs: its count moves on */
    _Atomic u32 idle;     /* nothing will happen by itself */
};

static u64 count_of(const struct hart *hart)
{
    return hart->insns + hart->stats.traps;
}

static u64 count_all(void *ctx)
{
    const struct exec *exec = ctx;
    u64 count = 0;

    for (u32 i = 0; i < exec->count; i++)
        count += count_of(exec->harts[i]);
    return count;
}

/* A deadline has come nearer while a hart runs: so does its limit. */
static void sooner(void *ctx)
{
    struct exec *exec = ctx;
    struct icount *ic = exec->icount;
    struct hart *hart;
    u64 limit;

    if (!ic->current)
        return;
    hart = ic->current->hart;
    limit = hart->insns + vclock_ahead(&ic->clock);
    if (limit >= hart->limit)
        return;
    hart->limit = limit;
    hart_attention(hart, ATTN_IRQ); /* the engine has a copy: it looks again when it attends */
}

int icount_create(struct exec *exec, u32 shift, struct err *err)
{
    struct icount *ic = calloc(1, sizeof(*ic));

    if (!ic)
        return err_set(err, ENOMEM, "no host memory for the virtual clock");
    vclock_init(&ic->clock, shift);
    ic->clock.count = count_all;
    ic->clock.sooner = sooner;
    ic->clock.ctx = exec;
    ic->prompt = isa_has(&exec->config.isa, ISA_H);
    exec->icount = ic;
    return 0;
}

void icount_destroy(struct exec *exec)
{
    if (!exec->icount)
        return;
    vclock_fini(&exec->icount->clock);
    free(exec->icount);
}

u64 exec_virtual_ns(struct exec *exec)
{
    return vclock_now(&exec->icount->clock);
}

struct timer_port exec_virtual_timer(struct exec *exec, void (*fire)(void *ctx, u32 arg), void *ctx,
                                     u32 arg)
{
    return vclock_add(&exec->icount->clock, fire, ctx, arg);
}

void icount_wake(struct exec *exec)
{
    if (!atomic_load_explicit(&exec->icount->idle, memory_order_seq_cst))
        return;
    pthread_mutex_lock(&exec->lock);
    pthread_cond_broadcast(&exec->changed);
    pthread_mutex_unlock(&exec->lock);
}

static bool may_run(const struct vcpu *v)
{
    return v->started && !v->held;
}

static bool is_ready(const struct vcpu *v)
{
    if (!may_run(v))
        return false;
    return !(v->waits || v->rest == REST_SUSPEND) || v->step || trap_wakes(v->hart);
}

static struct vcpu *give_turn(struct exec *exec, u32 next)
{
    struct icount *ic = exec->icount;

    ic->turn = next;
    ic->left = exec->count == 1 ? SLICE_ALONE : SLICE;
    ic->resumes = false;
    return &exec->vcpus[next];
}

/* Another hart than the one whose turn it is that would take an interrupt at once; count: none. */
static u32 called_hart(const struct exec *exec)
{
    const u32 turn = exec->icount->turn;

    for (u32 i = 1; i < exec->count; i++) {
        u32 next = (turn + i) % exec->count;
        if (is_ready(&exec->vcpus[next]) && trap_pending(exec->harts[next]) >= 0)
            return next;
    }
    return exec->count;
}

/* Whose turn it is; NULL: all wait. */
static struct vcpu *choose_locked(struct exec *exec)
{
    struct icount *ic = exec->icount;
    u32 called = ic->fired ? called_hart(exec) : exec->count;

    ic->fired = false;
    if (called < exec->count && trap_pending(exec->harts[ic->turn]) < 0)
        return give_turn(exec, called);
    if (ic->left && is_ready(&exec->vcpus[ic->turn]))
        return &exec->vcpus[ic->turn];
    for (u32 i = 1; i <= exec->count; i++) {
        u32 next = (ic->turn + i) % exec->count;
        if (is_ready(&exec->vcpus[next]))
            return give_turn(exec, next);
    }
    return NULL;
}

static bool somebody_waits_locked(const struct exec *exec)
{
    for (u32 i = 0; i < exec->count; i++) {
        if (may_run(&exec->vcpus[i]))
            return true;
    }
    return false;
}

static void rest_while_paused_locked(struct exec *exec)
{
    struct vcpu *first = &exec->vcpus[0]; /* it has the thread */

    if (!exec->pauses || exec->quit)
        return;
    first->parked = true;
    pthread_cond_broadcast(&exec->changed);
    while (exec->pauses && !exec->quit)
        pthread_cond_wait(&exec->changed, &exec->lock);
    first->parked = false;
}

/* All wait: time jumps to where something happens, or stands until somebody outside acts. */
static void pass_time_locked(struct exec *exec)
{
    struct icount *ic = exec->icount;
    u64 next = vclock_next(&ic->clock);

    if (next != CLOCK_NEVER && somebody_waits_locked(exec)) {
        pthread_mutex_unlock(&exec->lock);
        vclock_jump(&ic->clock, next);
        vclock_expire(&ic->clock);
        pthread_mutex_lock(&exec->lock);
        return;
    }
    atomic_store_explicit(&ic->idle, 1, memory_order_seq_cst);
    if (!exec->pauses && !exec->quit && !choose_locked(exec))
        pthread_cond_wait(&exec->changed, &exec->lock);
    atomic_store_explicit(&ic->idle, 0, memory_order_seq_cst);
}

/* Waits for a hart that can run. NULL: the thread must end. */
static struct vcpu *next_vcpu(struct exec *exec, bool *step)
{
    struct vcpu *v = NULL;

    pthread_mutex_lock(&exec->lock);
    while (!exec->quit) {
        rest_while_paused_locked(exec);
        v = exec->quit || exec->pauses ? NULL : choose_locked(exec);
        if (v)
            break;
        if (!exec->quit && !exec->pauses)
            pass_time_locked(exec);
    }
    if (v) {
        atomic_fetch_and_explicit(&v->hart->attn, ~(u32)ATTN_PAUSE, memory_order_seq_cst);
        *step = v->step;
        v->waits = false;
    }
    pthread_mutex_unlock(&exec->lock);
    return v;
}

static enum hart_exit run_slice(struct exec *exec, struct vcpu *v, bool step)
{
    struct icount *ic = exec->icount;
    struct hart *hart = v->hart;
    u64 before = count_of(hart), ahead = vclock_ahead(&ic->clock), used;
    enum hart_exit why;

    vcpu_wake_up(v);
    if (!ic->resumes)
        hart_attention(hart, ATTN_IRQ);
    hart->limit = hart->insns + (ahead < ic->left ? ahead : ic->left);
    ic->current = v;
    why = vcpu_run(v, step);
    ic->current = NULL;
    ASSERT(hart->insns <= hart->limit);
    used = count_of(hart) - before;
    ic->left -= used < ic->left ? used : ic->left;
    ic->resumes = why == HART_EXIT_ATTN && v->rest == REST_NONE;
    vcpu_fall_asleep(v);
    return why;
}

static void act_on(struct exec *exec, struct vcpu *v, enum hart_exit why)
{
    struct icount *ic = exec->icount;

    if (v->rest != REST_NONE || why == HART_EXIT_WFI || why == HART_EXIT_YIELD)
        ic->left = 0;
    if (v->rest == REST_STOP)
        vcpu_stop(v);
    switch (why) {
    case HART_EXIT_ATTN:
    case HART_EXIT_LIMIT:
    case HART_EXIT_YIELD:
        break;
    case HART_EXIT_WFI:
        pthread_mutex_lock(&exec->lock);
        v->waits = true;
        pthread_mutex_unlock(&exec->lock);
        break;
    case HART_EXIT_BREAK:
    case HART_EXIT_WATCH:
    case HART_EXIT_STEP:
        vcpu_stop_for_debugger(v, why);
        break;
    }
}

void *icount_main(void *arg)
{
    struct exec *exec = arg;
    struct icount *ic = exec->icount;
    struct vcpu *v;
    bool step;

    vcpu_began(exec);
    vclock_own(&ic->clock);
    for (u32 i = 0; i < exec->count; i++)
        vcpu_fall_asleep(&exec->vcpus[i]);
    while ((v = next_vcpu(exec, &step))) {
        enum hart_exit why;
        if (v->rest == REST_SUSPEND)
            vcpu_resume(v);
        why = run_slice(exec, v, step);
        vclock_publish(&ic->clock);
        ic->fired = ic->prompt && vclock_next(&ic->clock) <= vclock_now(&ic->clock);
        vclock_expire(&ic->clock);
        act_on(exec, v, why);
    }
    return NULL;
}
