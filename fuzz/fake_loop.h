/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An event loop in the fuzzer's hands, with the listeners on it: descriptors are looked at when the
 * input says so. Include it in one file of a program.
 */
#ifndef COSM_FUZZ_FAKE_LOOP_H
#define COSM_FUZZ_FAKE_LOOP_H

#include "host/listener.h"
#include "host/loop.h"

#include "base/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FAKE_FDS   512
#define FAKE_POSTS 64

void assert_failed(const char *expr, const char *file, int line)
{
    fprintf(stderr, "%s:%d: ASSERT(%s)\n", file, line, expr);
    abort();
}

struct loop_fd {
    bool used;
    int fd;
    u32 events;
    void (*fn)(void *ctx, u32 ready);
    void *ctx;
};

struct fake_post {
    void (*fn)(void *ctx);
    void *ctx;
};

static struct {
    struct loop_fd fd[FAKE_FDS];
    struct fake_post post[FAKE_POSTS];
    u32 posts;
    void (*accepted)(void *ctx, int fd);
    void *listener;
} fake_loop;

int loop_fd_add(struct loop *loop, int fd, u32 events, void (*fn)(void *ctx, u32 ready), void *ctx,
                struct loop_fd **handler, struct err *err)
{
    for (u32 i = 0; i < FAKE_FDS; i++) {
        if (!fake_loop.fd[i].used) {
            fake_loop.fd[i] = (struct loop_fd){true, fd, events, fn, ctx};
            *handler = &fake_loop.fd[i];
            return 0;
        }
    }
    return err_set(err, ENOMEM, "too many");
}

void loop_fd_watch(struct loop_fd *handler, u32 events)
{
    ASSERT(handler->used);
    handler->events = events;
}

void loop_fd_remove(struct loop_fd *handler)
{
    if (handler)
        handler->used = false;
}

void loop_post(struct loop *loop, void (*fn)(void *ctx), void *ctx)
{
    ASSERT(fake_loop.posts < FAKE_POSTS); /* guests post no more than that */
    fake_loop.post[fake_loop.posts++] = (struct fake_post){fn, ctx};
}

int listener_create(struct listener **listener, struct loop *loop, int dir, const char *name,
                    void (*accepted)(void *ctx, int fd), void *ctx, struct err *err)
{
    fake_loop.accepted = accepted;
    fake_loop.listener = ctx;
    *listener = NULL;
    return 0;
}

void listener_destroy(struct listener *listener)
{
}

/* A client comes; its end, which does not block. */
static inline int fake_loop_client(void)
{
    int fd[2];

    ASSERT(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd));
    fake_loop.accepted(fake_loop.listener, fd[1]);
    return fd[0];
}

static inline void fake_loop_serve(struct loop_fd *h)
{
    const short want =
        (short)((h->events & LOOP_READ ? POLLIN : 0) | (h->events & LOOP_WRITE ? POLLOUT : 0));
    struct pollfd p = {.fd = h->fd, .events = want};

    if (!h->events || poll(&p, 1, 0) != 1)
        return;
    ASSERT(!(p.revents & POLLNVAL));
    h->fn(h->ctx, (p.revents & POLLIN ? LOOP_READ : 0u) | (p.revents & POLLOUT ? LOOP_WRITE : 0u) |
                      (p.revents & (POLLHUP | POLLERR) ? LOOP_HANGUP : 0u));
}

/* Each descriptor and each call that was posted, once. */
static inline void fake_loop_turn(void)
{
    struct fake_post post[FAKE_POSTS];
    u32 posts = fake_loop.posts;

    memcpy(post, fake_loop.post, sizeof(post));
    fake_loop.posts = 0;
    for (u32 i = 0; i < posts; i++)
        post[i].fn(post[i].ctx);
    for (u32 i = 0; i < FAKE_FDS; i++) {
        if (fake_loop.fd[i].used)
            fake_loop_serve(&fake_loop.fd[i]);
    }
}

/* Nothing is left over. */
static inline void fake_loop_check(void)
{
    for (u32 i = 0; i < FAKE_FDS; i++)
        ASSERT(!fake_loop.fd[i].used);
    fake_loop.posts = 0;
}

#endif
