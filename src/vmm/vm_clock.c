/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's wall clock (docs/adr/0030-memory-and-time.md). A guest reads its real-time clock when
 * it starts and counts on from there by time that stands while the VM or the host does. So where
 * this machine's wall clock and the VM's own time have moved against each other since, the guest is
 * told: over virtio sockets, by lines of decimal seconds since 1970.
 *
 * Theory of operation: the guest begins each connection with its time. As long as that is wrong it
 * is sent the right one, sets its clock and answers with what it has then; the connection ends when
 * it is right. What it says decides about nothing but that. If nobody listens, or does not answer,
 * it is tried again, ever more seldom, as the guest may be about to start.
 */
#include "vmm/vm_state.h"

#include "base/fmt.h"
#include "host/wall.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GUEST_PORT 123 /* that of NTP, though not its protocol */
#define NS_PER_S   UINT64_C(1000000000)
#define DRIFT_NS   (NS_PER_S / 10) /* less is left to the guest */
#define RIGHT_NS   (NS_PER_S / 4)  /* of which much is the way here; twice as much each round */
#define ANSWER_NS  (10 * NS_PER_S)
#define ROUNDS_MAX 4
#define TRIES_MAX  7 /* the last two minutes after the first */

static u64 distance(u64 a, u64 b)
{
    return a > b ? a - b : b - a;
}

/* The wall clock's lead over the VM's own time: constant as long as neither is touched. */
static u64 lead(const struct vm *vm)
{
    return host_wall_ns() - host_clock_now(&vm->clock);
}

static void hang_up(struct vm_clock_sync *s)
{
    loop_fd_remove(s->handler);
    s->handler = NULL;
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

/* Later, after 1, 2, 4... s. */
static void try_later(struct vm *vm)
{
    struct vm_clock_sync *s = &vm->clock_sync;

    hang_up(s);
    if (s->tries < TRIES_MAX) {
        timer_arm(&s->timer, loop_now(vm->loop) + (NS_PER_S << s->tries++));
        return;
    }
    timer_arm(&s->timer, CLOCK_NEVER);
    log_print(vm->log, LOG_INFO, "clock", "the guest could not be told that its clock is wrong");
}

/* "1764000000.123456789" */
static bool parse_time(const char *text, u64 *ns)
{
    size_t digits = strspn(text, "0123456789");
    const char *at = text + digits;
    u64 unit = NS_PER_S;

    if (!digits || digits > 10)
        return false;
    *ns = strtoull(text, NULL, 10) * NS_PER_S;
    for (at += *at == '.'; *at >= '0' && *at <= '9'; at++)
        *ns += (u64)(*at - '0') * (unit /= 10);
    return !*at;
}

static bool send_time(struct vm_clock_sync *s)
{
    char text[48];
    u64 now = host_wall_ns();
    size_t len =
        fmt_print(text, sizeof(text), "%llu.%09llu\n", (unsigned long long)(now / NS_PER_S),
                  (unsigned long long)(now % NS_PER_S));

    return send(s->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len;
}

/* False: the guest does not do what it should. */
static bool line_received(struct vm *vm)
{
    struct vm_clock_sync *s = &vm->clock_sync;
    u64 guest, now = host_wall_ns();

    if (!s->accepted) {
        s->accepted = !strncmp(s->line, "OK ", 3);
        return s->accepted;
    }
    if (!parse_time(s->line, &guest))
        return false;
    if (distance(guest, now) > RIGHT_NS << s->rounds)
        return ++s->rounds <= ROUNDS_MAX && send_time(s);
    if (s->rounds)
        log_print(vm->log, LOG_INFO, "clock", "the guest has set its clock");
    s->lead_ns = lead(vm);
    hang_up(s);
    timer_arm(&s->timer, CLOCK_NEVER);
    return true;
}

static void on_answer(void *ctx, u32 ready)
{
    struct vm *vm = ctx;
    struct vm_clock_sync *s = &vm->clock_sync;
    char byte;

    (void)ready;
    while (s->fd >= 0) {
        ssize_t n = recv(s->fd, &byte, 1, MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n == 1 && byte != '\n' && s->len < sizeof(s->line) - 1) {
            s->line[s->len++] = byte;
            continue;
        }
        s->line[s->len] = '\0';
        s->len = 0;
        if (n != 1 || byte != '\n' || !line_received(vm)) {
            try_later(vm);
            return;
        }
    }
}

static void begin(struct vm *vm)
{
    struct vm_clock_sync *s = &vm->clock_sync;
    struct err err;

    s->len = s->rounds = 0;
    s->accepted = false;
    s->fd = vsock_host_connect(vm->vsock, GUEST_PORT);
    if (s->fd < 0 || loop_fd_add(vm->loop, s->fd, LOOP_READ, on_answer, vm, &s->handler, &err)) {
        try_later(vm);
        return;
    }
    timer_arm(&s->timer, loop_now(vm->loop) + ANSWER_NS);
}

/* It is time to try, or there is no answer. */
static void on_timer(void *ctx, u32 arg)
{
    struct vm *vm = ctx;

    (void)arg;
    if (vm->over)
        return;
    if (vm->clock_sync.fd >= 0)
        try_later(vm);
    else
        begin(vm);
}

void vm_clock_check(struct vm *vm)
{
    struct vm_clock_sync *s = &vm->clock_sync;

    if (!s->watches || vm->holds || distance(lead(vm), s->lead_ns) < DRIFT_NS)
        return;
    hang_up(s);
    s->tries = 0;
    timer_arm(&s->timer, loop_now(vm->loop));
}

static void on_wall(void *ctx, u32 ready)
{
    struct vm *vm = ctx;

    (void)ready;
    host_wall_seen(vm->clock_sync.watch_fd);
    vm_clock_check(vm);
}

void vm_clock_started(struct vm *vm)
{
    struct vm_clock_sync *s = &vm->clock_sync;

    if (!s->watches)
        return;
    hang_up(s);
    timer_arm(&s->timer, CLOCK_NEVER);
    s->lead_ns = lead(vm);
}

int vm_clock_watch(struct vm *vm, struct err *err)
{
    struct vm_clock_sync *s = &vm->clock_sync;

    s->fd = s->watch_fd = -1;
    if (!vm->vsock || vm->config->icount)
        return 0;
    s->watch_fd = host_wall_watch();
    if (s->watch_fd < 0)
        return err_set(err, -s->watch_fd, "cannot watch this machine's clock: %s",
                       strerror(-s->watch_fd));
    s->timer = loop_timer(vm->loop, on_timer, vm, 0);
    s->watches = true;
    vm_clock_started(vm);
    return loop_fd_add(vm->loop, s->watch_fd, LOOP_READ, on_wall, vm, &s->watch_handler, err);
}

void vm_clock_close(struct vm *vm)
{
    struct vm_clock_sync *s = &vm->clock_sync;

    if (!s->watches)
        return;
    hang_up(s);
    loop_fd_remove(s->watch_handler);
    close(s->watch_fd);
    s->watches = false;
}
