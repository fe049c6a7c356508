/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console of a VM for many: a log and whoever is connected.
 *
 * One ring holds the last output. The log's thread and each client have a place in it: a count of
 * bytes ever put in. The guest waits for the log alone, 100 ms at most each time that it has made
 * the ring full, and never for a client, whose place is moved on when it is overtaken.
 */
#include "api/hub.h"

#include "base/fmt.h"
#include "host/clock.h"
#include "host/listener.h"
#include "host/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define RING         (256 * KIB) /* power of two */
#define CHUNK        (16 * KIB)
#define CLIENTS_MAX  16
#define INPUT        4096
#define LINE_BACK    1024 /* of a line that was begun */
#define FULL_WAIT_NS UINT64_C(100000000)
#define FEED_MS      10  /* the guest took not all input */
#define GONE_MS      500 /* a client without more input: is it there? */

struct hub_client {
    struct hub *hub;
    int fd; /* -1: free */
    struct loop_fd *handler;
    u64 at;
    bool ended; /* its input has */
    u8 input[INPUT];
    u32 input_len, input_at; /* what the guest has not taken yet */
};

struct hub {
    struct loop *loop;
    struct console *console;
    struct listener *listener;
    struct hub_client client[CLIENTS_MAX];
    int wake;
    struct loop_fd *wake_handler;
    _Atomic bool woken;
    _Atomic u32 clients;
    int tick; /* timerfd, for what no event tells: see on_tick */
    struct loop_fd *tick_handler;

    int dir, log;
    u64 log_size;
    struct thread thread;
    bool started;
    const struct sandbox *sandbox; /* of the thread */

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t more, room;
    u8 *ring;
    u64 head, logged;
    u64 lost;  /* bytes that the log lacks */
    bool full; /* the log did not move for FULL_WAIT_NS: lose at once */
    bool ending;
};

/* Output, from any thread. */

static void wait_room_locked(struct hub *h)
{
    u64 until = host_monotonic_ns() + FULL_WAIT_NS, logged = h->logged;
    struct timespec t = {(time_t)(until / 1000000000), (long)(until % 1000000000)};

    while (logged == h->logged && !h->full) {
        if (pthread_cond_timedwait(&h->room, &h->mutex, &t) == ETIMEDOUT)
            h->full = logged == h->logged;
    }
}

static void put_locked(struct hub *h, const u8 *bytes, size_t len)
{
    while (len) {
        size_t room = RING - (h->head - h->logged), at = h->head % RING;
        size_t n = len < room ? len : room;

        if (!n && !h->full) {
            wait_room_locked(h);
            continue;
        }
        if (!n) {
            h->lost += len;
            return;
        }
        n = n > RING - at ? RING - at : n;
        memcpy(h->ring + at, bytes, n);
        h->head += n;
        bytes += n;
        len -= n;
        pthread_cond_signal(&h->more);
    }
}

static void wake(struct hub *h)
{
    u64 one = 1;

    /* Pairs with on_wake, which clears it before it looks at the ring. */
    if (!atomic_exchange_explicit(&h->woken, true, memory_order_acq_rel) &&
        write(h->wake, &one, sizeof(one)) < 0)
        return; /* full: it is awake */
}

static void hub_put(void *ctx, const u8 *bytes, size_t len)
{
    struct hub *h = ctx;

    pthread_mutex_lock(&h->mutex);
    put_locked(h, bytes, len);
    pthread_mutex_unlock(&h->mutex);
    if (atomic_load_explicit(&h->clients, memory_order_relaxed))
        wake(h);
}

/* The log */

/* The older half goes when both are full. A failure ends neither the VM nor its console. */
static void log_rotate(struct hub *h)
{
    if (renameat(h->dir, "console.log", h->dir, "console.log.1") < 0)
        return;
    if (h->log >= 0)
        close(h->log);
    h->log =
        openat(h->dir, "console.log", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    h->log_size = 0;
}

static void log_write(struct hub *h, const u8 *bytes, size_t len)
{
    while (len && h->log >= 0) {
        ssize_t n = write(h->log, bytes, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* no space: this piece is lost */
        bytes += n;
        len -= (size_t)n;
        h->log_size += (u64)n;
    }
}

static void log_lost(struct hub *h, u64 lost)
{
    char text[96];

    log_write(h, (const u8 *)text,
              fmt_print(text, sizeof(text), "\n[cosm: %lu bytes are missing here]\n",
                        (unsigned long)lost));
}

static void log_main(void *ctx)
{
    struct hub *h = ctx;

    sandbox_thread(h->sandbox, SANDBOX_WRITER);
    pthread_mutex_lock(&h->mutex);
    for (;;) {
        size_t at = h->logged % RING, len = h->head - h->logged;
        u64 lost = h->lost;

        if (!len && h->ending)
            break;
        if (!len) {
            pthread_cond_wait(&h->more, &h->mutex);
            continue;
        }
        len = len > RING - at ? RING - at : len;
        len = len > CHUNK ? CHUNK : len;
        pthread_mutex_unlock(&h->mutex);
        if (h->log_size + len > HUB_LOG_MAX)
            log_rotate(h);
        log_write(h, h->ring + at, len); /* nobody writes there before logged moves */
        pthread_mutex_lock(&h->mutex);
        h->logged += len;
        h->full = false;
        pthread_cond_broadcast(&h->room);
        if (lost && h->head == h->logged) {
            h->lost -= lost;
            log_lost(h, lost);
        }
    }
    pthread_mutex_unlock(&h->mutex);
}

/* Clients, on the loop. */

static void client_close(struct hub_client *c)
{
    loop_fd_remove(c->handler);
    close(c->fd);
    c->fd = -1;
    c->handler = NULL;
    atomic_fetch_sub_explicit(&c->hub->clients, 1, memory_order_relaxed);
}

/* Copies what comes next for the client; tells how many bytes it has missed. */
static size_t client_next(struct hub_client *c, u8 *bytes, size_t max, u64 *missed)
{
    struct hub *h = c->hub;
    size_t len, at, part;

    pthread_mutex_lock(&h->mutex);
    *missed = h->head - c->at > RING ? h->head - c->at - RING : 0;
    c->at += *missed;
    len = h->head - c->at;
    len = len < max ? len : max;
    at = c->at % RING;
    part = len < RING - at ? len : RING - at;
    memcpy(bytes, h->ring + at, part);
    memcpy(bytes + part, h->ring, len - part);
    pthread_mutex_unlock(&h->mutex);
    return len;
}

static u32 client_events(const struct hub_client *c, bool behind)
{
    return (c->ended || c->input_len ? 0u : LOOP_READ) | (behind ? LOOP_WRITE : 0u);
}

/* A piece a turn, so that one client does not keep the loop. False: it is gone. */
static bool client_send(struct hub_client *c)
{
    u8 bytes[CHUNK];
    char text[96];
    u64 missed;
    size_t len = client_next(c, bytes, sizeof(bytes), &missed);
    ssize_t n;

    if (missed) {
        n = (ssize_t)fmt_print(
            text, sizeof(text),
            "\r\n[cosm: %lu bytes are missing here: this console was not read]\r\n",
            (unsigned long)missed);
        n = send(c->fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    n = len ? send(c->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        client_close(c);
        return false;
    }
    c->at += n > 0 ? (u64)n : 0;
    /* A short piece was all there is: more of it wakes us. */
    loop_fd_watch(c->handler, client_events(c, n < 0 || (size_t)n < len || len == CHUNK));
    return true;
}

static void tick_arm(struct hub *h, long ms)
{
    struct itimerspec t = {.it_value.tv_nsec = ms * 1000000};

    if (timerfd_settime(h->tick, 0, &t, NULL) < 0)
        return; /* cannot happen with these numbers */
}

static void client_feed(struct hub_client *c)
{
    c->input_at +=
        (u32)console_feed(c->hub->console, c->input + c->input_at, c->input_len - c->input_at);
    if (c->input_at == c->input_len)
        c->input_at = c->input_len = 0;
    else
        tick_arm(c->hub, FEED_MS);
}

static void on_client(void *ctx, u32 ready)
{
    struct hub_client *c = ctx;

    if (ready & LOOP_READ && !c->input_len) {
        ssize_t n = recv(c->fd, c->input, sizeof(c->input), MSG_DONTWAIT);

        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            client_close(c);
            return;
        }
        c->ended = n == 0;
        if (c->ended && ready & LOOP_HANGUP) {
            client_close(c);
            return;
        }
        c->input_len = n > 0 ? (u32)n : 0;
        if (c->input_len)
            client_feed(c);
        if (c->ended)
            tick_arm(c->hub, GONE_MS);
    } else if (ready & LOOP_HANGUP) {
        client_close(c);
        return;
    }
    client_send(c);
}

/* Who has said all may still listen, so the end of its input is not the end of it. */
static bool is_gone(int fd)
{
    struct pollfd p = {.fd = fd};

    return poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR);
}

/* Returns after how many ms to look again, 0: no need. */
static long client_tick(struct hub_client *c)
{
    if (c->input_len) {
        client_feed(c);
        if (!c->input_len && !client_send(c)) /* watches for input again */
            return 0;
    }
    if (!c->ended && !c->input_len)
        return 0;
    if (!is_gone(c->fd))
        return c->input_len ? FEED_MS : GONE_MS;
    client_close(c);
    return 0;
}

static void on_tick(void *ctx, u32 ready)
{
    struct hub *h = ctx;
    long ms = 0;
    u64 count;

    (void)ready;
    if (read(h->tick, &count, sizeof(count)) < 0)
        return;
    for (u32 i = 0; i < CLIENTS_MAX; i++) {
        long wait = h->client[i].fd >= 0 ? client_tick(&h->client[i]) : 0;

        ms = !ms || (wait && wait < ms) ? wait : ms;
    }
    if (ms)
        tick_arm(h, ms);
}

static void on_wake(void *ctx, u32 ready)
{
    struct hub *h = ctx;
    u64 count;

    (void)ready;
    if (read(h->wake, &count, sizeof(count)) < 0)
        return;
    atomic_store_explicit(&h->woken, false, memory_order_release);
    for (u32 i = 0; i < CLIENTS_MAX; i++) {
        if (h->client[i].fd >= 0)
            client_send(&h->client[i]);
    }
}

/* Where the line begins that the guest has begun. */
static u64 line_start(struct hub *h)
{
    u64 at;

    pthread_mutex_lock(&h->mutex);
    at = h->head;
    while (at && h->head - at < LINE_BACK && h->ring[(at - 1) % RING] != '\n')
        at--;
    pthread_mutex_unlock(&h->mutex);
    return at;
}

static void on_accepted(void *ctx, int fd)
{
    static const char busy[] = "cosm: too many are on this console\r\n";
    struct hub *h = ctx;
    struct err err;

    for (u32 i = 0; i < CLIENTS_MAX; i++) {
        struct hub_client *c = &h->client[i];

        if (c->fd >= 0)
            continue;
        c->ended = false;
        c->input_len = c->input_at = 0;
        c->at = line_start(h);
        if (loop_fd_add(h->loop, fd, LOOP_READ, on_client, c, &c->handler, &err))
            break;
        c->fd = fd;
        atomic_fetch_add_explicit(&h->clients, 1, memory_order_relaxed);
        client_send(c);
        return;
    }
    if (send(fd, busy, sizeof(busy) - 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        errno = 0; /* nobody to tell */
    close(fd);
}

/* Life */

static void hub_init(struct hub *h, struct loop *loop, struct console *console, int dir)
{
    pthread_condattr_t attr;

    h->loop = loop;
    h->console = console;
    h->dir = dir;
    h->log = h->wake = h->tick = -1;
    for (u32 i = 0; i < CLIENTS_MAX; i++)
        h->client[i] = (struct hub_client){.hub = h, .fd = -1};
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&h->mutex, NULL);
    pthread_cond_init(&h->more, &attr);
    pthread_cond_init(&h->room, &attr);
    pthread_condattr_destroy(&attr);
}

static int hub_open(struct hub *h, int runtime, const char *socket, struct err *err)
{
    struct stat st;
    int r;

    h->ring = malloc(RING);
    h->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    h->tick = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    h->log =
        openat(h->dir, "console.log", O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (!h->ring || h->wake < 0 || h->tick < 0 || h->log < 0 || fstat(h->log, &st) < 0) {
        int code = errno;
        return err_set(err, code, "cannot keep the log of the console: %s", strerror(code));
    }
    h->log_size = (u64)st.st_size;
    r = loop_fd_add(h->loop, h->wake, LOOP_READ, on_wake, h, &h->wake_handler, err);
    if (!r)
        r = loop_fd_add(h->loop, h->tick, LOOP_READ, on_tick, h, &h->tick_handler, err);
    if (!r)
        r = listener_create(&h->listener, h->loop, runtime, socket, on_accepted, h, err);
    if (!r)
        console_observe(h->console, hub_put, h);
    return r;
}

int hub_create(struct hub **out, struct loop *loop, struct console *console, int dir, int runtime,
               const char *socket, struct err *err)
{
    struct hub *h = calloc(1, sizeof(*h));
    int r;

    if (!h)
        return err_set(err, ENOMEM, "no memory for the console");
    hub_init(h, loop, console, dir);
    r = hub_open(h, runtime, socket, err);
    if (r) {
        hub_destroy(h);
        return r;
    }
    *out = h;
    return 0;
}

int hub_begin(struct hub *h, const struct sandbox *sandbox, struct err *err)
{
    int r;

    h->sandbox = sandbox;
    r = thread_start(&h->thread, "console-log", log_main, h, err);
    h->started = r == 0;
    return r;
}

static void close_clients(struct hub *h)
{
    for (u32 i = 0; i < CLIENTS_MAX; i++) {
        struct hub_client *c = &h->client[i];
        u64 before = c->at - 1;

        while (c->fd >= 0 && c->at != before) { /* until it takes no more */
            before = c->at;
            if (!client_send(c))
                break;
        }
        if (c->fd >= 0)
            client_close(c);
    }
}

static void close_files(struct hub *h)
{
    const int fd[] = {h->log, h->wake, h->tick};

    for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
        if (fd[i] >= 0)
            close(fd[i]);
    }
}

void hub_destroy(struct hub *h)
{
    if (!h)
        return;
    console_observe(h->console, NULL, NULL);
    listener_destroy(h->listener);
    close_clients(h);
    loop_fd_remove(h->wake_handler);
    loop_fd_remove(h->tick_handler);
    pthread_mutex_lock(&h->mutex);
    h->ending = true;
    pthread_cond_signal(&h->more);
    pthread_mutex_unlock(&h->mutex);
    if (h->started)
        thread_join(&h->thread);
    close_files(h);
    pthread_cond_destroy(&h->more);
    pthread_cond_destroy(&h->room);
    pthread_mutex_destroy(&h->mutex);
    free(h->ring);
    free(h);
}
