/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device's back end over a descriptor that keeps message boundaries.
 *
 * Frames go out from whichever thread the device sends on; they come in on the loop's thread. When
 * the descriptor is full the device waits until the loop sees room; when the device is full the
 * loop leaves the descriptor alone until the device has buffers. Nothing here looks into a frame.
 */
#include "net/link.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

_Static_assert(sizeof(struct net_offload) == 10, "as a tap's header");

#define BATCH 64 /* frames between two looks of the loop at other things */

static void watch_locked(struct link *l)
{
    u32 events = (l->holding ? 0 : LOOP_READ) | (l->full ? LOOP_WRITE : 0);

    if (l->handler)
        loop_fd_watch(l->handler, l->dead ? 0 : events);
}

static void tell_link(struct link *l)
{
    bool up = !l->dead && !l->cut;

    if (l->device.link)
        l->device.link(l->device.ctx, up);
    announcer_link(&l->announcer, up);
}

static void announce(void *ctx)
{
    struct link *l = ctx;

    if (l->device.announce)
        l->device.announce(l->device.ctx);
}

static void lost(struct link *l)
{
    bool first;

    lock_acquire(&l->lock);
    first = !l->dead;
    l->dead = true;
    watch_locked(l);
    lock_release(&l->lock);
    if (!first)
        return;
    tell_link(l);
    if (l->config.lost)
        l->config.lost(l->config.ctx);
}

static bool link_send(void *ctx, const struct net_frame *frame)
{
    struct link *l = ctx;
    struct net_offload offload = frame->offload;
    struct iovec part[2] = {{&offload, sizeof(offload)},
                            {(void *)(uintptr_t)frame->bytes, frame->len}};
    struct msghdr message = {.msg_iov = part, .msg_iovlen = 2};
    ssize_t n;

    if (l->is_socket)
        n = sendmsg(l->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    else
        n = writev(l->fd, part, 2);
    if (n >= 0)
        return true;
    if (errno != EAGAIN && errno != ENOBUFS) {
        /* It is dead, which the loop will notice, or the frame cannot be sent. */
        atomic_fetch_add_explicit(&l->dropped, 1, memory_order_relaxed);
        return true;
    }
    lock_acquire(&l->lock);
    l->full = !l->dead;
    watch_locked(l);
    lock_release(&l->lock);
    return false;
}

static bool frame_deliver(struct link *l)
{
    struct net_frame frame;

    if (l->len <= sizeof(frame.offload) || !l->device.receive)
        return true;
    memcpy(&frame.offload, l->message, sizeof(frame.offload));
    frame.bytes = l->message + sizeof(frame.offload);
    frame.len = l->len - sizeof(frame.offload);
    frame.pair = 0;
    return l->device.receive(l->device.ctx, &frame);
}

static bool is_passing(void)
{
    return errno == EAGAIN || errno == EINTR;
}

/* On the loop's thread, as all that touches message. */
static void frames_receive(struct link *l)
{
    for (u32 i = 0; i < BATCH; i++) {
        ssize_t n = read(l->fd, l->message, sizeof(l->message));

        if (n < 0 && is_passing())
            return;
        if (n <= 0) {
            lost(l);
            return;
        }
        l->len = (size_t)n;
        lock_acquire(&l->lock);
        l->holding = true; /* so that room is noticed that comes before the refusal is */
        lock_release(&l->lock);
        if (!frame_deliver(l)) {
            lock_acquire(&l->lock);
            watch_locked(l);
            lock_release(&l->lock);
            return;
        }
        lock_acquire(&l->lock);
        l->holding = false;
        lock_release(&l->lock);
    }
}

static void on_ready(void *ctx, u32 events)
{
    struct link *l = ctx;
    bool was_full = false;

    if (events & LOOP_WRITE) {
        lock_acquire(&l->lock);
        was_full = l->full;
        l->full = false;
        watch_locked(l);
        lock_release(&l->lock);
    }
    if (was_full && l->device.ready)
        l->device.ready(l->device.ctx);
    if (events & (LOOP_READ | LOOP_HANGUP))
        frames_receive(l);
}

/* The device has buffers again. */
static void on_room(void *ctx)
{
    struct link *l = ctx;
    bool held;

    lock_acquire(&l->lock);
    l->posted = false;
    held = l->holding && !l->dead;
    lock_release(&l->lock);
    if (!held || !frame_deliver(l))
        return;
    lock_acquire(&l->lock);
    l->holding = false;
    watch_locked(l);
    lock_release(&l->lock);
}

static void link_room(void *ctx)
{
    struct link *l = ctx;
    bool post;

    lock_acquire(&l->lock);
    post = l->holding && !l->posted && !l->dead;
    l->posted |= post;
    lock_release(&l->lock);
    if (post)
        loop_post(l->loop, on_room, l);
}

static void link_attach(void *ctx, const struct net_device *device)
{
    struct link *l = ctx;

    l->device = *device;
}

void link_init(struct link *l, struct loop *loop, const struct link_config *config)
{
    *l = (struct link){.config = *config, .loop = loop, .fd = -1};
    l->net = (struct net){.send = link_send,
                          .attach = link_attach,
                          .room = link_room,
                          .ctx = l,
                          .can = config->can,
                          .mtu = config->mtu};
    announcer_init(&l->announcer, loop, announce, l);
}

/* What comes in its place has its number, so that a hart in the midst of sending is not misled. */
static int exchange(struct link *l, int fd)
{
    int r = dup3(fd, l->fd, O_CLOEXEC) < 0 ? -errno : 0;

    close(fd);
    return r;
}

int link_plug(struct link *l, int fd, struct err *err)
{
    int kind, r = 0;
    socklen_t len = sizeof(kind);
    bool again = l->fd >= 0;

    loop_fd_remove(l->handler);
    l->handler = NULL;
    l->is_socket = !getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &len);
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        r = -errno;
    if (again)
        r = exchange(l, fd);
    else
        l->fd = fd;
    if (r)
        return err_set(err, -r, "cannot take a network's descriptor: %s", strerror(-r));
    r = loop_fd_add(l->loop, l->fd, LOOP_READ, on_ready, l, &l->handler, err);
    if (r || !again)
        return r;
    lock_acquire(&l->lock);
    l->dead = l->full = l->holding = false;
    lock_release(&l->lock);
    tell_link(l);
    if (l->device.ready)
        l->device.ready(l->device.ctx);
    return 0;
}

void link_cut(struct link *l, bool cut)
{
    l->cut = cut;
    tell_link(l);
}

void link_close(struct link *l)
{
    loop_fd_remove(l->handler);
    l->handler = NULL;
    l->dead = true;
    if (l->loop)
        announcer_link(&l->announcer, false);
    l->device = (struct net_device){0};
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}
