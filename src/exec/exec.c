/* SPDX-License-Identifier: BSD-2-Clause */
/* The harts of a VM on host threads: one thread a hart; start, sleep, pause, step, wake, fence. */
#include "exec/exec.h"

#include "base/assert.h"
#include "exec/exec_state.h"
#include "exec/jit.h"
#include "port/lock.h"
#include "rv/code_cache.h"
#include "rv/debug.h"
#include "rv/interp.h"
#include "rv/mem.h"
#include "rv/mmu.h"
#include "rv/system.h"
#include "rv/trap.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void kick(struct hart *hart, u32 attn)
{
    hart_attention(hart, attn);
    if (atomic_load_explicit(&hart->asleep, memory_order_seq_cst))
        port_wake(&hart->attn);
}

void vcpu_fall_asleep(struct vcpu *v)
{
    atomic_store_explicit(&v->hart->code_ack, UINT64_MAX, memory_order_seq_cst);
    atomic_store_explicit(&v->hart->asleep, 1, memory_order_seq_cst);
}

void vcpu_wake_up(struct vcpu *v)
{
    atomic_store_explicit(&v->hart->asleep, 0, memory_order_seq_cst);
    mem_attend_protect(v->hart);
}

/*
 * Sleeps as WFI does; false: woke early because the engine must be left. An interrupt is not taken
 * here: it might vanish before the next look, and the hart sleep on in its handler.
 */
static bool wait_for_interrupt(struct vcpu *v)
{
    struct hart *hart = v->hart;
    bool woke;

    vcpu_fall_asleep(v);
    for (;;) {
        u32 attn = atomic_load_explicit(&hart->attn, memory_order_seq_cst);
        woke = trap_wakes(hart);
        if ((attn & ATTN_PAUSE) || woke)
            break;
        if (!attn) {
            port_wait(&hart->attn, 0);
            continue;
        }
        atomic_fetch_and_explicit(&hart->attn, ~(u32)(ATTN_IRQ | ATTN_ENGINE),
                                  memory_order_seq_cst);
        vcpu_wake_up(v);
        system_serve(hart);
        vcpu_fall_asleep(v);
    }
    vcpu_wake_up(v);
    hart_attention(hart, ATTN_IRQ);
    return woke;
}

static void vcpu_wait(struct vcpu *v)
{
    bool waits = !wait_for_interrupt(v);

    pthread_mutex_lock(&v->exec->lock);
    v->waits = waits;
    pthread_mutex_unlock(&v->exec->lock);
}

static bool may_run(const struct vcpu *v)
{
    return v->exec->pauses == 0 && v->started && !v->held;
}

/* Parks until the hart may run. False: the thread must end. *step: run one instruction. */
static bool wait_until_runnable(struct vcpu *v, bool *step)
{
    struct exec *exec = v->exec;
    bool quit;

    pthread_mutex_lock(&exec->lock);
    if (!exec->quit && !may_run(v)) {
        vcpu_fall_asleep(v);
        v->parked = true;
        pthread_cond_broadcast(&exec->changed);
        while (!exec->quit && !may_run(v))
            pthread_cond_wait(&exec->changed, &exec->lock);
        v->parked = false;
        vcpu_wake_up(v);
        hart_attention(v->hart, ATTN_IRQ);
    }
    atomic_fetch_and_explicit(&v->hart->attn, ~(u32)ATTN_PAUSE, memory_order_seq_cst);
    *step = v->step;
    v->waits = false;
    quit = exec->quit;
    pthread_mutex_unlock(&exec->lock);
    return !quit;
}

/* gdb expects to hear of a watched access after it was made. */
static void complete_watched(struct hart *hart)
{
    struct debug_points *debug = hart->debug;

    hart->debug = NULL;
    (void)interp_run(hart, true);
    hart->debug = debug;
    mmu_flush(hart);
}

void vcpu_stop_for_debugger(struct vcpu *v, enum hart_exit why)
{
    struct exec *exec = v->exec;

    if (why == HART_EXIT_WATCH)
        complete_watched(v->hart);
    pthread_mutex_lock(&exec->lock);
    v->held = true;
    v->step = false;
    pthread_mutex_unlock(&exec->lock);
    if (exec->config.stopped)
        exec->config.stopped(exec->config.ctx, v->hart, why);
}

void vcpu_stop(struct vcpu *v)
{
    const struct exec_config *c = &v->exec->config;

    v->rest = REST_NONE;
    pthread_mutex_lock(&v->exec->lock);
    v->started = false;
    pthread_mutex_unlock(&v->exec->lock);
    if (c->stopped_itself)
        c->stopped_itself(c->ctx, v->hart);
}

void vcpu_resume(struct vcpu *v)
{
    const struct exec_config *c = &v->exec->config;

    v->rest = REST_NONE;
    if (c->woke)
        c->woke(c->ctx, v->hart);
}

/* A pause interrupts it; it goes on afterwards. */
static void suspend(struct vcpu *v)
{
    if (wait_for_interrupt(v))
        vcpu_resume(v);
}

static enum hart_exit run_engine(struct vcpu *v, bool step)
{
    return v->hart->jit.engine ? jit_run(v->hart, step) : interp_run(v->hart, step);
}

/* Step by step, attending in between as the engine does; the debugger is served as ever. */
static enum hart_exit run_traced(struct vcpu *v)
{
    const struct exec_trace *trace = v->exec->config.trace;
    struct hart *hart = v->hart;

    for (;;) {
        enum hart_exit why;
        if (hart->insns >= hart->limit)
            return HART_EXIT_LIMIT;
        if (atomic_load_explicit(&hart->attn, memory_order_relaxed))
            system_attend(hart);
        if (atomic_load_explicit(&hart->attn, memory_order_relaxed) & ATTN_PAUSE)
            return HART_EXIT_ATTN;
        if (hart->debug && debug_breaks_at(hart->debug, hart->pc))
            return HART_EXIT_BREAK;
        if (!trace->before(trace->ctx, hart))
            return run_engine(v, false);
        hart->stepped = HART_EXIT_STEP;
        why = interp_run(hart, true);
        trace->after(trace->ctx, hart);
        if (why != HART_EXIT_STEP)
            return why;
        if (hart->stepped != HART_EXIT_STEP)
            return hart->stepped;
    }
}

enum hart_exit vcpu_run(struct vcpu *v, bool step)
{
    return v->exec->config.trace && !step ? run_traced(v) : run_engine(v, step);
}

void vcpu_began(struct exec *exec)
{
    if (exec->config.began)
        exec->config.began(exec->config.ctx, false);
}

static void *vcpu_main(void *arg)
{
    struct vcpu *v = arg;
    bool step;

    vcpu_began(v->exec);
    while (wait_until_runnable(v, &step)) {
        enum hart_exit why;
        if (v->rest == REST_SUSPEND) {
            suspend(v);
            continue;
        }
        why = vcpu_run(v, step);
        if (v->rest == REST_STOP)
            vcpu_stop(v);
        switch (why) {
        case HART_EXIT_ATTN:
        case HART_EXIT_LIMIT:
            break;
        case HART_EXIT_WFI:
            vcpu_wait(v);
            break;
        case HART_EXIT_YIELD:
            sched_yield();
            break;
        case HART_EXIT_BREAK:
        case HART_EXIT_WATCH:
        case HART_EXIT_STEP:
            vcpu_stop_for_debugger(v, why);
            break;
        }
    }
    return NULL;
}

/* Memory that appears as it is touched; NULL: there is none. */
static void *zeroed_map(u64 size)
{
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return map == MAP_FAILED ? NULL : map;
}

static int create_harts(struct exec *exec, struct err *err)
{
    struct hart_env *env = exec->config.env;

    const struct jit_config jit = {
        .limited = exec->config.icount, .regions = exec->config.regions, .patient = true};

    env->limited = exec->config.icount;
    if (exec->config.translate && !(exec->jit = jit_create(&jit)))
        return err_set(err, ENOMEM, "no host memory for translated code; use --cpu-engine=interp");
    for (u32 i = 0; i < exec->count; i++) {
        /* Most of it is TLB, of which the host gives what is touched. */
        struct hart *hart = zeroed_map(sizeof(*hart));
        if (!hart)
            return err_set(err, ENOMEM, "no host memory for %u harts; use a smaller --smp",
                           exec->count);
        exec->harts[i] = hart;
        exec->vcpus[i].exec = exec;
        exec->vcpus[i].hart = hart;
        hart->id = i;
        hart->limit = HART_NO_LIMIT;
        hart->isa = exec->config.isa;
        hart->env = env;
        hart->code_ack = UINT64_MAX;
        hart->code = code_cache_create(exec->count);
        if (exec->jit && !jit_attach(exec->jit, hart))
            return err_set(err, ENOMEM,
                           "no host memory for translated code; use --cpu-engine=interp");
        if (!hart->code)
            return err_set(err, ENOMEM, "no host memory for hart %u; use a smaller --smp", i);
    }
    env->harts = exec->harts;
    env->hart_count = exec->count;
    env->code_map = &exec->code_map;
    return 0;
}

/* The map costs 16 bytes a page, but only where code is: pages of it appear as they are touched. */
static int create_code_map(struct exec *exec, struct err *err)
{
    struct code_map *map = &exec->code_map;

    map->base = exec->config.ram_base;
    map->pages = exec->config.ram_size >> PAGE_SHIFT;
    map->state = zeroed_map(map->pages * sizeof(*map->state));
    if (!map->state)
        return err_set(err, ENOMEM, "no host memory to track guest code; use a smaller -m");
    return 0;
}

int exec_create(struct exec **out, const struct exec_config *config, struct err *err)
{
    struct exec *exec = calloc(1, sizeof(*exec));
    int r;

    if (!exec)
        return err_set(err, ENOMEM, "no host memory for the virtual machine");
    exec->config = *config;
    exec->count = config->hart_count;
    exec->pauses = 1;
    pthread_mutex_init(&exec->lock, NULL);
    pthread_cond_init(&exec->changed, NULL);
    exec->harts = calloc(exec->count, sizeof(exec->harts[0]));
    exec->vcpus = calloc(exec->count, sizeof(exec->vcpus[0]));
    if (!exec->harts || !exec->vcpus)
        r = err_set(err, ENOMEM, "no host memory for %u harts", exec->count);
    else
        r = create_code_map(exec, err);
    if (!r && config->icount)
        r = icount_create(exec, config->icount_shift, err);
    if (!r)
        r = create_harts(exec, err);
    if (r) {
        exec_destroy(exec);
        return r;
    }
    *out = exec;
    return 0;
}

static void join_threads(struct exec *exec)
{
    pthread_mutex_lock(&exec->lock);
    exec->quit = true;
    for (u32 i = 0; i < exec->count; i++) {
        if (exec->vcpus[i].hart)
            kick(exec->vcpus[i].hart, ATTN_PAUSE);
    }
    pthread_cond_broadcast(&exec->changed);
    pthread_mutex_unlock(&exec->lock);
    for (u32 i = 0; i < exec->count; i++) {
        if (exec->vcpus[i].has_thread)
            pthread_join(exec->vcpus[i].thread, NULL);
    }
}

void exec_destroy(struct exec *exec)
{
    if (!exec)
        return;
    if (exec->vcpus)
        join_threads(exec);
    for (u32 i = 0; exec->harts && i < exec->count; i++) {
        if (exec->harts[i])
            code_cache_destroy(exec->harts[i]->code);
        if (exec->harts[i])
            jit_detach(exec->harts[i]);
        if (exec->harts[i])
            munmap(exec->harts[i], sizeof(*exec->harts[i]));
    }
    jit_destroy(exec->jit);
    if (exec->code_map.state)
        munmap(exec->code_map.state, exec->code_map.pages * sizeof(*exec->code_map.state));
    icount_destroy(exec);
    free(exec->harts);
    free(exec->vcpus);
    pthread_cond_destroy(&exec->changed);
    pthread_mutex_destroy(&exec->lock);
    free(exec);
}

struct hart *exec_hart(struct exec *exec, u32 index)
{
    ASSERT(index < exec->count);
    return exec->harts[index];
}

int exec_start(struct exec *exec, struct err *err)
{
    u32 threads = exec->icount ? 1 : exec->count;
    int failed = exec->jit ? jit_start(exec->jit, exec->config.began, exec->config.ctx) : 0;

    if (failed)
        return err_set(err, failed, "no host thread for translation: %s; use --cpu-engine=jit1",
                       strerror(failed));
    for (u32 i = 0; i < threads; i++) {
        struct vcpu *v = &exec->vcpus[i];
        int r = exec->icount ? pthread_create(&v->thread, NULL, icount_main, exec)
                             : pthread_create(&v->thread, NULL, vcpu_main, v);
        if (r)
            return err_set(err, r, "no host thread for hart %u: %s; use a smaller --smp", i,
                           strerror(r));
        v->has_thread = true;
    }
    return 0;
}

static bool all_parked(struct exec *exec)
{
    for (u32 i = 0; i < exec->count; i++) {
        if (exec->vcpus[i].has_thread && !exec->vcpus[i].parked)
            return false;
    }
    return true;
}

bool exec_jit_stats(struct exec *exec, struct jit_stats *stats)
{
    if (exec->jit)
        jit_stats_read(exec->jit, stats);
    return exec->jit;
}

void exec_pause(struct exec *exec)
{
    pthread_mutex_lock(&exec->lock);
    exec->pauses++;
    for (u32 i = 0; i < exec->count; i++)
        kick(exec->vcpus[i].hart, ATTN_PAUSE);
    pthread_cond_broadcast(&exec->changed);
    while (!all_parked(exec))
        pthread_cond_wait(&exec->changed, &exec->lock);
    pthread_mutex_unlock(&exec->lock);
}

void exec_resume(struct exec *exec)
{
    pthread_mutex_lock(&exec->lock);
    ASSERT(exec->pauses > 0);
    exec->pauses--;
    pthread_cond_broadcast(&exec->changed);
    pthread_mutex_unlock(&exec->lock);
}

static void set_held(struct exec *exec, u32 index, bool held, bool step)
{
    pthread_mutex_lock(&exec->lock);
    exec->vcpus[index].held = held;
    exec->vcpus[index].step = step;
    pthread_cond_broadcast(&exec->changed);
    pthread_mutex_unlock(&exec->lock);
}

void exec_release_hart(struct exec *exec, u32 index, bool step)
{
    set_held(exec, index, false, step);
}

void exec_hold_hart(struct exec *exec, u32 index)
{
    set_held(exec, index, true, false);
}

void exec_hold_all(struct exec *exec)
{
    for (u32 i = 0; i < exec->count; i++) {
        set_held(exec, i, true, false);
        kick(exec->harts[i], ATTN_PAUSE);
    }
}

void exec_hart_start(struct exec *exec, u32 index)
{
    struct vcpu *v = &exec->vcpus[index];

    pthread_mutex_lock(&exec->lock);
    v->started = true;
    pthread_cond_broadcast(&exec->changed);
    pthread_mutex_unlock(&exec->lock);
}

static void ask_to_rest(struct exec *exec, u32 index, enum rest rest)
{
    exec->vcpus[index].rest = rest;
    hart_attention(exec->harts[index], ATTN_PAUSE);
}

void exec_hart_stop(struct exec *exec, u32 index)
{
    ask_to_rest(exec, index, REST_STOP);
}

void exec_hart_suspend(struct exec *exec, u32 index)
{
    ask_to_rest(exec, index, REST_SUSPEND);
}

bool exec_hart_is_started(struct exec *exec, u32 index)
{
    bool started;

    pthread_mutex_lock(&exec->lock);
    started = exec->vcpus[index].started;
    pthread_mutex_unlock(&exec->lock);
    return started;
}

bool exec_hart_waits(struct exec *exec, u32 index)
{
    bool waits;

    pthread_mutex_lock(&exec->lock);
    waits = exec->vcpus[index].waits;
    pthread_mutex_unlock(&exec->lock);
    return waits;
}

void exec_hart_halt(struct exec *exec, u32 index)
{
    struct vcpu *v = &exec->vcpus[index];

    pthread_mutex_lock(&exec->lock);
    v->started = v->waits = false;
    v->rest = REST_NONE;
    pthread_mutex_unlock(&exec->lock);
}

static void notify(struct exec *exec, struct hart *hart)
{
    kick(hart, ATTN_IRQ);
    if (exec->icount)
        icount_wake(exec);
}

void exec_set_irq(struct exec *exec, u32 index, u32 bit, bool level)
{
    struct hart *hart = exec->harts[index];

    if (!level) {
        atomic_fetch_and_explicit(&hart->irq_wires, ~BIT(bit), memory_order_seq_cst);
        return;
    }
    if (!(atomic_fetch_or_explicit(&hart->irq_wires, BIT(bit), memory_order_seq_cst) & BIT(bit)))
        notify(exec, hart);
}

void exec_set_soft_irq(struct exec *exec, u32 index, u32 bit)
{
    struct hart *hart = exec->harts[index];

    atomic_fetch_or_explicit(&hart->irq_soft, BIT(bit), memory_order_seq_cst);
    notify(exec, hart);
}

static bool has_acted(const struct hart *hart, u32 attn)
{
    if (atomic_load_explicit(&hart->asleep, memory_order_seq_cst))
        return true;
    if (atomic_load_explicit(&hart->attn, memory_order_seq_cst) & attn)
        return false;
    return !atomic_load_explicit(&hart->attending, memory_order_seq_cst);
}

void exec_fence(struct exec *exec, struct hart *self, u64 mask, u32 attn)
{
    for (u32 i = 0; i < exec->count; i++) {
        if (mask >> i & 1)
            hart_attention(exec->harts[i], attn);
    }
    for (u32 i = 0; i < exec->count; i++) {
        const struct hart *hart = exec->harts[i];
        if (!(mask >> i & 1))
            continue;
        for (u32 spins = 0; hart != self && !has_acted(hart, attn); spins++) {
            system_serve(self); /* lest two harts wait for each other */
            if (spins >= 100)
                sched_yield();
        }
    }
    system_serve(self);
}
