/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event loop of the VM process' main thread: file descriptors, posted calls and timers.
 *
 * Callbacks run on the thread that is in loop_run, one at a time and without any lock held. All
 * functions but create, destroy and run may be called from any thread and from within callbacks.
 */
#ifndef COSM_HOST_LOOP_H
#define COSM_HOST_LOOP_H

#include "base/err.h"
#include "host/clock.h"
#include "port/clock.h"

struct loop;
struct loop_fd;

enum loop_event { LOOP_READ = 1, LOOP_WRITE = 2, LOOP_HANGUP = 4 };

/* clock gives the timers their time and outlives the loop. */
MUST_CHECK int loop_create(struct loop **loop, const struct host_clock *clock, struct err *err);

/* Nobody is in loop_run and nobody will arm, post or add any more. Posted calls still run, here. */
void loop_destroy(struct loop *loop);

/* Serves events until loop_stop. A stop that came before is honoured (and used up). */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/*
 * Calls fn(ctx) soon on the loop, in the order of posting. Each post queues a node: a caller whom
 * a guest can drive coalesces its posts.
 */
void loop_post(struct loop *loop, void (*fn)(void *ctx), void *ctx);

/*
 * Calls fn(ctx, ready) while any event of events is ready (level-triggered); LOOP_HANGUP comes
 * unasked. The fd stays the caller's, who closes it after loop_fd_remove. -EPERM: fd is a regular
 * file (or such), which is always ready and cannot be watched.
 */
MUST_CHECK int loop_fd_add(struct loop *loop, int fd, u32 events, void (*fn)(void *ctx, u32 ready),
                           void *ctx, struct loop_fd **handler, struct err *err);

/* Changes the events watched for; 0 pauses the handler, LOOP_HANGUP included. */
void loop_fd_watch(struct loop_fd *handler, u32 events);

/*
 * When it returns, fn does not run and will not run again: it waits for a call that is under way,
 * unless it is that call. So the caller holds no lock that fn takes. NULL is allowed.
 */
void loop_fd_remove(struct loop_fd *handler);

/*
 * A new disarmed timer that calls fire(ctx, arg) on the loop; freed with the loop. Deadlines are in
 * nanoseconds of the loop's clock. Arming costs a system call only if the deadline is the earliest.
 */
struct timer_port loop_timer(struct loop *loop, void (*fire)(void *ctx, u32 arg), void *ctx,
                             u32 arg);

/* The time of the loop's clock. */
u64 loop_now(const struct loop *loop);

/* The loop's clock was paused or resumed: timers are set anew. */
void loop_clock_changed(struct loop *loop);

#endif
