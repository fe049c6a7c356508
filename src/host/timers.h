/* SPDX-License-Identifier: BSD-2-Clause */
/* Many one-shot timers behind one timerfd; the event loop's, not for others. */
#ifndef COSM_HOST_TIMERS_H
#define COSM_HOST_TIMERS_H

#include "base/err.h"
#include "host/clock.h"

#include <pthread.h>

struct host_timer {
    void (*fire)(void *ctx, u32 arg);
    void *ctx;
    u32 arg;
    u32 at; /* place in the heap */
    u64 deadline_ns;
};

struct host_timers {
    pthread_mutex_t mutex; /* guards all below */
    const struct host_clock *clock;
    int fd; /* timerfd: readable when a timer may be due */
    struct host_timer *timer;
    u32 *heap; /* armed timers, the earliest first */
    u32 count, armed, room;
    u64 set_ns;   /* VM time for which fd is set, CLOCK_NEVER: it is not */
    u64 round_ns; /* 0: no round of firing; else its time, and its end sets fd */
};

MUST_CHECK int host_timers_init(struct host_timers *timers, const struct host_clock *clock,
                                struct err *err);
void host_timers_fini(struct host_timers *timers);
struct timer_port host_timers_add(struct host_timers *timers, void (*fire)(void *ctx, u32 arg),
                                  void *ctx, u32 arg);

/* Calls fire for all that are due; when fd is readable. */
void host_timers_run(struct host_timers *timers);

/* Sets fd anew after the clock was paused or resumed. */
void host_timers_clock_changed(struct host_timers *timers);

#endif
