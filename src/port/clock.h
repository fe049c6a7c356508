/* SPDX-License-Identifier: BSD-2-Clause */
/* Time and timers as a device sees them. */
#ifndef COSM_PORT_CLOCK_H
#define COSM_PORT_CLOCK_H

#include "base/types.h"

#define CLOCK_NEVER UINT64_MAX

struct clock {
    u64 (*now_ns)(void *ctx);  /* the VM's monotonic time, 0 at power-on */
    u64 (*wall_ns)(void *ctx); /* since 1970-01-01 00:00 UTC */
    void *ctx;
};

static inline u64 clock_now(const struct clock *clock)
{
    return clock->now_ns(clock->ctx);
}

static inline u64 clock_wall(const struct clock *clock)
{
    return clock->wall_ns(clock->ctx);
}

/*
 * A one-shot timer, made by the board for its user. arm replaces an earlier deadline; CLOCK_NEVER
 * disarms. A deadline in the past fires soon. It fires on another thread, never from within arm;
 * a firing that races with arm may come late, so the user compares the clock again.
 */
struct timer_port {
    void (*arm)(void *ctx, u32 timer, u64 deadline_ns);
    void *ctx;
    u32 timer;
};

static inline void timer_arm(const struct timer_port *t, u64 deadline_ns)
{
    if (t->arm)
        t->arm(t->ctx, t->timer, deadline_ns);
}

#endif
