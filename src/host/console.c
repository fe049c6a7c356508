/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's console on standard input and output.
 *
 * Own descriptors: a terminal or pipe is opened anew (by /proc/self/fd) so that O_NONBLOCK does not
 * leak into the shell or whoever else shares the description. Lock order: in_mutex, then the
 * device's own lock (within receive), then out_mutex; devices call room with their lock held, which
 * therefore only writes to an eventfd.
 */
#include "host/console.h"

#include "base/fmt.h"
#include "host/clock.h"
#include "host/scope.h"
#include "host/thread.h"
#include "host/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>

#define OUT_RING      (128 * KIB) /* power of two */
#define IN_RING       4096        /* power of two */
#define CHUNK         4096        /* a writable pipe takes as much at once */
#define FULL_WAIT_NS  UINT64_C(100000000)
#define CLOSE_WAIT_NS UINT64_C(2000000000)
#define POLL_MS       50
#define ESCAPE        0x01 /* Ctrl-A */

struct console {
    struct loop *loop;
    struct console_config config;
    bool in_tty, out_tty, err_tty;
    void (*seen)(void *ctx, const u8 *bytes, size_t len);
    void *seen_ctx;

    pthread_mutex_t out_mutex; /* guards all out_ */
    pthread_cond_t out_more;   /* bytes in the ring, or closing */
    pthread_cond_t out_room;   /* bytes left the ring */
    struct thread out_thread;
    const struct sandbox *sandbox; /* of that thread */
    bool out_started;
    int out_fd;
    u8 *out_ring;
    size_t out_head, out_tail; /* bytes ever put in and taken out */
    u64 out_lost;              /* since the last word about it */
    u64 out_deadline_ns;       /* closing: give up then; else CLOCK_NEVER */
    bool out_stuck;            /* the reader did not read for FULL_WAIT_NS: drop at once */
    bool out_dead;             /* the reader is gone */
    bool out_mid_line;

    pthread_mutex_t in_mutex; /* guards in_ring and what follows, but for in_fd and in_escape */
    u8 in_ring[IN_RING];
    size_t in_head, in_tail;
    console_receive_fn receive;
    void *receive_ctx;
    bool in_paused;  /* in_handler waits for room in the ring */
    bool in_escape;  /* Ctrl-A came */
    bool in_endless; /* a file or such: always ready, cannot be watched */
    int in_fd;       /* -1: none, or at its end */
    int wake;        /* eventfd: somebody has room */
    struct loop_fd *in_handler, *wake_handler;
};

/* Output */

static void out_wait_room_locked(struct console *c, bool patient)
{
    u64 until = host_monotonic_ns() + FULL_WAIT_NS;
    struct timespec t = {(time_t)(until / 1000000000), (long)(until % 1000000000)};
    size_t tail = c->out_tail;

    while (tail == c->out_tail && !c->out_dead) {
        if (patient && c->config.patient) {
            pthread_cond_wait(&c->out_room, &c->out_mutex);
        } else if (pthread_cond_timedwait(&c->out_room, &c->out_mutex, &t) == ETIMEDOUT) {
            c->out_stuck = tail == c->out_tail;
            return;
        }
    }
}

static void out_put_locked(struct console *c, const u8 *bytes, size_t len, bool patient)
{
    while (len && !c->out_dead) {
        size_t room = OUT_RING - (c->out_head - c->out_tail);
        size_t at = c->out_head % OUT_RING;
        size_t n = len < room ? len : room;

        if (n > OUT_RING - at)
            n = OUT_RING - at;
        if (!n && c->out_stuck) {
            c->out_lost += len;
            return;
        }
        if (!n) {
            out_wait_room_locked(c, patient);
            continue;
        }
        memcpy(c->out_ring + at, bytes, n);
        if (c->out_head == c->out_tail)
            pthread_cond_signal(&c->out_more);
        c->out_head += n;
        bytes += n;
        len -= n;
    }
}

static void console_write(void *ctx, const u8 *bytes, size_t len)
{
    struct console *c = ctx;

    if (!len)
        return;
    if (c->seen)
        c->seen(c->seen_ctx, bytes, len);
    pthread_mutex_lock(&c->out_mutex);
    out_put_locked(c, bytes, len, true);
    c->out_mid_line = bytes[len - 1] != '\n';
    pthread_mutex_unlock(&c->out_mutex);
}

static void out_newline_locked(struct console *c)
{
    if (tty_is_raw())
        out_put_locked(c, (const u8 *)"\r", 1, false);
    out_put_locked(c, (const u8 *)"\n", 1, false);
    c->out_mid_line = false;
}

static void out_note_locked(struct console *c, const char *text, size_t len)
{
    if (c->out_mid_line)
        out_newline_locked(c);
    out_put_locked(c, (const u8 *)text, len, false);
    out_newline_locked(c);
}

/* Not on the guest's own terminal: straight to standard error, in one piece. */
static void console_note_stderr(const char *text, size_t len)
{
    char line[1024];
    size_t n = fmt_print(line, sizeof(line), "%.*s%s", (int)(len < 1000 ? len : 1000), text,
                         tty_is_raw() ? "\r\n" : "\n");

    if (write(STDERR_FILENO, line, n) < 0)
        return; /* nobody to tell */
}

void console_note(void *console, const char *text, size_t len)
{
    struct console *c = console;

    if (!c->out_tty || !c->err_tty) {
        console_note_stderr(text, len);
        return;
    }
    pthread_mutex_lock(&c->out_mutex);
    out_note_locked(c, text, len);
    pthread_mutex_unlock(&c->out_mutex);
}

bool console_is_terminal(const struct console *c)
{
    return c->err_tty && (c->out_tty || c->in_tty);
}

/* Writes up to len bytes within POLL_MS; returns how many, or -1: no reader any more. */
static ssize_t out_write(int fd, const u8 *bytes, size_t len)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    ssize_t n;

    if (poll(&p, 1, POLL_MS) <= 0)
        return 0;
    n = write(fd, bytes, len < CHUNK ? len : CHUNK);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    return n;
}

static void out_written_locked(struct console *c, ssize_t n)
{
    u64 lost = c->out_lost;

    if (n < 0) {
        c->out_dead = true;
        c->out_tail = c->out_head;
    } else {
        c->out_tail += (size_t)n;
    }
    if (n)
        pthread_cond_broadcast(&c->out_room);
    if (n > 0 && c->out_stuck) {
        c->out_stuck = false;
        c->out_lost = 0;
    }
    if (n > 0 && lost && !c->out_lost) {
        char text[96];

        fmt_print(text, sizeof(text), "cosm: %llu bytes of console output were lost: nobody read",
                  (unsigned long long)lost);
        console_note_stderr(text, strlen(text));
    }
}

static void console_out_main(void *ctx)
{
    struct console *c = ctx;

    sandbox_thread(c->sandbox, SANDBOX_WRITER);
    pthread_mutex_lock(&c->out_mutex);
    for (;;) {
        size_t at = c->out_tail % OUT_RING;
        size_t len = c->out_head - c->out_tail;
        ssize_t n;

        if (c->out_deadline_ns != CLOCK_NEVER && (!len || host_monotonic_ns() > c->out_deadline_ns))
            break;
        if (!len) {
            pthread_cond_wait(&c->out_more, &c->out_mutex);
            continue;
        }
        if (len > OUT_RING - at)
            len = OUT_RING - at;
        pthread_mutex_unlock(&c->out_mutex);
        /* [tail, head) is this thread's until tail moves. */
        n = out_write(c->out_fd, c->out_ring + at, len);
        pthread_mutex_lock(&c->out_mutex);
        out_written_locked(c, n);
    }
    pthread_mutex_unlock(&c->out_mutex);
}

/* Input */

static void in_put_locked(struct console *c, u8 byte)
{
    if (c->in_head - c->in_tail < IN_RING)
        c->in_ring[c->in_head++ % IN_RING] = byte;
    else if (c->in_tty)
        console_write(c, (const u8 *)"\a", 1); /* as a terminal with a full line does */
}

static void console_help(struct console *c)
{
    static const char *const lines[] = {
        "",
        "Ctrl-A x  quit cosm",
        "Ctrl-A b  send a break to the guest",
        "Ctrl-A c  send Ctrl-A itself (so does Ctrl-A Ctrl-A)",
        "Ctrl-A h  this help",
    };

    pthread_mutex_lock(&c->out_mutex);
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        out_note_locked(c, lines[i], strlen(lines[i]));
    pthread_mutex_unlock(&c->out_mutex);
}

static void console_event(struct console *c, enum console_event event)
{
    if (c->config.event)
        c->config.event(c->config.ctx, event);
}

/* What follows Ctrl-A. Without in_mutex: the event's handler may do anything but destroy. */
static void in_command(struct console *c, u8 key)
{
    switch (key) {
    case 'x':
    case 'X':
        console_event(c, CONSOLE_QUIT);
        break;
    case 'b':
        console_event(c, CONSOLE_BREAK);
        break;
    case 'c':
    case 'a':
    case ESCAPE:
        pthread_mutex_lock(&c->in_mutex);
        in_put_locked(c, ESCAPE);
        pthread_mutex_unlock(&c->in_mutex);
        break;
    default:
        console_help(c);
    }
}

static void in_take(struct console *c, const u8 *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (c->in_escape) {
            c->in_escape = false;
            in_command(c, bytes[i]);
        } else if (c->in_tty && bytes[i] == ESCAPE) {
            c->in_escape = true;
        } else {
            pthread_mutex_lock(&c->in_mutex);
            in_put_locked(c, bytes[i]);
            pthread_mutex_unlock(&c->in_mutex);
        }
    }
}

/* Hands waiting bytes to the device until it takes no more. */
static void in_deliver(struct console *c)
{
    pthread_mutex_lock(&c->in_mutex);
    while (c->receive && c->in_head != c->in_tail) {
        size_t at = c->in_tail % IN_RING;
        size_t len = c->in_head - c->in_tail;
        size_t took;

        if (len > IN_RING - at)
            len = IN_RING - at;
        took = c->receive(c->receive_ctx, c->in_ring + at, len);
        c->in_tail += took < len ? took : len;
        if (took < len)
            break;
    }
    pthread_mutex_unlock(&c->in_mutex);
}

static void in_end(struct console *c)
{
    loop_fd_remove(c->in_handler);
    c->in_handler = NULL;
    close(c->in_fd);
    c->in_fd = -1;
}

static size_t in_room(struct console *c)
{
    size_t room;

    pthread_mutex_lock(&c->in_mutex);
    room = IN_RING - (c->in_head - c->in_tail);
    /* A terminal is read even then, for its escape key. */
    c->in_paused = !room && !c->in_tty;
    pthread_mutex_unlock(&c->in_mutex);
    return c->in_tty ? 256 : room;
}

static void in_ready(void *ctx, u32 ready)
{
    struct console *c = ctx;
    u8 bytes[IN_RING];
    size_t room = in_room(c);
    ssize_t n;

    (void)ready;
    if (!room) {
        if (c->in_handler)
            loop_fd_watch(c->in_handler, 0);
        return;
    }
    n = read(c->in_fd, bytes, room);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0)
        in_take(c, bytes, (size_t)n);
    else
        in_end(c);
    in_deliver(c);
}

static void console_kick(void *ctx)
{
    struct console *c = ctx;
    u64 one = 1;

    if (write(c->wake, &one, sizeof(one)) < 0)
        return; /* EAGAIN: it is full of kicks already */
}

/* Somebody has room: the ring empties, and input goes on. */
static void in_wake(void *ctx, u32 ready)
{
    struct console *c = ctx;
    size_t before, after;
    u64 kicks;

    (void)ready;
    if (read(c->wake, &kicks, sizeof(kicks)) < 0)
        return;
    in_deliver(c);
    if (c->in_handler && in_room(c))
        loop_fd_watch(c->in_handler, LOOP_READ);
    if (!c->in_endless || c->in_fd < 0)
        return;
    before = in_room(c);
    if (before)
        in_ready(c, LOOP_READ);
    after = in_room(c);
    /* One ring at a time, so that a fast device and an endless file do not hold the loop. */
    if (before && after && c->in_fd >= 0)
        console_kick(c);
}

void console_attach(struct console *c, console_receive_fn receive, void *ctx)
{
    pthread_mutex_lock(&c->in_mutex);
    c->receive = receive;
    c->receive_ctx = ctx;
    pthread_mutex_unlock(&c->in_mutex);
    console_kick(c);
}

size_t console_take(struct console *c, u8 *bytes, size_t len)
{
    size_t n = 0;
    bool kick;

    pthread_mutex_lock(&c->in_mutex);
    while (n < len && c->in_tail != c->in_head)
        bytes[n++] = c->in_ring[c->in_tail++ % IN_RING];
    kick = n && (c->in_paused || c->in_endless);
    pthread_mutex_unlock(&c->in_mutex);
    if (kick)
        console_kick(c);
    return n;
}

size_t console_feed(struct console *c, const u8 *bytes, size_t len)
{
    size_t room;

    pthread_mutex_lock(&c->in_mutex);
    room = IN_RING - (c->in_head - c->in_tail);
    if (len > room)
        len = room;
    for (size_t i = 0; i < len; i++)
        c->in_ring[c->in_head++ % IN_RING] = bytes[i];
    pthread_mutex_unlock(&c->in_mutex);
    if (len)
        console_kick(c);
    return len;
}

void console_observe(struct console *c, void (*seen)(void *ctx, const u8 *bytes, size_t len),
                     void *ctx)
{
    c->seen_ctx = ctx;
    c->seen = seen;
}

struct chardev console_chardev(struct console *c)
{
    return (struct chardev){console_write, console_kick, c};
}

/* Making and ending */

/* A descriptor of our own, not blocking if that concerns nobody else. */
static int console_open_own(int fd, int mode)
{
    char path[32];
    struct stat st;
    int own = -1;

    if (fd < 0 || fstat(fd, &st) < 0)
        return -1;
    fmt_print(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (isatty(fd) || S_ISFIFO(st.st_mode))
        own = open(path, mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return own >= 0 ? own : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static int console_open_in(struct console *c, struct err *err)
{
    int rc;

    c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->wake < 0) {
        int code = errno;
        return err_set(err, code, "cannot set up the console: %s", strerror(code));
    }
    rc = loop_fd_add(c->loop, c->wake, LOOP_READ, in_wake, c, &c->wake_handler, err);
    c->in_fd = console_open_own(c->config.in, O_RDONLY);
    if (rc || c->in_fd < 0)
        return rc;
    rc = loop_fd_add(c->loop, c->in_fd, LOOP_READ, in_ready, c, &c->in_handler, err);
    c->in_endless = rc == -EPERM;
    if (c->in_endless) {
        console_kick(c);
        rc = 0;
    }
    if (!rc && c->in_tty)
        rc = tty_make_raw(c->config.in, err);
    return rc;
}

static int console_open_out(struct console *c, struct err *err)
{
    c->out_fd = console_open_own(c->config.out, O_WRONLY);
    c->out_dead = c->out_fd < 0;
    c->out_ring = malloc(OUT_RING);
    return c->out_ring ? 0 : err_set(err, ENOMEM, "no memory for the console");
}

int console_begin(struct console *c, const struct sandbox *sandbox, struct err *err)
{
    int rc;

    if (c->out_fd < 0)
        return 0;
    c->sandbox = sandbox;
    rc = thread_start(&c->out_thread, "console", console_out_main, c, err);
    c->out_started = rc == 0;
    return rc;
}

static void console_init(struct console *c, struct loop *loop, const struct console_config *config)
{
    pthread_condattr_t attr;

    c->loop = loop;
    c->config = *config;
    c->in_fd = c->out_fd = c->wake = -1;
    c->in_tty = config->in >= 0 && isatty(config->in);
    c->out_tty = config->out >= 0 && isatty(config->out);
    c->err_tty = isatty(STDERR_FILENO);
    c->out_deadline_ns = CLOCK_NEVER;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&c->out_mutex, NULL);
    pthread_mutex_init(&c->in_mutex, NULL);
    pthread_cond_init(&c->out_more, &attr);
    pthread_cond_init(&c->out_room, &attr);
    pthread_condattr_destroy(&attr);
}

int console_create(struct console **out, struct loop *loop, const struct console_config *config,
                   struct err *err)
{
    struct console *c = calloc(1, sizeof(*c));
    int rc;

    if (!c)
        return err_set(err, ENOMEM, "no memory for the console");
    console_init(c, loop, config);
    signal(SIGPIPE, SIG_IGN); /* a reader that went away is not the end of the VM */
    rc = console_open_out(c, err);
    if (!rc)
        rc = console_open_in(c, err);
    if (rc) {
        console_destroy(c);
        return rc;
    }
    *out = c;
    return 0;
}

void console_hurry(struct console *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->out_mutex);
    c->config.patient = false;
    pthread_cond_broadcast(&c->out_room);
    pthread_mutex_unlock(&c->out_mutex);
}

static void console_close_out(struct console *c)
{
    if (c->out_fd < 0)
        return;
    pthread_mutex_lock(&c->out_mutex);
    if (c->out_tty && c->out_mid_line)
        out_newline_locked(c);
    c->out_deadline_ns = host_monotonic_ns() + CLOSE_WAIT_NS;
    pthread_cond_signal(&c->out_more);
    pthread_mutex_unlock(&c->out_mutex);
    if (c->out_started)
        thread_join(&c->out_thread);
    else
        console_out_main(c); /* what was said before it began */
    close(c->out_fd);
}

void console_destroy(struct console *c)
{
    if (!c)
        return;
    loop_fd_remove(c->wake_handler);
    if (c->in_fd >= 0)
        in_end(c);
    console_close_out(c);
    if (c->in_tty)
        tty_restore();
    if (c->wake >= 0)
        close(c->wake);
    pthread_mutex_destroy(&c->out_mutex);
    pthread_mutex_destroy(&c->in_mutex);
    pthread_cond_destroy(&c->out_more);
    pthread_cond_destroy(&c->out_room);
    free(c->out_ring);
    free(c);
}
