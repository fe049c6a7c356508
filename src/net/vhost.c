/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The queues of a network device served by another process over a vhost-user socket.
 *
 * The lock comes after the device's and is held during exchanges on the socket, by whichever thread
 * needs one. Whoever finds the connection bad marks it so; the loop then puts it away, tells the
 * device, and connects again.
 */
#include "net/vhost.h"

#include "base/assert.h"
#include "base/fmt.h"
#include "host/scope.h"
#include "net/vhost_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#define BATCH    64 /* buffers that come back between two looks of the loop at other things */
#define AGAIN_NS (500 * UINT64_C(1000000))
#define GOOD_NS  (10 * UINT64_C(1000000000))

int vhost_check_path(const char *path, struct err *err)
{
    if (*path && strlen(path) < VHOST_PATH_MAX)
        return 0;
    return err_set(err, EINVAL,
                   "'%.40s...' is no path of a socket, which has 1 to %d bytes; give a shorter one",
                   path, VHOST_PATH_MAX - 1);
}

static int dial(const struct vhost *v, struct err *err)
{
    AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un sa = {.sun_family = AF_UNIX};

    memcpy(sa.sun_path, v->path, sizeof(sa.sun_path));
    if (fd >= 0 && !connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
        return steal_fd(&fd);
    if (errno == ENOENT || errno == ECONNREFUSED)
        return err_set(err, errno,
                       "nobody listens on the vhost-user socket '%s'; start the "
                       "program that serves it first",
                       v->path);
    return err_set(err, errno, "cannot connect to the vhost-user socket '%s': %s", v->path,
                   strerror(errno));
}

static int dial_for(void *ctx, u32 *value, struct err *err)
{
    *value = 0;
    return dial(ctx, err);
}

int vhost_attend(struct vhost *v, struct attendant *attendant, struct err *err)
{
    int maker = attendant_add_maker(attendant, dial_for, v, -1, err);

    if (maker < 0)
        return maker;
    v->attendant = attendant;
    v->maker = (u32)maker;
    return 0;
}

/* Buffers of queues that send: their frames are lost, as on a cable that is pulled. */
static void revoke_sent(struct vhost *v)
{
    struct virtq_returned list[BATCH];

    for (u32 i = 1; i < v->queues; i += 2) {
        u32 n;

        do {
            lock_acquire(&v->lock);
            for (n = 0; n < BATCH && vhost_ring_revoke(&v->queue[i].ring, &list[n]);)
                n++;
            lock_release(&v->lock);
            if (n && v->client.returned)
                v->client.returned(v->client.ctx, i, list, n);
        } while (n == BATCH);
    }
}

static void tell_link(struct vhost *v, bool up)
{
    if (v->client.link)
        v->client.link(v->client.ctx, up);
    announcer_link(&v->announcer, up);
}

static void announce(void *ctx)
{
    struct vhost *v = ctx;

    if (v->client.announce)
        v->client.announce(v->client.ctx);
}

/* On the loop: the connection is bad. */
static void on_lost(void *ctx)
{
    struct vhost *v = ctx;
    struct loop_fd *handler;
    int fd;

    lock_acquire(&v->lock);
    handler = v->handler;
    v->handler = NULL;
    fd = v->wire.fd;
    v->wire.fd = -1;
    lock_release(&v->lock);
    loop_fd_remove(handler);
    if (fd < 0)
        return;
    close(fd);
    tell_link(v, false);
    revoke_sent(v);
    timer_arm(&v->again, loop_now(v->loop) + AGAIN_NS);
}

static void lose_locked(struct vhost *v, const char *why)
{
    if (!v->up)
        return;
    v->up = false;
    if (loop_now(v->loop) - v->since_ns > GOOD_NS)
        v->told = false;
    log_print(v->log, v->told ? LOG_DEBUG : LOG_ERROR, "net",
              "the link is down until another process serves '%s': of this one, %s", v->path, why);
    v->told = true;
    loop_post(v->loop, on_lost, v);
}

/* The socket is readable: it was closed, or says what nobody asked for. */
static void on_socket(void *ctx, u32 events)
{
    struct vhost *v = ctx;
    u8 byte;
    ssize_t n;

    (void)events;
    lock_acquire(&v->lock);
    n = v->up ? recv(v->wire.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) : 1;
    if (v->up && n > 0)
        lose_locked(v, "it says what it was not asked for");
    else if (v->up && (!n || errno != EAGAIN))
        lose_locked(v, "it has hung up");
    if (!v->up && v->handler)
        loop_fd_watch(v->handler, 0);
    lock_release(&v->lock);
}

static void on_error(void *ctx, u32 events)
{
    struct vhost *v = ctx;
    u64 count;

    (void)events;
    if (read(v->error, &count, sizeof(count)) < 0)
        return;
    lock_acquire(&v->lock);
    lose_locked(v, "it says that a queue is broken");
    lock_release(&v->lock);
}

/* Buffers come back. */
static void on_call(void *ctx, u32 events)
{
    struct vhost_queue *q = ctx;
    struct vhost *v = q->vhost;
    struct virtq_returned list[BATCH];
    const char *why = NULL;
    u64 count;
    u32 n;

    (void)events;
    if (read(q->call, &count, sizeof(count)) < 0)
        return;
    lock_acquire(&v->lock);
    for (n = 0; v->up && n < BATCH && vhost_ring_take(&q->ring, v->gmem, &list[n], &why);)
        n++;
    if (why)
        lose_locked(v, why);
    lock_release(&v->lock);
    if (n && v->client.returned)
        v->client.returned(v->client.ctx, q->index, list, n);
    if (n == BATCH)
        vhost_tell(q->call); /* there may be more */
}

/* Takes the connection, whose descriptor it closes if it is of no use. */
static int plug(struct vhost *v, int fd, u64 *features, struct err *err)
{
    int r = vhost_wire_init(&v->wire, fd, err);

    if (!r)
        r = vhost_agree(v, features, err);
    if (!r && v->started) {
        for (u32 i = 0; i < v->queues; i++)
            vhost_ring_rewind(&v->queue[i].ring);
        r = vhost_start_locked(v, err);
    }
    if (!r)
        r = loop_fd_add(v->loop, fd, LOOP_READ, on_socket, v, &v->handler, err);
    v->up = !r;
    v->since_ns = loop_now(v->loop);
    if (r) {
        close(fd);
        v->wire.fd = -1;
    }
    return r;
}

static void on_again(void *ctx, u32 arg)
{
    struct vhost *v = ctx;
    struct err err;
    u32 none;
    u64 features;
    int r = v->attendant ? attendant_make(v->attendant, v->maker, &none, &err) : dial(v, &err);

    (void)arg;
    if (r >= 0) {
        lock_acquire(&v->lock);
        r = plug(v, r, &features, &err);
        lock_release(&v->lock);
    }
    if (r < 0) {
        log_print(v->log, LOG_DEBUG, "net", "vhost-user '%s': %s", v->path, err.msg);
        timer_arm(&v->again, loop_now(v->loop) + AGAIN_NS);
        return;
    }
    log_print(v->log, LOG_INFO, "net", "'%s' is served again", v->path);
    tell_link(v, !v->cut);
}

/* ---- the device's calls ---- */

static void server_attach(void *ctx, const struct virtq_client *client)
{
    struct vhost *v = ctx;

    v->client = *client;
}

static void server_start(void *ctx, u64 features, u32 queues)
{
    struct vhost *v = ctx;
    struct err err;

    lock_acquire(&v->lock);
    if (!v->started) {
        v->started = true;
        v->features = features;
        v->running = queues & (u32)(BIT(v->queues) - 1);
        for (u32 i = 0; i < v->queues; i++)
            vhost_ring_init(&v->queue[i].ring, v->rings + i * VHOST_RING_BYTES);
        if (v->up && vhost_start_locked(v, &err))
            lose_locked(v, err.msg);
    }
    lock_release(&v->lock);
}

static void server_stop(void *ctx)
{
    struct vhost *v = ctx;
    struct err err;
    u32 base;

    lock_acquire(&v->lock);
    if (v->started) {
        for (u32 i = 0; i < v->queues && v->up; i++) {
            if ((v->running >> i & 1) &&
                vhost_get_ring(&v->wire, VHOST_GET_VRING_BASE, i, &base, &err))
                lose_locked(v, err.msg);
        }
        for (u32 i = 0; i < v->queues; i++)
            vhost_ring_init(&v->queue[i].ring, v->rings + i * VHOST_RING_BYTES);
    }
    v->started = false;
    v->enabled = 2;
    lock_release(&v->lock);
}

static enum virtq_put server_put(void *ctx, u32 queue, const struct virtq_buffers *buffers)
{
    struct vhost *v = ctx;
    const struct gmem_region *ram = &v->gmem->region[0];
    enum virtq_put put = VIRTQ_PUT_OK;

    for (u32 i = 0; i < buffers->count; i++) {
        if (!range_within(buffers->seg[i].gpa, buffers->seg[i].len, ram->base, ram->size))
            return VIRTQ_PUT_BAD;
    }
    lock_acquire(&v->lock);
    if (!v->up || !v->started || !(v->running >> queue & 1))
        put = VIRTQ_PUT_AWAY;
    else if (!vhost_ring_put(&v->queue[queue].ring, buffers))
        put = VIRTQ_PUT_FULL;
    lock_release(&v->lock);
    return put;
}

static void server_kick(void *ctx, u32 queue)
{
    struct vhost *v = ctx;

    if (vhost_ring_wants_kick(&v->queue[queue].ring))
        vhost_tell(v->queue[queue].kick);
}

static void enable_all_locked(struct vhost *v)
{
    struct err err;

    for (u32 i = 0; i < v->queues && v->up && v->started; i++) {
        if ((v->running >> i & 1) && vhost_enable_locked(v, i, &err))
            lose_locked(v, err.msg);
    }
}

static void server_enable(void *ctx, u32 count)
{
    struct vhost *v = ctx;

    lock_acquire(&v->lock);
    v->enabled = count;
    enable_all_locked(v);
    lock_release(&v->lock);
}

/* ---- the VM's calls ---- */

void vhost_cut(struct vhost *v, bool cut)
{
    bool up;

    lock_acquire(&v->lock);
    v->cut = cut;
    enable_all_locked(v);
    up = v->up && !cut;
    lock_release(&v->lock);
    tell_link(v, up);
}

bool vhost_is_up(struct vhost *v)
{
    bool up;

    lock_acquire(&v->lock);
    up = v->up && !v->cut;
    lock_release(&v->lock);
    return up;
}

const struct virtq_server *vhost_server(const struct vhost *v)
{
    return &v->server;
}

static int create_rings(struct vhost *v, struct err *err)
{
    size_t size = (size_t)v->queues * VHOST_RING_BYTES;

    v->rings_fd = memfd_create("cosm-rings", MFD_CLOEXEC);
    if (v->rings_fd < 0 || ftruncate(v->rings_fd, (off_t)size))
        return err_set(err, errno, "no memory for queues: %s", strerror(errno));
    v->rings = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, v->rings_fd, 0);
    if (v->rings != MAP_FAILED)
        return 0;
    v->rings = NULL;
    return err_set(err, errno, "no memory for queues: %s", strerror(errno));
}

static int create_events(struct vhost *v, struct err *err)
{
    int r = 0;

    v->error = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    for (u32 i = 0; i < v->queues; i++) {
        struct vhost_queue *q = &v->queue[i];

        q->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        q->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (v->error < 0 || q->kick < 0 || q->call < 0)
            return err_set(err, errno, "no events for queues: %s", strerror(errno));
        vhost_ring_init(&q->ring, v->rings + i * VHOST_RING_BYTES);
        if (!r)
            r = loop_fd_add(v->loop, q->call, LOOP_READ, on_call, q, &q->handler, err);
    }
    return r ? r : loop_fd_add(v->loop, v->error, LOOP_READ, on_error, v, &v->error_handler, err);
}

static struct vhost *allocate(const struct vhost_config *c)
{
    struct vhost *v = calloc(1, sizeof(*v));

    if (!v)
        return NULL;
    v->loop = c->loop;
    v->log = c->log;
    v->gmem = c->gmem;
    v->memory_fd = c->memory_fd;
    v->queues = c->queues;
    v->enabled = 2;
    v->wire.fd = v->rings_fd = v->error = -1;
    fmt_print(v->path, sizeof(v->path), "%s", c->path);
    for (u32 i = 0; i < VHOST_QUEUES_MAX; i++)
        v->queue[i] = (struct vhost_queue){.vhost = v, .index = i, .kick = -1, .call = -1};
    v->again = loop_timer(c->loop, on_again, v, 0);
    announcer_init(&v->announcer, c->loop, announce, v);
    v->server = (struct virtq_server){server_attach, server_start,  server_stop, server_put,
                                      server_kick,   server_enable, v,           0};
    return v;
}

int vhost_create(struct vhost **out, const struct vhost_config *config, struct err *err)
{
    struct vhost *v = allocate(config);
    struct err why;
    int r, fd;

    ASSERT(config->queues && config->queues <= VHOST_QUEUES_MAX && config->queues % 2 == 0);
    if (!v)
        return err_set(err, ENOMEM, "no host memory for the network");
    fd = r = dial(v, err);
    if (r >= 0)
        r = create_rings(v, err);
    if (!r)
        r = create_events(v, err);
    if (!r) {
        r = plug(v, steal_fd(&fd), &v->server.features, &why);
        if (r)
            err_set(err, -r, "'%s' is no vhost-user back end for this VM: %s", v->path, why.msg);
    }
    if (fd >= 0)
        close(fd);
    if (r < 0) {
        vhost_close(v);
        vhost_destroy(v);
        return r;
    }
    *out = v;
    return 0;
}

void vhost_close(struct vhost *v)
{
    if (!v)
        return;
    server_stop(v);
    v->client = (struct virtq_client){0};
    v->up = false;
    timer_arm(&v->again, CLOCK_NEVER);
    announcer_link(&v->announcer, false);
    loop_fd_remove(v->handler);
    loop_fd_remove(v->error_handler);
    v->handler = v->error_handler = NULL;
    scope_close(&v->wire.fd);
    v->wire.fd = -1;
    for (u32 i = 0; i < v->queues; i++) {
        loop_fd_remove(v->queue[i].handler);
        v->queue[i].handler = NULL;
    }
}

void vhost_destroy(struct vhost *v)
{
    if (!v)
        return;
    for (u32 i = 0; i < v->queues; i++) {
        scope_close(&v->queue[i].kick);
        scope_close(&v->queue[i].call);
    }
    scope_close(&v->error);
    scope_close(&v->rings_fd);
    if (v->rings)
        munmap(v->rings, (size_t)v->queues * VHOST_RING_BYTES);
    free(v);
}
