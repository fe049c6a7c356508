/* SPDX-License-Identifier: BSD-2-Clause */
/* The event loop: posts, descriptors and timers, from its own and from other threads. */
#include "host/clock.h"
#include "host/loop.h"
#include "host/thread.h"
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#define MS UINT64_C(1000000)

struct rig {
    struct host_clock clock;
    struct loop *loop;
    struct err err;
    struct timer_port timer[64];
    u32 fired[64];
    u64 fired_ns[64];
    u32 total, until;
    _Atomic u32 calls;
    int order[8];
    u32 order_count;
    int pipe[2];
    struct loop_fd *handler, *other;
};

static void rig_open(struct rig *r)
{
    memset(r, 0, sizeof(*r));
    host_clock_init(&r->clock);
    CHECK_EQ(loop_create(&r->loop, &r->clock, &r->err), 0);
    CHECK_EQ(pipe2(r->pipe, O_CLOEXEC), 0);
}

static void rig_close(struct rig *r)
{
    loop_destroy(r->loop);
    close(r->pipe[0]);
    close(r->pipe[1]);
}

static void rig_fire(void *ctx, u32 arg)
{
    struct rig *r = ctx;

    r->fired[arg]++;
    r->fired_ns[arg] = host_clock_now(&r->clock);
    if (++r->total == r->until)
        loop_stop(r->loop);
}

static void stop_call(void *ctx)
{
    loop_stop(((struct rig *)ctx)->loop);
}

static void first_call(void *ctx)
{
    struct rig *r = ctx;

    r->order[r->order_count++] = 1;
}

static void second_call(void *ctx)
{
    struct rig *r = ctx;

    r->order[r->order_count++] = 2;
    loop_post(r->loop, stop_call, r);
}

TEST(posts_run_in_order)
{
    struct rig r;

    rig_open(&r);
    loop_post(r.loop, first_call, &r);
    loop_post(r.loop, first_call, &r);
    loop_post(r.loop, second_call, &r);
    loop_run(r.loop);
    CHECK_EQ(r.order_count, 3);
    CHECK_EQ(r.order[0], 1);
    CHECK_EQ(r.order[2], 2);
    loop_post(r.loop, first_call, &r); /* what is left runs at destroy */
    loop_destroy(r.loop);
    CHECK_EQ(r.order_count, 4);
    close(r.pipe[0]);
    close(r.pipe[1]);
}

TEST(stop_before_run_is_honoured_once)
{
    struct rig r;

    rig_open(&r);
    loop_stop(r.loop);
    loop_run(r.loop);
    loop_post(r.loop, stop_call, &r);
    loop_run(r.loop);
    rig_close(&r);
}

static void count_call(void *ctx)
{
    struct rig *r = ctx;

    if (atomic_fetch_add(&r->calls, 1) + 1 == 4000)
        loop_stop(r->loop);
}

static void poster_main(void *ctx)
{
    struct rig *r = ctx;

    for (int i = 0; i < 1000; i++)
        loop_post(r->loop, count_call, r);
}

TEST(posts_from_threads_all_arrive)
{
    struct thread thread[4];
    struct rig r;

    rig_open(&r);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(thread_start(&thread[i], "poster", poster_main, &r, &r.err), 0);
    loop_run(r.loop);
    for (int i = 0; i < 4; i++)
        thread_join(&thread[i]);
    CHECK_EQ(r.calls, 4000);
    rig_close(&r);
}

TEST(timers_fire_in_time)
{
    static const u64 at_ms[] = {9, 3, 6, 1, 12, 5, 5, 20};
    struct rig r;

    rig_open(&r);
    r.until = ARRAY_SIZE(at_ms);
    for (u32 i = 0; i < ARRAY_SIZE(at_ms); i++) {
        r.timer[i] = loop_timer(r.loop, rig_fire, &r, i);
        timer_arm(&r.timer[i], at_ms[i] * MS);
    }
    loop_run(r.loop);
    for (u32 i = 0; i < ARRAY_SIZE(at_ms); i++) {
        CHECK_EQ(r.fired[i], 1);
        CHECK(r.fired_ns[i] >= at_ms[i] * MS);
        CHECK(r.fired_ns[i] < at_ms[i] * MS + 500 * MS);
    }
    rig_close(&r);
}

TEST(rearming_replaces_and_never_disarms)
{
    struct rig r;

    rig_open(&r);
    for (u32 i = 0; i < 4; i++)
        r.timer[i] = loop_timer(r.loop, rig_fire, &r, i);
    timer_arm(&r.timer[0], 2 * MS);
    timer_arm(&r.timer[0], 10 * MS); /* later */
    timer_arm(&r.timer[1], 100000 * MS);
    timer_arm(&r.timer[1], 0); /* the past */
    timer_arm(&r.timer[2], 1 * MS);
    timer_arm(&r.timer[2], CLOCK_NEVER);
    timer_arm(&r.timer[3], CLOCK_NEVER - 1); /* in 584 years */
    r.until = 2;
    loop_run(r.loop);
    CHECK_EQ(r.fired[0], 1);
    CHECK(r.fired_ns[0] >= 10 * MS);
    CHECK_EQ(r.fired[1], 1);
    CHECK_EQ(r.fired[2], 0);
    CHECK_EQ(r.fired[3], 0);
    rig_close(&r);
}

static void fire_again(void *ctx, u32 arg)
{
    struct rig *r = ctx;

    rig_fire(ctx, arg);
    timer_arm(&r->timer[arg], 0);
}

TEST(timer_armed_for_the_past_does_not_hold_the_loop)
{
    struct rig r;

    rig_open(&r);
    r.timer[0] = loop_timer(r.loop, fire_again, &r, 0);
    r.timer[1] = loop_timer(r.loop, rig_fire, &r, 1);
    timer_arm(&r.timer[0], 0);
    timer_arm(&r.timer[1], 3 * MS);
    r.until = UINT32_MAX;
    while (!r.fired[1]) {
        loop_post(r.loop, stop_call, &r);
        loop_run(r.loop);
    }
    CHECK(r.fired[0] > 1);
    rig_close(&r);
}

/* Many timers moved about at random: each fires once, never early, whatever the heap's shape. */
TEST(random_timers_fire_once)
{
    u64 deadline[64];
    struct rig r;

    srand(7);
    rig_open(&r);
    for (u32 i = 0; i < 64; i++)
        r.timer[i] = loop_timer(r.loop, rig_fire, &r, i);
    for (u32 n = 0; n < 2000; n++) {
        u32 i = (u32)rand() % 64;
        timer_arm(&r.timer[i], rand() % 4 ? 3600 * 1000 * MS + (u64)rand() : CLOCK_NEVER);
    }
    for (u32 i = 0; i < 64; i++) {
        deadline[i] = host_clock_now(&r.clock) + (u64)rand() % (20 * MS);
        timer_arm(&r.timer[i], deadline[i]);
    }
    r.until = 64;
    loop_run(r.loop);
    for (u32 i = 0; i < 64; i++) {
        CHECK_EQ(r.fired[i], 1);
        CHECK(r.fired_ns[i] >= deadline[i]);
    }
    rig_close(&r);
}

static void resume_main(void *ctx)
{
    struct rig *r = ctx;

    usleep(30000);
    host_clock_resume(&r->clock);
    loop_clock_changed(r->loop);
}

TEST(paused_clock_holds_timers)
{
    struct thread thread;
    struct rig r;
    u64 paused_at, start;

    rig_open(&r);
    r.timer[0] = loop_timer(r.loop, rig_fire, &r, 0);
    timer_arm(&r.timer[0], host_clock_now(&r.clock) + 5 * MS);
    host_clock_pause(&r.clock);
    loop_clock_changed(r.loop);
    paused_at = host_clock_now(&r.clock);
    usleep(2000);
    CHECK_EQ(host_clock_now(&r.clock), paused_at);
    start = host_monotonic_ns();
    r.until = 1;
    CHECK_EQ(thread_start(&thread, "resume", resume_main, &r, &r.err), 0);
    loop_run(r.loop);
    thread_join(&thread);
    CHECK(host_monotonic_ns() - start >= 30 * MS);
    CHECK(r.fired_ns[0] >= paused_at);
    rig_close(&r);
}

static void fire_last(void *ctx, u32 arg)
{
    struct rig *r = ctx;

    r->fired[arg]++;
    if (++r->order_count == 4)
        loop_stop(r->loop);
}

/* Moves eight timers about, disarms them, then arms one that must come through. */
static void arm_main(void *ctx)
{
    struct rig *r = ctx;
    u32 me = atomic_fetch_add(&r->calls, 1);

    for (u32 n = 0; n < 3000; n++)
        timer_arm(&r->timer[me * 8 + n % 8], host_clock_now(&r->clock) + n % 50 * 1000);
    for (u32 n = 0; n < 8; n++)
        timer_arm(&r->timer[me * 8 + n], CLOCK_NEVER);
    timer_arm(&r->timer[32 + me], host_clock_now(&r->clock) + MS);
}

TEST(threads_arm_while_timers_fire)
{
    struct thread thread[4];
    struct rig r;

    rig_open(&r);
    r.until = UINT32_MAX;
    for (u32 i = 0; i < 36; i++)
        r.timer[i] = loop_timer(r.loop, i < 32 ? rig_fire : fire_last, &r, i);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(thread_start(&thread[i], "armer", arm_main, &r, &r.err), 0);
    loop_run(r.loop);
    for (int i = 0; i < 4; i++)
        thread_join(&thread[i]);
    for (int i = 32; i < 36; i++)
        CHECK_EQ(r.fired[i], 1);
    rig_close(&r);
}

static void reader(void *ctx, u32 ready)
{
    struct rig *r = ctx;
    char c;

    if (ready & LOOP_READ && read(r->pipe[0], &c, 1) == 1)
        r->order[r->order_count++] = c;
    else if (ready & LOOP_HANGUP)
        r->order[r->order_count++] = 'H';
    if (r->order_count == 3)
        loop_stop(r->loop);
}

TEST(descriptor_is_read_until_hangup)
{
    struct rig r;

    rig_open(&r);
    CHECK_EQ(loop_fd_add(r.loop, r.pipe[0], LOOP_READ, reader, &r, &r.handler, &r.err), 0);
    CHECK_EQ(write(r.pipe[1], "ab", 2), 2);
    close(r.pipe[1]);
    loop_run(r.loop);
    CHECK_EQ(r.order[0], 'a');
    CHECK_EQ(r.order[1], 'b');
    CHECK_EQ(r.order[2], 'H');
    loop_fd_remove(r.handler);
    r.pipe[1] = dup(0);
    rig_close(&r);
}

TEST(paused_descriptor_is_silent)
{
    struct rig r;

    rig_open(&r);
    CHECK_EQ(loop_fd_add(r.loop, r.pipe[0], LOOP_READ, reader, &r, &r.handler, &r.err), 0);
    loop_fd_watch(r.handler, 0);
    CHECK_EQ(write(r.pipe[1], "abc", 3), 3);
    r.timer[0] = loop_timer(r.loop, rig_fire, &r, 0);
    r.until = 1;
    timer_arm(&r.timer[0], host_clock_now(&r.clock) + 5 * MS);
    loop_run(r.loop);
    CHECK_EQ(r.order_count, 0);
    loop_fd_watch(r.handler, LOOP_READ);
    loop_run(r.loop);
    CHECK_EQ(r.order_count, 3);
    loop_fd_remove(r.handler);
    rig_close(&r);
}

static void remove_both(void *ctx, u32 ready)
{
    struct rig *r = ctx;

    (void)ready;
    atomic_fetch_add(&r->calls, 1);
    loop_fd_remove(r->handler);
    loop_fd_remove(r->other);
    r->handler = r->other = NULL;
    loop_stop(r->loop);
}

/* Both are ready in one wait: whichever runs first removes both, so the second never runs. */
TEST(handler_may_remove_itself_and_others)
{
    struct rig r;
    int fd;

    rig_open(&r);
    fd = dup(r.pipe[0]);
    CHECK_EQ(loop_fd_add(r.loop, r.pipe[0], LOOP_READ, remove_both, &r, &r.handler, &r.err), 0);
    CHECK_EQ(loop_fd_add(r.loop, fd, LOOP_READ, remove_both, &r, &r.other, &r.err), 0);
    CHECK_EQ(write(r.pipe[1], "x", 1), 1);
    loop_run(r.loop);
    CHECK_EQ(r.calls, 1);
    close(fd);
    rig_close(&r);
}

static void busy(void *ctx, u32 ready)
{
    (void)ready;
    atomic_fetch_add(&((struct rig *)ctx)->calls, 1);
}

static void remove_main(void *ctx)
{
    struct rig *r = ctx;

    for (int i = 0; i < 200; i++) {
        struct loop_fd *h;
        u32 calls, before = atomic_load(&r->calls);

        if (loop_fd_add(r->loop, r->pipe[0], LOOP_READ, busy, r, &h, &r->err))
            break;
        while (atomic_load(&r->calls) == before)
            sched_yield();
        loop_fd_remove(h);
        calls = atomic_load(&r->calls);
        sched_yield();
        if (calls != atomic_load(&r->calls))
            r->order_count++;
    }
    loop_stop(r->loop);
}

TEST(removal_from_a_thread_waits_for_the_call)
{
    struct thread thread;
    struct rig r;

    rig_open(&r);
    CHECK_EQ(write(r.pipe[1], "x", 1), 1);
    CHECK_EQ(thread_start(&thread, "remover", remove_main, &r, &r.err), 0);
    loop_run(r.loop);
    thread_join(&thread);
    CHECK_EQ(r.order_count, 0);
    CHECK(r.calls >= 200);
    rig_close(&r);
}

TEST(regular_file_cannot_be_watched)
{
    struct rig r;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    rig_open(&r);
    CHECK_EQ(loop_fd_add(r.loop, fd, LOOP_READ, reader, &r, &r.handler, &r.err), -EPERM);
    CHECK(strlen(r.err.msg) > 0);
    close(fd);
    rig_close(&r);
}

TEST_MAIN()
