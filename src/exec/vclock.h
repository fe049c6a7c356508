/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtual time: instructions done times 2^shift ns, and the idle time that was jumped over. */
#ifndef COSM_EXEC_VCLOCK_H
#define COSM_EXEC_VCLOCK_H

#include "port/clock.h"

#include <pthread.h>
#include <stdatomic.h>

#define VCLOCK_TIMERS    128
#define VCLOCK_SHIFT_MAX 10

struct vclock_timer {
    void (*fire)(void *ctx, u32 arg);
    void *ctx;
    u32 arg;
    u64 deadline_ns; /* CLOCK_NEVER: not armed */
};

/* One thread, the owner, makes time pass; to others it stands between calls of vclock_publish. */
struct vclock {
    u32 shift;
    u64 (*count)(void *ctx);   /* instructions done; asked on the owner's thread alone */
    void (*sooner)(void *ctx); /* on the owner's thread: vclock_next is nearer than it was */
    void *ctx;
    pthread_t owner;
    _Atomic u32 owned;
    u64 jumped_ns;
    _Atomic u64 published_ns;
    pthread_mutex_t lock; /* of what follows */
    struct vclock_timer timer[VCLOCK_TIMERS];
    u32 timers;
    u64 next_ns;
};

void vclock_init(struct vclock *clock, u32 shift);
void vclock_fini(struct vclock *clock);

/* The calling thread makes time pass from now on. */
void vclock_own(struct vclock *clock);

/* Any thread. */
u64 vclock_now(const struct vclock *clock);
struct timer_port vclock_add(struct vclock *clock, void (*fire)(void *ctx, u32 arg), void *ctx,
                             u32 arg);

/* The owner's: */
void vclock_publish(struct vclock *clock);
/* The earliest deadline, and how many instructions it is ahead: at least 1, UINT64_MAX: none. */
u64 vclock_next(struct vclock *clock);
u64 vclock_ahead(struct vclock *clock);
void vclock_jump(struct vclock *clock, u64 to_ns);
/* Fires what is due, the earliest first. */
void vclock_expire(struct vclock *clock);

#endif
