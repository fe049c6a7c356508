/* SPDX-License-Identifier: BSD-2-Clause */
/* 'cosm console': this terminal on a VM's console. */
#include "apps/cosm/manage.h"

#include "api/client.h"
#include "base/fmt.h"
#include "host/listener.h"
#include "host/scope.h"
#include "host/tty.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define ESCAPE 0x01 /* Ctrl-A */
#define CHUNK  4096

struct attach {
    const struct record *record;
    int socket;
    bool tty, escape, leave;
    u8 typed[CHUNK]; /* what the VM has not taken yet */
    size_t typed_len;
};

static void tell(const struct attach *a, const char *text)
{
    fprintf(stderr, "%s%s", text, a->tty ? "\r\n" : "\n");
}

static void send_break(struct attach *a)
{
    struct client client;
    struct err err;

    if (client_open(&client, a->record, &err)) {
        tell(a, err.msg);
        return;
    }
    if (!client_call(&client, a->record->name, "console-send-break", &err))
        tell(a, err.msg);
    client_close(&client);
}

/* What follows Ctrl-A. */
static void command(struct attach *a, u8 key)
{
    switch (key) {
    case 'd':
    case 'x':
        a->leave = true;
        break;
    case 'b':
        send_break(a);
        break;
    case 'a':
    case 'c':
    case ESCAPE:
        a->typed[a->typed_len++] = ESCAPE;
        break;
    default:
        tell(a, "\r\nCtrl-A d  leave; the VM goes on\r\n"
                "Ctrl-A b  send a break to the guest\r\n"
                "Ctrl-A c  send Ctrl-A itself (so does Ctrl-A Ctrl-A)\r\n"
                "Ctrl-A h  this help");
    }
}

/* False: no more comes. */
static bool take_input(struct attach *a)
{
    u8 bytes[CHUNK];
    ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));

    if (n < 0)
        return errno == EINTR || errno == EAGAIN;
    for (ssize_t i = 0; i < n && !a->leave; i++) {
        if (a->escape) {
            a->escape = false;
            command(a, bytes[i]);
        } else if (a->tty && bytes[i] == ESCAPE) {
            a->escape = true;
        } else {
            a->typed[a->typed_len++] = bytes[i];
        }
    }
    return n > 0;
}

static int print_all(const u8 *bytes, size_t len)
{
    while (len) {
        ssize_t n = write(STDOUT_FILENO, bytes, len);

        if (n < 0 && errno != EINTR)
            return -errno;
        bytes += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* 1: the console is at its end. */
static int show_output(struct attach *a)
{
    u8 bytes[CHUNK];
    ssize_t n = recv(a->socket, bytes, sizeof(bytes), MSG_DONTWAIT);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : 1;
    return n == 0 ? 1 : print_all(bytes, (size_t)n);
}

static void send_typed(struct attach *a)
{
    ssize_t n = send(a->socket, a->typed, a->typed_len, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n <= 0)
        return; /* if the socket is dead, reading says so */
    a->typed_len -= (size_t)n;
    memmove(a->typed, a->typed + n, a->typed_len);
}

/* 0: left; 1: the VM closed it. */
static int converse(struct attach *a)
{
    bool input = true;
    int r = 0;

    while (!a->leave && !r) {
        /* Input waits while the socket is full: some 200 KiB that the guest has not taken. */
        struct pollfd p[2] = {
            {.fd = input && !a->typed_len ? STDIN_FILENO : -1, .events = POLLIN},
            {.fd = a->socket, .events = (short)(POLLIN | (a->typed_len ? POLLOUT : 0))},
        };

        if (poll(p, 2, -1) < 0)
            continue;
        if (p[0].revents)
            input = take_input(a);
        if (a->typed_len && p[1].revents & POLLOUT)
            send_typed(a);
        if (p[1].revents & (POLLIN | POLLHUP | POLLERR))
            r = show_output(a);
    }
    return r;
}

int console_attach_to(const struct record *r, struct err *err)
{
    struct attach a = {.record = r, .tty = isatty(STDIN_FILENO)};
    AUTO_FD int fd = record_connect(r, ".console", err);
    int code;

    if (fd < 0)
        return fd;
    a.socket = fd;
    if (a.tty)
        tell(&a, "cosm: Ctrl-A d leaves this console, Ctrl-A h lists all keys.");
    code = a.tty ? tty_make_raw(STDIN_FILENO, err) : 0;
    if (code)
        return code;
    code = converse(&a);
    tty_restore();
    if (a.tty)
        fprintf(stderr,
                code == 1 ? "\ncosm: the console of '%s' is closed\n"
                          : "\ncosm: left '%s', which goes on\n",
                r->name);
    return code < 0 ? err_set(err, -code, "cannot write to standard output: %s", strerror(-code))
                    : 0;
}
