/* SPDX-License-Identifier: BSD-2-Clause */
/* An NBD server: a thread for each client, so that one which hangs holds up no other. */
#include "block/nbd_server.h"

#include "block/nbd.h"
#include "host/thread.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct server;

struct client {
    struct server *server;
    struct thread thread;
    int fd;    /* -1: free */
    bool over; /* its thread can be joined */
};

struct server {
    const struct nbd_export *export;
    const struct log *log;
    pthread_mutex_t lock; /* of clients' fd and over */
    struct client client[NBD_CLIENTS_MAX];
};

static int stream_receive(void *ctx, void *bytes, size_t len)
{
    const struct client *c = ctx;

    return nbd_receive(c->fd, bytes, len);
}

static int stream_send(void *ctx, const void *bytes, size_t len, bool more)
{
    const struct client *c = ctx;

    return nbd_send(c->fd, bytes, len, more);
}

static void client_run(void *ctx)
{
    struct client *c = ctx;
    const struct nbd_stream stream = {stream_receive, stream_send, c};
    int ret = nbd_session_run(c->server->export, &stream);

    if (ret)
        log_print(c->server->log, LOG_INFO, "nbd", "a client was lost: %s", strerror(-ret));
    shutdown(c->fd, SHUT_RDWR);
    pthread_mutex_lock(&c->server->lock);
    c->over = true;
    pthread_mutex_unlock(&c->server->lock);
}

static void client_close(struct client *c)
{
    thread_join(&c->thread);
    close(c->fd);
    c->fd = -1;
}

/* A place for a client; those whose client has left are free. */
static struct client *client_place(struct server *s)
{
    struct client *place = NULL;

    for (u32 i = 0; i < NBD_CLIENTS_MAX; i++) {
        struct client *c = &s->client[i];
        bool over;

        pthread_mutex_lock(&s->lock);
        over = c->over;
        pthread_mutex_unlock(&s->lock);
        if (c->fd >= 0 && over)
            client_close(c);
        if (c->fd < 0)
            place = c;
    }
    return place;
}

static void client_accept(struct server *s, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC), on = 1;
    struct client *c = fd < 0 ? NULL : client_place(s);
    struct err err;

    if (!c) {
        if (fd >= 0)
            close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    c->fd = fd;
    c->over = false;
    if (thread_start(&c->thread, "nbd", client_run, c, &err)) {
        log_print(s->log, LOG_WARN, "nbd", "a client was turned away: %s", err.msg);
        close(fd);
        c->fd = -1;
    }
}

int nbd_server_run(const struct nbd_export *export, int listener, int stop, const struct log *log,
                   struct err *err)
{
    struct pollfd p[] = {{.fd = listener, .events = POLLIN}, {.fd = stop, .events = POLLIN}};
    struct server s = {.export = export, .log = log};
    int ret = 0;

    pthread_mutex_init(&s.lock, NULL);
    for (u32 i = 0; i < NBD_CLIENTS_MAX; i++)
        s.client[i] = (struct client){.server = &s, .fd = -1};
    while (!p[1].revents && !ret) {
        if (poll(p, 2, -1) < 0) {
            ret = errno == EINTR ? 0 : err_set(err, errno, "cannot wait: %s", strerror(errno));
            p[0].revents = p[1].revents = 0;
        }
        if (p[0].revents)
            client_accept(&s, listener);
    }
    for (u32 i = 0; i < NBD_CLIENTS_MAX; i++) {
        if (s.client[i].fd < 0)
            continue;
        shutdown(s.client[i].fd, SHUT_RDWR);
        client_close(&s.client[i]);
    }
    pthread_mutex_destroy(&s.lock);
    return ret;
}
