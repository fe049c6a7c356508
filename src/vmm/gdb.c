/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gdb stub's sockets: one listens, at most one is a debugger's; others are told so and closed.
 * Input is read only as fast as the session takes it and its output is taken by the debugger, so
 * memory is bounded whatever a client sends.
 */
#include "vmm/gdb.h"

#include "base/fmt.h"
#include "vmm/gdb_session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define INPUT_MAX 4096

struct stop {
    u32 epoch; /* of the session when the harts stopped */
    u32 hart;
    enum gdb_reason reason;
    gva_t address;
};

struct gdb {
    struct loop *loop;
    const struct log *log;
    struct log_limit refused_limit;
    struct gdb_session *session;
    int listen_fd;
    struct loop_fd *listen_handler;
    u16 port;
    int client_fd; /* -1: no debugger */
    struct loop_fd *client_handler;
    size_t input_len;
    u8 input[INPUT_MAX];
    pthread_mutex_t lock; /* of what follows */
    bool posted;          /* stop waits to be delivered */
    bool dead;            /* destroyed; whoever delivers frees */
    struct stop stop;
};

static void gdb_free(struct gdb *gdb)
{
    pthread_mutex_destroy(&gdb->lock);
    free(gdb);
}

static void client_close(struct gdb *gdb)
{
    if (gdb->client_fd < 0)
        return;
    loop_fd_remove(gdb->client_handler);
    close(gdb->client_fd);
    gdb->client_fd = -1;
    gdb_session_close(gdb->session);
    log_print(gdb->log, LOG_INFO, "gdb", "the debugger disconnected");
}

/* Sends what it can. False: the connection is lost. */
static bool client_send(struct gdb *gdb)
{
    for (;;) {
        size_t len;
        const u8 *bytes = gdb_session_output(gdb->session, &len);
        ssize_t n;

        if (!len)
            return true;
        n = send(gdb->client_fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK;
        gdb_session_sent(gdb->session, (size_t)n);
    }
}

/* Hands input to the session. True: it took some. */
static bool client_feed(struct gdb *gdb)
{
    size_t n = gdb_session_receive(gdb->session, gdb->input, gdb->input_len);

    gdb->input_len -= n;
    memmove(gdb->input, gdb->input + n, gdb->input_len);
    return n > 0;
}

/* Moves bytes both ways until neither side can go on, then waits for what it lacks. */
static void client_pump(struct gdb *gdb)
{
    size_t pending;

    do {
        if (!client_send(gdb)) {
            client_close(gdb);
            return;
        }
    } while (client_feed(gdb));
    gdb_session_output(gdb->session, &pending);
    if (gdb_session_is_over(gdb->session) && !pending) {
        client_close(gdb);
        return;
    }
    loop_fd_watch(gdb->client_handler,
                  (gdb->input_len < INPUT_MAX ? LOOP_READ : 0u) | (pending ? LOOP_WRITE : 0u));
}

/* False: the debugger closed the connection, or it broke. */
static bool client_read(struct gdb *gdb)
{
    ssize_t n;

    if (gdb->input_len == INPUT_MAX)
        return true;
    n = recv(gdb->client_fd, gdb->input + gdb->input_len, INPUT_MAX - gdb->input_len, MSG_DONTWAIT);
    if (n > 0)
        gdb->input_len += (size_t)n;
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR));
}

static void client_ready(void *ctx, u32 ready)
{
    struct gdb *gdb = ctx;
    bool lost = ready & LOOP_HANGUP;

    if (ready & (LOOP_READ | LOOP_HANGUP))
        lost |= !client_read(gdb);
    client_pump(gdb); /* also what a client said last before it left */
    if (lost)
        client_close(gdb);
}

static void client_refuse(struct gdb *gdb, int fd)
{
    static const char text[] = "+$E.another debugger is connected#98";

    log_guest(gdb->log, &gdb->refused_limit, "gdb", "a second debugger was refused");
    if (send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        log_print(gdb->log, LOG_DEBUG, "gdb", "it had left already");
    close(fd);
}

static void listen_ready(void *ctx, u32 ready)
{
    struct gdb *gdb = ctx;
    int fd = accept4(gdb->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), on = 1;
    struct err err;

    if (fd < 0)
        return; /* it left before it was let in, or there are no descriptors: later, perhaps */
    if (gdb->client_fd >= 0) {
        client_refuse(gdb, fd);
        return;
    }
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
        log_print(gdb->log, LOG_DEBUG, "gdb", "TCP_NODELAY: %s", strerror(errno));
    if (loop_fd_add(gdb->loop, fd, LOOP_READ, client_ready, gdb, &gdb->client_handler, &err) < 0) {
        log_print(gdb->log, LOG_ERROR, "gdb", "%s", err.msg);
        close(fd);
        return;
    }
    gdb->client_fd = fd;
    gdb->input_len = 0;
    log_print(gdb->log, LOG_INFO, "gdb", "a debugger connected");
    gdb_session_open(gdb->session);
}

static void stop_deliver(void *ctx)
{
    struct gdb *gdb = ctx;
    struct stop stop;
    bool dead;

    pthread_mutex_lock(&gdb->lock);
    stop = gdb->stop;
    dead = gdb->dead;
    gdb->posted = false;
    pthread_mutex_unlock(&gdb->lock);
    if (dead) {
        gdb_free(gdb);
        return;
    }
    if (stop.epoch != gdb_session_epoch(gdb->session))
        return; /* the harts run again: late news of a stop that was reported otherwise */
    gdb_session_stopped(gdb->session, stop.hart, stop.reason, stop.address);
    if (gdb->client_fd >= 0)
        client_pump(gdb);
}

void gdb_stopped(struct gdb *gdb, u32 hart, enum gdb_reason reason, gva_t address)
{
    struct stop stop = {gdb_session_epoch(gdb->session), hart, reason, address};
    bool post;

    pthread_mutex_lock(&gdb->lock);
    post = !gdb->posted;
    /* A report that waits is about the same stop, unless the harts ran since. */
    if (post || gdb->stop.epoch != stop.epoch)
        gdb->stop = stop;
    gdb->posted = true;
    pthread_mutex_unlock(&gdb->lock);
    if (post)
        loop_post(gdb->loop, stop_deliver, gdb);
}

void gdb_exited(struct gdb *gdb, u8 status)
{
    gdb_session_exited(gdb->session, status);
    if (gdb->client_fd >= 0)
        client_pump(gdb);
}

u16 gdb_port(const struct gdb *gdb)
{
    return gdb->port;
}

static int bind_and_listen(struct gdb *gdb, const struct addrinfo *where)
{
    struct sockaddr_storage bound;
    socklen_t len = sizeof(bound);
    int on = 1;

    gdb->listen_fd = socket(where->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (gdb->listen_fd < 0 ||
        setsockopt(gdb->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(gdb->listen_fd, where->ai_addr, where->ai_addrlen) < 0 ||
        listen(gdb->listen_fd, 2) < 0 ||
        getsockname(gdb->listen_fd, (struct sockaddr *)&bound, &len) < 0)
        return -errno;
    gdb->port = ntohs(bound.ss_family == AF_INET6
                          ? ((const struct sockaddr_in6 *)(const void *)&bound)->sin6_port
                          : ((const struct sockaddr_in *)(const void *)&bound)->sin_port);
    return 0;
}

static int server_open(struct gdb *gdb, const char *host, u16 port, struct err *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *where;
    char service[8];
    int status;

    fmt_print(service, sizeof(service), "%u", port);
    if (getaddrinfo(host, service, &hints, &where) != 0)
        return err_set(err, EINVAL, "--gdb: '%s' is not a numeric address; give one like 127.0.0.1",
                       host);
    status = bind_and_listen(gdb, where);
    freeaddrinfo(where);
    if (status < 0)
        return err_set(err, -status, "--gdb: cannot listen on %s port %u: %s; give another port",
                       host, port, strerror(-status));
    return loop_fd_add(gdb->loop, gdb->listen_fd, LOOP_READ, listen_ready, gdb,
                       &gdb->listen_handler, err);
}

int gdb_create(struct gdb **out, struct loop *loop, const struct gdb_target *target,
               const char *host, u16 port, const struct log *log, struct err *err)
{
    struct gdb *gdb = calloc(1, sizeof(*gdb));
    int status;

    if (!gdb)
        return err_set(err, ENOMEM, "no memory for the gdb stub");
    gdb->loop = loop;
    gdb->log = log;
    gdb->listen_fd = gdb->client_fd = -1;
    pthread_mutex_init(&gdb->lock, NULL);
    gdb->session = gdb_session_create(target);
    status = gdb->session ? server_open(gdb, host, port, err)
                          : err_set(err, ENOMEM, "no memory for the gdb stub");
    if (status < 0) {
        gdb_destroy(gdb);
        return status;
    }
    *out = gdb;
    return 0;
}

void gdb_destroy(struct gdb *gdb)
{
    bool posted;

    if (!gdb)
        return;
    if (gdb->session)
        gdb_session_exited(gdb->session, 0); /* the harts are not ours any more */
    client_close(gdb);
    loop_fd_remove(gdb->listen_handler);
    if (gdb->listen_fd >= 0)
        close(gdb->listen_fd);
    gdb_session_destroy(gdb->session);
    pthread_mutex_lock(&gdb->lock);
    gdb->dead = true;
    posted = gdb->posted;
    pthread_mutex_unlock(&gdb->lock);
    if (!posted)
        gdb_free(gdb);
}
