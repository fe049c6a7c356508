/* SPDX-License-Identifier: BSD-2-Clause */
/* The VM's clock: the host's monotonic time since power-on, without the time spent paused. */
#ifndef COSM_HOST_CLOCK_H
#define COSM_HOST_CLOCK_H

#include "port/clock.h"

#include <stdatomic.h>

struct host_clock {
    _Atomic u64 origin_ns; /* monotonic host time at VM time 0 */
    _Atomic u64 frozen_ns; /* VM time at which it stands, CLOCK_NEVER: it runs */
};

/* Starts at 0, running. */
void host_clock_init(struct host_clock *clock);

/*
 * Stop and go; idempotent. One thread calls them, while no hart runs: readers on other threads may
 * see the time of the pause overshot by the time of their own call.
 */
void host_clock_pause(struct host_clock *clock);
void host_clock_resume(struct host_clock *clock);

u64 host_clock_now(const struct host_clock *clock);

/* Host monotonic time (CLOCK_MONOTONIC, ns) at VM time vm_ns; CLOCK_NEVER while paused. */
u64 host_clock_monotonic(const struct host_clock *clock, u64 vm_ns);

/* As a device sees it; clock outlives the port. */
struct clock host_clock_port(const struct host_clock *clock);

/* CLOCK_MONOTONIC now, ns. */
u64 host_monotonic_ns(void);

#endif
