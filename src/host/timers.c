/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Many one-shot timers behind one timerfd; the event loop's, not for others.
 *
 * Armed timers lie in a binary heap. The timerfd is set for some moment not later than the earliest
 * deadline: a timer that moves to later, as a guest's tick does all the time, leaves it as it is,
 * and a run that finds nothing due sets it right.
 */
#include "host/timers.h"

#include "base/assert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define NOT_ARMED UINT32_MAX
#define NS_PER_S  UINT64_C(1000000000)

int host_timers_init(struct host_timers *timers, const struct host_clock *clock, struct err *err)
{
    *timers = (struct host_timers){.clock = clock, .set_ns = CLOCK_NEVER};
    timers->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (timers->fd < 0) {
        int code = errno;
        return err_set(err, code, "cannot create a timer: %s", strerror(code));
    }
    pthread_mutex_init(&timers->mutex, NULL);
    return 0;
}

void host_timers_fini(struct host_timers *timers)
{
    close(timers->fd);
    free(timers->timer);
    free(timers->heap);
    pthread_mutex_destroy(&timers->mutex);
}

static u64 heap_deadline(const struct host_timers *timers, u32 at)
{
    return timers->timer[timers->heap[at]].deadline_ns;
}

static void heap_put(struct host_timers *timers, u32 at, u32 index)
{
    timers->heap[at] = index;
    timers->timer[index].at = at;
}

static void heap_swap(struct host_timers *timers, u32 a, u32 b)
{
    u32 index = timers->heap[a];

    heap_put(timers, a, timers->heap[b]);
    heap_put(timers, b, index);
}

/* Moves the timer at that place to where its deadline belongs. */
static void heap_sift(struct host_timers *timers, u32 at)
{
    while (at && heap_deadline(timers, at) < heap_deadline(timers, (at - 1) / 2)) {
        heap_swap(timers, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
    for (;;) {
        u32 child = 2 * at + 1;

        if (child >= timers->armed)
            return;
        if (child + 1 < timers->armed &&
            heap_deadline(timers, child + 1) < heap_deadline(timers, child))
            child++;
        if (heap_deadline(timers, at) <= heap_deadline(timers, child))
            return;
        heap_swap(timers, at, child);
        at = child;
    }
}

static void heap_remove(struct host_timers *timers, u32 index)
{
    u32 at = timers->timer[index].at;
    u32 last = --timers->armed;

    timers->timer[index].at = NOT_ARMED;
    if (at == last)
        return;
    heap_put(timers, at, timers->heap[last]);
    heap_sift(timers, at);
}

static void timers_set_locked(struct host_timers *timers)
{
    struct itimerspec when = {0};
    u64 mono = CLOCK_NEVER;
    int rc;

    timers->set_ns = timers->armed ? heap_deadline(timers, 0) : CLOCK_NEVER;
    if (timers->armed)
        mono = host_clock_monotonic(timers->clock, timers->set_ns);
    if (mono == CLOCK_NEVER) {
        timers->set_ns = CLOCK_NEVER;
    } else {
        when.it_value.tv_sec = (time_t)(mono / NS_PER_S);
        when.it_value.tv_nsec = (long)(mono % NS_PER_S);
    }
    rc = timerfd_settime(timers->fd, TFD_TIMER_ABSTIME, &when, NULL);
    ASSERT(rc == 0);
}

static void timers_arm(void *ctx, u32 index, u64 deadline_ns)
{
    struct host_timers *timers = ctx;
    struct host_timer *t;

    pthread_mutex_lock(&timers->mutex);
    ASSERT(index < timers->count);
    t = &timers->timer[index];
    /* What is due in a round gets the next one: a callback cannot starve other timers. */
    t->deadline_ns = deadline_ns <= timers->round_ns ? timers->round_ns + 1 : deadline_ns;
    if (deadline_ns == CLOCK_NEVER) {
        if (t->at != NOT_ARMED)
            heap_remove(timers, index);
    } else {
        if (t->at == NOT_ARMED)
            heap_put(timers, timers->armed++, index);
        heap_sift(timers, t->at);
        if (!timers->round_ns && deadline_ns < timers->set_ns && t->at == 0)
            timers_set_locked(timers);
    }
    pthread_mutex_unlock(&timers->mutex);
}

static void timers_grow_locked(struct host_timers *timers)
{
    u32 room = timers->room ? timers->room * 2 : 16;
    struct host_timer *timer = realloc(timers->timer, room * sizeof(*timer));
    u32 *heap = realloc(timers->heap, room * sizeof(*heap));

    /* Timers are few and made at power-on: no room for them is no way to go on. */
    ASSERT(timer && heap);
    timers->timer = timer;
    timers->heap = heap;
    timers->room = room;
}

struct timer_port host_timers_add(struct host_timers *timers, void (*fire)(void *ctx, u32 arg),
                                  void *ctx, u32 arg)
{
    u32 index;

    pthread_mutex_lock(&timers->mutex);
    if (timers->count == timers->room)
        timers_grow_locked(timers);
    index = timers->count++;
    timers->timer[index] = (struct host_timer){fire, ctx, arg, NOT_ARMED, CLOCK_NEVER};
    pthread_mutex_unlock(&timers->mutex);
    return (struct timer_port){timers_arm, timers, index};
}

/* Takes the earliest timer if it is due in this round. */
static bool timers_take(struct host_timers *timers, struct host_timer *due)
{
    bool is_due;

    pthread_mutex_lock(&timers->mutex);
    is_due = timers->armed && heap_deadline(timers, 0) <= timers->round_ns;
    if (is_due) {
        *due = timers->timer[timers->heap[0]];
        heap_remove(timers, timers->heap[0]);
    }
    pthread_mutex_unlock(&timers->mutex);
    return is_due;
}

void host_timers_run(struct host_timers *timers)
{
    u64 expirations, now = host_clock_now(timers->clock);
    struct host_timer due;

    if (read(timers->fd, &expirations, sizeof(expirations)) < 0)
        ASSERT(errno == EAGAIN || errno == EINTR);
    pthread_mutex_lock(&timers->mutex);
    timers->round_ns = now ? now : 1;
    pthread_mutex_unlock(&timers->mutex);
    while (timers_take(timers, &due))
        due.fire(due.ctx, due.arg);
    pthread_mutex_lock(&timers->mutex);
    timers->round_ns = 0;
    timers_set_locked(timers);
    pthread_mutex_unlock(&timers->mutex);
}

void host_timers_clock_changed(struct host_timers *timers)
{
    pthread_mutex_lock(&timers->mutex);
    if (!timers->round_ns)
        timers_set_locked(timers);
    pthread_mutex_unlock(&timers->mutex);
}
