/* SPDX-License-Identifier: BSD-2-Clause */
/* The VM's clock: the host's monotonic time since power-on, without the time spent paused. */
#include "host/clock.h"

#include <time.h>

#define NS_PER_S UINT64_C(1000000000)

static u64 host_time_ns(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (u64)t.tv_sec * NS_PER_S + (u64)t.tv_nsec;
}

u64 host_monotonic_ns(void)
{
    return host_time_ns(CLOCK_MONOTONIC);
}

void host_clock_init(struct host_clock *clock)
{
    atomic_init(&clock->origin_ns, host_monotonic_ns());
    atomic_init(&clock->frozen_ns, CLOCK_NEVER);
}

void host_clock_pause(struct host_clock *clock)
{
    u64 now = host_clock_now(clock);

    atomic_store_explicit(&clock->frozen_ns, now, memory_order_release);
}

void host_clock_resume(struct host_clock *clock)
{
    u64 frozen = atomic_load_explicit(&clock->frozen_ns, memory_order_relaxed);

    if (frozen == CLOCK_NEVER)
        return;
    atomic_store_explicit(&clock->origin_ns, host_monotonic_ns() - frozen, memory_order_relaxed);
    /* Release: who sees the clock run (host_clock_now) sees the new origin. */
    atomic_store_explicit(&clock->frozen_ns, CLOCK_NEVER, memory_order_release);
}

u64 host_clock_now(const struct host_clock *clock)
{
    u64 frozen = atomic_load_explicit(&clock->frozen_ns, memory_order_acquire);

    if (frozen != CLOCK_NEVER)
        return frozen;
    return host_monotonic_ns() - atomic_load_explicit(&clock->origin_ns, memory_order_relaxed);
}

u64 host_clock_monotonic(const struct host_clock *clock, u64 vm_ns)
{
    u64 mono;

    if (atomic_load_explicit(&clock->frozen_ns, memory_order_acquire) != CLOCK_NEVER)
        return CLOCK_NEVER;
    if (__builtin_add_overflow(vm_ns, atomic_load_explicit(&clock->origin_ns, memory_order_relaxed),
                               &mono))
        return CLOCK_NEVER;
    return mono;
}

static u64 host_clock_port_now(void *ctx)
{
    return host_clock_now(ctx);
}

static u64 host_clock_port_wall(void *ctx)
{
    return host_time_ns(CLOCK_REALTIME);
}

struct clock host_clock_port(const struct host_clock *clock)
{
    return (struct clock){host_clock_port_now, host_clock_port_wall, (void *)clock};
}
