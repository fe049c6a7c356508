/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event loop of the VM process' main thread: file descriptors, posted calls and timers.
 *
 * epoll names a handler by slot and generation, never by pointer: an event fetched before another
 * callback removed its handler finds the slot empty or of another generation.
 */
#include "host/loop.h"

#include "base/assert.h"
#include "host/timers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EVENTS_MAX 16
#define ID_WAKE    UINT64_MAX
#define ID_TIMERS  (UINT64_MAX - 1)

struct loop_fd {
    struct loop *loop;
    void (*fn)(void *ctx, u32 ready);
    void *ctx;
    int fd;
    u32 events; /* watched; 0: not in epoll */
    u32 slot, generation;
    bool removed; /* within its own call */
};

struct loop_call {
    void (*fn)(void *ctx);
    void *ctx;
};

struct loop_calls {
    struct loop_call *call;
    size_t count, room;
};

struct loop {
    struct host_timers timers;
    int epoll, wake;
    _Atomic bool stop;
    pthread_mutex_t mutex;   /* guards all below */
    pthread_cond_t returned; /* a handler's call returned */
    struct loop_calls posted;
    struct loop_fd **handler;
    u32 handler_count;
    u32 generation;
    struct loop_fd *running;
    pthread_t runner; /* of running */
};

static int loop_watch(struct loop *loop, int fd, u64 id)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = id};

    return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &ev);
}

static int loop_open(struct loop *loop, struct err *err)
{
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->epoll < 0 || loop->wake < 0 || loop_watch(loop, loop->wake, ID_WAKE) < 0 ||
        loop_watch(loop, loop->timers.fd, ID_TIMERS) < 0) {
        int code = errno;
        return err_set(err, code, "cannot create the event loop: %s", strerror(code));
    }
    return 0;
}

int loop_create(struct loop **out, const struct host_clock *clock, struct err *err)
{
    struct loop *loop = calloc(1, sizeof(*loop));
    int rc;

    if (!loop)
        return err_set(err, ENOMEM, "no memory for the event loop");
    rc = host_timers_init(&loop->timers, clock, err);
    if (rc) {
        free(loop);
        return rc;
    }
    pthread_mutex_init(&loop->mutex, NULL);
    pthread_cond_init(&loop->returned, NULL);
    loop->epoll = loop->wake = -1;
    rc = loop_open(loop, err);
    if (rc) {
        loop_destroy(loop);
        return rc;
    }
    *out = loop;
    return 0;
}

/* Only the calls that wait now: one that posts itself again takes its turn. */
static void loop_run_posted(struct loop *loop)
{
    struct loop_calls calls;

    pthread_mutex_lock(&loop->mutex);
    calls = loop->posted;
    loop->posted = (struct loop_calls){0};
    pthread_mutex_unlock(&loop->mutex);
    for (size_t i = 0; i < calls.count; i++)
        calls.call[i].fn(calls.call[i].ctx);
    free(calls.call);
}

void loop_destroy(struct loop *loop)
{
    loop_run_posted(loop);
    for (u32 i = 0; i < loop->handler_count; i++)
        ASSERT(!loop->handler[i]);
    if (loop->epoll >= 0)
        close(loop->epoll);
    if (loop->wake >= 0)
        close(loop->wake);
    host_timers_fini(&loop->timers);
    pthread_cond_destroy(&loop->returned);
    pthread_mutex_destroy(&loop->mutex);
    free(loop->posted.call);
    free(loop->handler);
    free(loop);
}

static void loop_wake(struct loop *loop)
{
    u64 one = 1;

    /* EAGAIN: the counter is full, so the loop will wake anyway. */
    if (write(loop->wake, &one, sizeof(one)) < 0)
        ASSERT(errno == EAGAIN || errno == EINTR);
}

void loop_stop(struct loop *loop)
{
    atomic_store_explicit(&loop->stop, true, memory_order_release); /* pairs with loop_run */
    loop_wake(loop);
}

void loop_post(struct loop *loop, void (*fn)(void *ctx), void *ctx)
{
    struct loop_calls *calls = &loop->posted;
    bool first;

    pthread_mutex_lock(&loop->mutex);
    if (calls->count == calls->room) {
        size_t room = calls->room ? calls->room * 2 : 8;
        struct loop_call *call = realloc(calls->call, room * sizeof(*call));

        ASSERT(call); /* a lost call would hang its poster; posters bound what guests can cause */
        calls->call = call;
        calls->room = room;
    }
    first = calls->count == 0;
    calls->call[calls->count++] = (struct loop_call){fn, ctx};
    pthread_mutex_unlock(&loop->mutex);
    if (first)
        loop_wake(loop);
}

static u32 loop_to_epoll(u32 events)
{
    return (events & LOOP_READ ? (u32)EPOLLIN : 0) | (events & LOOP_WRITE ? (u32)EPOLLOUT : 0);
}

static u32 loop_from_epoll(u32 events)
{
    return (events & EPOLLIN ? LOOP_READ : 0u) | (events & EPOLLOUT ? LOOP_WRITE : 0u) |
           (events & (EPOLLHUP | EPOLLERR) ? LOOP_HANGUP : 0u);
}

/* Hangups are reported whatever one asks for, so a paused handler leaves epoll. */
static int loop_fd_watch_locked(struct loop_fd *h, u32 events)
{
    struct epoll_event ev = {.events = loop_to_epoll(events),
                             .data.u64 = (u64)h->generation << 32 | h->slot};
    int op = !h->events ? EPOLL_CTL_ADD : events ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;

    if (events == h->events)
        return 0;
    if (epoll_ctl(h->loop->epoll, op, h->fd, &ev) < 0)
        return -errno;
    h->events = events;
    return 0;
}

static bool loop_slot_find_locked(struct loop *loop, u32 *slot)
{
    struct loop_fd **handler;

    for (*slot = 0; *slot < loop->handler_count; (*slot)++) {
        if (!loop->handler[*slot])
            return true;
    }
    handler = realloc(loop->handler, (*slot + 1) * sizeof(struct loop_fd *));
    if (!handler)
        return false;
    loop->handler = handler;
    loop->handler[loop->handler_count++] = NULL;
    return true;
}

int loop_fd_add(struct loop *loop, int fd, u32 events, void (*fn)(void *ctx, u32 ready), void *ctx,
                struct loop_fd **handler, struct err *err)
{
    struct loop_fd *h = calloc(1, sizeof(*h));
    int rc = -ENOMEM;

    pthread_mutex_lock(&loop->mutex);
    if (h && loop_slot_find_locked(loop, &h->slot)) {
        u32 slot = h->slot;

        *h = (struct loop_fd){loop, fn, ctx, fd, 0, slot, loop->generation++ & INT32_MAX, false};
        *handler = h; /* before the first call */
        rc = loop_fd_watch_locked(h, events);
        if (!rc)
            loop->handler[slot] = h;
    }
    pthread_mutex_unlock(&loop->mutex);
    if (rc) {
        free(h);
        *handler = NULL;
        return err_set(err, -rc, "cannot watch a file descriptor: %s", strerror(-rc));
    }
    return 0;
}

void loop_fd_watch(struct loop_fd *h, u32 events)
{
    int rc;

    pthread_mutex_lock(&h->loop->mutex);
    rc = loop_fd_watch_locked(h, events);
    pthread_mutex_unlock(&h->loop->mutex);
    ASSERT(rc == 0 || rc == -ENOMEM || rc == -ENOSPC);
}

void loop_fd_remove(struct loop_fd *h)
{
    struct loop *loop;
    bool within;

    if (!h)
        return;
    loop = h->loop;
    pthread_mutex_lock(&loop->mutex);
    if (h->events)
        (void)loop_fd_watch_locked(h, 0);
    h->events = 0;
    loop->handler[h->slot] = NULL;
    within = loop->running == h && pthread_equal(loop->runner, pthread_self());
    if (within)
        h->removed = true; /* its call ends first; loop_run_handler frees it */
    while (!within && loop->running == h)
        pthread_cond_wait(&loop->returned, &loop->mutex);
    pthread_mutex_unlock(&loop->mutex);
    if (!within)
        free(h);
}

static void loop_run_handler(struct loop *loop, u64 id, u32 ready)
{
    struct loop_fd *h = NULL;
    u32 slot = (u32)id;
    bool removed;

    pthread_mutex_lock(&loop->mutex);
    if (slot < loop->handler_count)
        h = loop->handler[slot];
    if (h && h->generation == id >> 32)
        ready &= h->events ? h->events | LOOP_HANGUP : 0;
    else
        ready = 0;
    if (ready)
        loop->running = h;
    pthread_mutex_unlock(&loop->mutex);
    if (!ready)
        return;
    h->fn(h->ctx, ready);
    pthread_mutex_lock(&loop->mutex);
    removed = h->removed;
    loop->running = NULL;
    pthread_cond_broadcast(&loop->returned);
    pthread_mutex_unlock(&loop->mutex);
    if (removed)
        free(h);
}

static void loop_run_wake(struct loop *loop)
{
    u64 count;

    if (read(loop->wake, &count, sizeof(count)) < 0)
        ASSERT(errno == EAGAIN || errno == EINTR);
    loop_run_posted(loop);
}

static void loop_run_events(struct loop *loop, const struct epoll_event *ev, int n)
{
    for (int i = 0; i < n; i++) {
        if (ev[i].data.u64 == ID_WAKE)
            loop_run_wake(loop);
        else if (ev[i].data.u64 == ID_TIMERS)
            host_timers_run(&loop->timers);
        else
            loop_run_handler(loop, ev[i].data.u64, loop_from_epoll(ev[i].events));
    }
}

void loop_run(struct loop *loop)
{
    struct epoll_event ev[EVENTS_MAX];

    pthread_mutex_lock(&loop->mutex);
    loop->runner = pthread_self();
    pthread_mutex_unlock(&loop->mutex);
    /* Acquire: what was done before loop_stop is seen after loop_run. */
    while (!atomic_exchange_explicit(&loop->stop, false, memory_order_acq_rel)) {
        int n = epoll_wait(loop->epoll, ev, EVENTS_MAX, -1);

        ASSERT(n >= 0 || errno == EINTR);
        loop_run_events(loop, ev, n);
    }
}

struct timer_port loop_timer(struct loop *loop, void (*fire)(void *ctx, u32 arg), void *ctx,
                             u32 arg)
{
    return host_timers_add(&loop->timers, fire, ctx, arg);
}

u64 loop_now(const struct loop *loop)
{
    return host_clock_now(loop->timers.clock);
}

void loop_clock_changed(struct loop *loop)
{
    host_timers_clock_changed(&loop->timers);
}
