/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtual time: instructions done times 2^shift ns, and the idle time that was jumped over. */
#include "exec/vclock.h"

#include "base/assert.h"

#include <string.h>

void vclock_init(struct vclock *clock, u32 shift)
{
    ASSERT(shift <= VCLOCK_SHIFT_MAX);
    memset(clock, 0, sizeof(*clock));
    clock->shift = shift;
    clock->next_ns = CLOCK_NEVER;
    pthread_mutex_init(&clock->lock, NULL);
}

void vclock_fini(struct vclock *clock)
{
    pthread_mutex_destroy(&clock->lock);
}

void vclock_own(struct vclock *clock)
{
    clock->owner = pthread_self();
    atomic_store_explicit(&clock->owned, 1, memory_order_release);
}

static bool is_owner(const struct vclock *clock)
{
    return atomic_load_explicit(&clock->owned, memory_order_acquire) &&
           pthread_equal(clock->owner, pthread_self());
}

static u64 exact_now(const struct vclock *clock)
{
    return (clock->count(clock->ctx) << clock->shift) + clock->jumped_ns;
}

u64 vclock_now(const struct vclock *clock)
{
    return is_owner(clock) ? exact_now(clock)
                           : atomic_load_explicit(&clock->published_ns, memory_order_relaxed);
}

void vclock_publish(struct vclock *clock)
{
    atomic_store_explicit(&clock->published_ns, exact_now(clock), memory_order_relaxed);
}

static void find_next_locked(struct vclock *clock)
{
    u64 next = CLOCK_NEVER;

    for (u32 i = 0; i < clock->timers; i++) {
        if (clock->timer[i].deadline_ns < next)
            next = clock->timer[i].deadline_ns;
    }
    clock->next_ns = next;
}

static void arm(void *ctx, u32 timer, u64 deadline_ns)
{
    struct vclock *clock = ctx;
    bool sooner;
    u64 before;

    pthread_mutex_lock(&clock->lock);
    before = clock->next_ns;
    clock->timer[timer].deadline_ns = deadline_ns;
    find_next_locked(clock);
    sooner = clock->next_ns < before;
    pthread_mutex_unlock(&clock->lock);
    if (sooner && is_owner(clock))
        clock->sooner(clock->ctx);
}

struct timer_port vclock_add(struct vclock *clock, void (*fire)(void *ctx, u32 arg), void *ctx,
                             u32 arg)
{
    u32 timer;

    pthread_mutex_lock(&clock->lock);
    timer = clock->timers++;
    ASSERT(timer < VCLOCK_TIMERS);
    clock->timer[timer] = (struct vclock_timer){fire, ctx, arg, CLOCK_NEVER};
    pthread_mutex_unlock(&clock->lock);
    return (struct timer_port){arm, clock, timer};
}

u64 vclock_next(struct vclock *clock)
{
    u64 next;

    pthread_mutex_lock(&clock->lock);
    next = clock->next_ns;
    pthread_mutex_unlock(&clock->lock);
    return next;
}

u64 vclock_ahead(struct vclock *clock)
{
    u64 next = vclock_next(clock), now = exact_now(clock);

    if (next == CLOCK_NEVER)
        return UINT64_MAX;
    if (next <= now + 1)
        return 1;
    return ((next - now - 1) >> clock->shift) + 1;
}

void vclock_jump(struct vclock *clock, u64 to_ns)
{
    u64 now = exact_now(clock);

    if (to_ns > now)
        clock->jumped_ns += to_ns - now;
    vclock_publish(clock);
}

/* The earliest that is due, disarmed; false: none. */
static bool take_due(struct vclock *clock, struct vclock_timer *due)
{
    u64 now = exact_now(clock);
    bool any;

    pthread_mutex_lock(&clock->lock);
    any = clock->next_ns <= now;
    for (u32 i = 0; any && i < clock->timers; i++) {
        if (clock->timer[i].deadline_ns != clock->next_ns)
            continue;
        *due = clock->timer[i];
        clock->timer[i].deadline_ns = CLOCK_NEVER;
        find_next_locked(clock);
        break;
    }
    pthread_mutex_unlock(&clock->lock);
    return any;
}

void vclock_expire(struct vclock *clock)
{
    struct vclock_timer due = {0};

    /* Bounded: a timer that arms itself for the past must not stop time. */
    for (u32 i = 0; i < VCLOCK_TIMERS && take_due(clock, &due); i++)
        due.fire(due.ctx, due.arg);
}
