/* SPDX-License-Identifier: BSD-2-Clause */
/* Connections to a port of a VM's guest, by its virtio sockets. */
#include "api/guest_port.h"

#include "base/fmt.h"
#include "host/clock.h"
#include "host/listener.h"
#include "host/scope.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define SECOND   UINT64_C(1000000000)
#define TRY_MS   5000 /* for the guest's answer; a guest that stands still gives none */
#define PAUSE_NS 200000000

static int open_socket(const struct record *r, struct err *err)
{
    int fd = record_connect(r, ".vsock", err);

    if (fd == -ENOENT)
        return err_set(err, ENOTSUP, "'%s' has no sockets; it was started with --vsock off",
                       r->name);
    return fd;
}

/* "OK PORT\n", read byte by byte, as what follows is not ours. False: nobody listens (yet). */
static bool read_ok(int fd)
{
    char line[32];
    size_t len = 0;

    while (len < sizeof(line)) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t n;

        if (poll(&p, 1, TRY_MS) != 1)
            return false;
        n = recv(fd, line + len, 1, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        if (line[len++] == '\n')
            return len > 3 && !memcmp(line, "OK ", 3);
    }
    return false;
}

/* A descriptor, -EAGAIN: nobody listens, or another error and the sentence. */
static int try_once(const struct record *r, u32 port, struct err *err)
{
    AUTO_FD int fd = open_socket(r, err);
    char text[32];
    size_t len = fmt_print(text, sizeof(text), "CONNECT %u\n", port);

    if (fd < 0)
        return fd;
    if (send(fd, text, len, MSG_NOSIGNAL) != (ssize_t)len || !read_ok(fd))
        return -EAGAIN;
    return steal_fd(&fd);
}

static int gave_up(const struct record *r, u32 port, u32 wait_s, struct err *err)
{
    char line[160];

    record_last_line(r, line, sizeof(line));
    if (!*line)
        return err_set(err, ETIMEDOUT,
                       "nothing in '%s' listens on port %u after %u s, nor did its console show "
                       "anything",
                       r->name, port, wait_s);
    return err_set(err, ETIMEDOUT,
                   "nothing in '%s' listens on port %u after %u s; the last line on its console "
                   "is: %s",
                   r->name, port, wait_s, line);
}

int guest_port_connect(const struct record *r, u32 port, u32 wait_s,
                       void (*waiting)(void *ctx, u32 seconds), void *ctx, struct err *err)
{
    const struct timespec pause = {0, PAUSE_NS};
    u64 start = host_monotonic_ns(), told = 0;

    for (;;) {
        int fd = try_once(r, port, err);
        u64 passed = (host_monotonic_ns() - start) / SECOND;

        if (fd != -EAGAIN)
            return fd;
        if (passed >= wait_s)
            return gave_up(r, port, wait_s, err);
        if (waiting && passed > told) {
            waiting(ctx, (u32)passed);
            told = passed;
        }
        nanosleep(&pause, NULL);
    }
}
