/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's end of a VM's virtio sockets: local sockets, one a stream.
 *
 * Theory of operation: a channel joins a local connection and a stream. Between them lie two
 * buffers: from the guest as much as it may send ahead (VSOCK_BUFFER), made when the connection is
 * slow for the first time; to the guest one read. While a buffer is full its source is left alone,
 * so neither side can make the other hold more than that. A channel without a connection lingers
 * until the guest has closed its end, too.
 */
#include "share/vsock_host.h"

#include "base/fmt.h"
#include "host/listener.h"
#include "host/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHANNELS_MAX  (VSOCK_STREAMS_MAX + 64) /* some have not said yet where to */
#define HELLO_MAX     32
#define READ_MAX      (64 * KIB)
#define LISTENERS_MAX 2

enum state { NONE, HELLO, CONNECTING, OPEN, LINGERING };

struct channel {
    struct vsock_host *host;
    enum state state;
    int fd;
    struct loop_fd *handler;
    u32 stream; /* from CONNECTING on */
    u32 host_port;
    u32 hello_len;
    char hello[HELLO_MAX];
    u32 guest_end;     /* what the guest does no more */
    bool client_ended; /* it sends no more */
    bool deaf;         /* it does not read: what comes for it is thrown away */
    u8 *in, *out;      /* from the guest, VSOCK_BUFFER; to it, READ_MAX; NULL until needed */
    size_t in_at, in_len, out_at, out_len;
};

struct vsock_host {
    struct vsock port;
    struct vsock_device device;
    struct loop *loop;
    struct listener *listener[LISTENERS_MAX];
    int dir[LISTENERS_MAX];
    char name[LISTENERS_MAX][VSOCK_HOST_NAME_MAX];
    u32 listener_count;
    struct attendant *attendant; /* NULL: we connect */
    atomic_bool posted;
    bool closed;
    struct channel channel[CHANNELS_MAX];
    struct channel *of_stream[VSOCK_STREAMS_MAX];
};

static void channel_serve(void *ctx, u32 ready);

static void fd_close(struct channel *c)
{
    loop_fd_remove(c->handler);
    c->handler = NULL;
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

static bool has_stream(const struct channel *c)
{
    return c->state >= CONNECTING;
}

static void channel_close(struct channel *c)
{
    struct vsock_host *h = c->host;

    fd_close(c);
    if (has_stream(c)) {
        h->of_stream[c->stream] = NULL;
        if (!h->closed)
            h->device.close(h->device.ctx, c->stream);
    }
    free(c->in);
    free(c->out);
    *c = (struct channel){.host = h, .fd = -1};
}

static struct channel *channel_new(struct vsock_host *h, int fd, enum state state)
{
    for (u32 i = 0; i < CHANNELS_MAX; i++) {
        struct channel *c = &h->channel[i];
        struct err err;

        if (c->state != NONE)
            continue;
        if (loop_fd_add(h->loop, fd, state == HELLO ? LOOP_READ : LOOP_HANGUP, channel_serve, c,
                        &c->handler, &err))
            return NULL;
        c->fd = fd;
        c->state = state;
        return c;
    }
    return NULL;
}

/* What the connection is to be watched for. */
static void channel_watch(struct channel *c)
{
    u32 events = 0;

    if (c->state == HELLO)
        events = LOOP_READ;
    else if (c->state == CONNECTING)
        events = LOOP_HANGUP;
    else if (c->client_ended || c->guest_end & VSOCK_NO_RECEIVE)
        events = LOOP_HANGUP;
    else if (!c->out_len)
        events = LOOP_READ;
    if (c->in_len)
        events |= LOOP_WRITE;
    loop_fd_watch(c->handler, events);
}

static void go_deaf(struct channel *c)
{
    struct vsock_host *h = c->host;

    c->deaf = true;
    if (c->in_len)
        h->device.taken(h->device.ctx, c->stream, c->in_len);
    c->in_len = 0;
}

/* The client is gone: the guest is told, and closes its end. */
static void channel_linger(struct channel *c)
{
    struct vsock_host *h = c->host;

    if (c->state != OPEN || c->guest_end == VSOCK_CLOSED) {
        channel_close(c);
        return;
    }
    fd_close(c);
    c->state = LINGERING;
    go_deaf(c);
    h->device.shutdown(h->device.ctx, c->stream, VSOCK_CLOSED);
}

/* Ends what both sides have ended. False: the channel is no more. */
static bool channel_settle(struct channel *c)
{
    if (c->state != OPEN || c->in_len)
        return true;
    if (c->guest_end == VSOCK_CLOSED ||
        (c->guest_end & VSOCK_NO_SEND && c->client_ended && !c->out_len)) {
        channel_close(c);
        return false;
    }
    if (c->guest_end & VSOCK_NO_SEND)
        shutdown(c->fd, SHUT_WR);
    return true;
}

static void send_out(struct channel *c)
{
    struct vsock_host *h = c->host;
    size_t n = h->device.send(h->device.ctx, c->stream, c->out + c->out_at, c->out_len);

    c->out_at += n;
    c->out_len -= n;
    if (!c->out_len && c->client_ended)
        h->device.shutdown(h->device.ctx, c->stream, VSOCK_NO_SEND);
}

/* The client has bytes for the guest. */
static void client_read(struct channel *c)
{
    struct vsock_host *h = c->host;
    ssize_t n;

    if (!c->out)
        c->out = malloc(READ_MAX);
    if (!c->out) {
        channel_close(c);
        return;
    }
    n = recv(c->fd, c->out, READ_MAX, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        c->client_ended = true;
        h->device.shutdown(h->device.ctx, c->stream, VSOCK_NO_SEND);
        return;
    }
    c->out_at = 0;
    c->out_len = (size_t)n;
    send_out(c);
}

/* The client has room for what the guest sent. */
static void client_write(struct channel *c)
{
    struct vsock_host *h = c->host;
    size_t done = 0;

    while (c->in_len) {
        size_t piece = VSOCK_BUFFER - c->in_at < c->in_len ? VSOCK_BUFFER - c->in_at : c->in_len;
        ssize_t n = send(c->fd, c->in + c->in_at, piece, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (n < 0) {
            go_deaf(c);
            break;
        }
        c->in_at = (c->in_at + (size_t)n) % VSOCK_BUFFER;
        c->in_len -= (size_t)n;
        done += (size_t)n;
    }
    if (done)
        h->device.taken(h->device.ctx, c->stream, done);
}

/* The port of "CONNECT PORT\n". */
static bool hello_port(const struct channel *c, u32 *port)
{
    static const char word[] = "CONNECT ";
    const size_t len = sizeof(word) - 1;
    u64 n = 0;

    if (c->hello_len <= len + 1 || memcmp(c->hello, word, len))
        return false;
    for (u32 i = (u32)len; i < c->hello_len - 1; i++) {
        if (c->hello[i] < '0' || c->hello[i] > '9')
            return false;
        n = n * 10 + (u64)(c->hello[i] - '0');
        if (n >= UINT32_MAX) /* all ones is "any" */
            return false;
    }
    *port = (u32)n;
    return true;
}

/* One that waits for nothing but the guest makes room for a new one. */
static bool evict(struct vsock_host *h)
{
    for (u32 i = 0; i < CHANNELS_MAX; i++) {
        if (h->channel[i].state == LINGERING) {
            channel_close(&h->channel[i]);
            return true;
        }
    }
    return false;
}

static bool channel_connect(struct channel *c, u32 port)
{
    struct vsock_host *h = c->host;
    s32 stream;

    do
        stream = h->device.connect(h->device.ctx, port, &c->host_port);
    while (stream < 0 && evict(h));
    if (stream < 0)
        return false;
    c->stream = (u32)stream;
    c->state = CONNECTING;
    h->of_stream[stream] = c;
    return true;
}

/* Byte by byte, so that what follows the line stays for the guest. */
static void hello_read(struct channel *c)
{
    u32 port;

    while (c->hello_len < HELLO_MAX) {
        ssize_t n = recv(c->fd, c->hello + c->hello_len, 1, MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0)
            break;
        if (c->hello[c->hello_len++] != '\n')
            continue;
        if (!hello_port(c, &port) || !channel_connect(c, port))
            break;
        return;
    }
    channel_close(c);
}

/* Nothing will go from the client to the guest any more. */
static bool is_finished(const struct channel *c)
{
    return c->client_ended || c->guest_end & VSOCK_NO_RECEIVE;
}

static void channel_serve(void *ctx, u32 ready)
{
    struct channel *c = ctx;

    if (c->state == HELLO) {
        hello_read(c);
    } else if (c->state == CONNECTING) {
        channel_close(c); /* a hangup */
    } else {
        if (ready & LOOP_WRITE)
            client_write(c);
        if (ready & (LOOP_READ | LOOP_HANGUP) && !c->out_len && !is_finished(c))
            client_read(c);
        if (c->state == OPEN && ready & LOOP_HANGUP && is_finished(c))
            channel_linger(c);
    }
    if (c->fd >= 0 && channel_settle(c))
        channel_watch(c);
}

/* To whoever listens on the host's port; or -1. */
static int connect_to(struct vsock_host *h, u32 host_port)
{
    int fd = -1;

    if (h->attendant)
        return attendant_dial(h->attendant, host_port);
    for (u32 i = 0; i < h->listener_count && fd < 0; i++) {
        char name[VSOCK_HOST_NAME_MAX + 16];

        fmt_print(name, sizeof(name), "%s_%u", h->name[i], host_port);
        fd = listener_connect(h->dir[i], name, false);
    }
    return fd;
}

static bool incoming(void *ctx, u32 stream, u32 host_port)
{
    struct vsock_host *h = ctx;
    int fd = connect_to(h, host_port);
    struct channel *c;

    if (fd < 0)
        return false;
    c = channel_new(h, fd, CONNECTING);
    if (!c) {
        close(fd);
        return false;
    }
    c->stream = stream;
    c->state = OPEN;
    h->of_stream[stream] = c;
    channel_watch(c);
    return true;
}

static void opened(void *ctx, u32 stream)
{
    struct vsock_host *h = ctx;
    struct channel *c = h->of_stream[stream];
    char text[32];
    size_t len = fmt_print(text, sizeof(text), "OK %u\n", c->host_port);

    c->state = OPEN;
    /* The first bytes that go to the client: there is room. */
    if (send(c->fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)len)
        channel_linger(c);
    else
        channel_watch(c);
}

static void received(void *ctx, u32 stream, const u8 *bytes, size_t len)
{
    struct vsock_host *h = ctx;
    struct channel *c = h->of_stream[stream];
    ssize_t sent = 0;

    if (c->deaf) {
        h->device.taken(h->device.ctx, stream, len);
        return;
    }
    if (!c->in_len)
        sent = send(c->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) {
        h->device.taken(h->device.ctx, stream, (size_t)sent);
        bytes += sent;
        len -= (size_t)sent;
    }
    if (len && !c->in)
        c->in = malloc(VSOCK_BUFFER);
    if ((len && !c->in) || c->in_len + len > VSOCK_BUFFER) { /* the latter cannot be: credit */
        channel_close(c);
        return;
    }
    while (len) {
        size_t at = (c->in_at + c->in_len) % VSOCK_BUFFER;
        size_t n = VSOCK_BUFFER - at < len ? VSOCK_BUFFER - at : len;

        memcpy(c->in + at, bytes, n);
        c->in_len += n;
        bytes += n;
        len -= n;
    }
    channel_watch(c);
}

static void ready(void *ctx, u32 stream)
{
    struct vsock_host *h = ctx;
    struct channel *c = h->of_stream[stream];

    if (c->state != OPEN || !c->out_len)
        return;
    send_out(c);
    if (channel_settle(c))
        channel_watch(c);
}

static void ended(void *ctx, u32 stream, u32 no_more)
{
    struct vsock_host *h = ctx;
    struct channel *c = h->of_stream[stream];

    c->guest_end |= no_more;
    if (c->state != OPEN && no_more == VSOCK_CLOSED) {
        channel_close(c);
        return;
    }
    if (c->guest_end & VSOCK_NO_RECEIVE)
        c->out_len = 0;
    if (c->state == OPEN && channel_settle(c))
        channel_watch(c);
}

static void on_work(void *ctx)
{
    struct vsock_host *h = ctx;

    if (h->closed)
        return;
    /* Acquire: pairs with kick; what was kicked for before is seen by work. */
    atomic_exchange_explicit(&h->posted, false, memory_order_acq_rel);
    if (h->device.work(h->device.ctx))
        h->port.kick(h);
}

static void kick(void *ctx)
{
    struct vsock_host *h = ctx;

    if (!atomic_exchange_explicit(&h->posted, true, memory_order_acq_rel))
        loop_post(h->loop, on_work, h);
}

static void attach(void *ctx, const struct vsock_device *device)
{
    ((struct vsock_host *)ctx)->device = *device;
}

static void on_accepted(void *ctx, int fd)
{
    if (!channel_new(ctx, fd, HELLO))
        close(fd);
}

int vsock_host_connect(struct vsock_host *h, u32 port)
{
    struct channel *c;
    int fd[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) < 0)
        return -errno;
    c = channel_new(h, fd[0], HELLO);
    if (!c) {
        close(fd[0]);
        close(fd[1]);
        return -EAGAIN;
    }
    if (channel_connect(c, port))
        channel_watch(c);
    else
        channel_close(c);
    return fd[1];
}

int vsock_host_create(struct vsock_host **out, struct loop *loop, struct err *err)
{
    struct vsock_host *h = calloc(1, sizeof(*h));

    if (!h)
        return err_set(err, ENOMEM, "no host memory for virtio sockets");
    h->loop = loop;
    h->port = (struct vsock){.attach = attach,
                             .kick = kick,
                             .incoming = incoming,
                             .opened = opened,
                             .received = received,
                             .ready = ready,
                             .ended = ended,
                             .ctx = h};
    for (u32 i = 0; i < CHANNELS_MAX; i++)
        h->channel[i] = (struct channel){.host = h, .fd = -1};
    *out = h;
    return 0;
}

int vsock_host_listen(struct vsock_host *h, int dir, const char *name, struct err *err)
{
    u32 n = h->listener_count;
    int r;

    if (n == LISTENERS_MAX || strlen(name) >= VSOCK_HOST_NAME_MAX)
        return err_set(err, ENAMETOOLONG, "'%s' is too long for a socket's name", name);
    h->dir[n] = fcntl(dir, F_DUPFD_CLOEXEC, 0);
    if (h->dir[n] < 0)
        return err_set(err, errno, "no descriptor for the socket '%s': %s", name, strerror(errno));
    r = listener_create(&h->listener[n], h->loop, h->dir[n], name, on_accepted, h, err);
    if (r) {
        close(h->dir[n]);
        return r;
    }
    fmt_print(h->name[n], sizeof(h->name[n]), "%s", name);
    h->listener_count++;
    return 0;
}

int vsock_host_attend(struct vsock_host *h, struct attendant *attendant, struct err *err)
{
    int r = 0;

    for (u32 i = 0; i < h->listener_count && !r; i++)
        r = attendant_add(attendant, h->dir[i], h->name[i], true, err);
    h->attendant = attendant;
    return r;
}

/* May the name be taken? What nobody answers on is left from before. */
static int check_free(int dir, const char *name, const char *path, struct err *err)
{
    struct stat st;
    int fd;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    if (!S_ISSOCK(st.st_mode))
        return err_set(err, EADDRINUSE, "'%s' is there and no socket; give another path", path);
    fd = listener_connect(dir, name, false);
    if (fd < 0 && fd != -EAGAIN)
        return 0;
    if (fd >= 0)
        close(fd);
    return err_set(err, EADDRINUSE, "'%s' is in use by another VM or program; give another path",
                   path);
}

int vsock_host_listen_path(struct vsock_host *h, const char *path, struct err *err)
{
    char copy[PATH_MAX], folder[PATH_MAX];
    AUTO_FD int dir = -1;
    const char *name;
    int r;

    if (fmt_print(copy, sizeof(copy), "%s", path) >= sizeof(copy))
        return err_set(err, ENAMETOOLONG, "the path of the socket is longer than %d", PATH_MAX - 1);
    fmt_print(folder, sizeof(folder), "%s", path);
    name = basename(copy);
    dir = open(dirname(folder), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_set(err, errno, "cannot make the socket '%s': %s", path, strerror(errno));
    r = check_free(dir, name, path, err);
    return r ? r : vsock_host_listen(h, dir, name, err);
}

const struct vsock *vsock_host_port(struct vsock_host *h)
{
    return &h->port;
}

void vsock_host_close(struct vsock_host *h)
{
    if (!h)
        return;
    h->closed = true;
    for (u32 i = 0; i < h->listener_count; i++) {
        listener_destroy(h->listener[i]);
        close(h->dir[i]);
    }
    h->listener_count = 0;
    for (u32 i = 0; i < CHANNELS_MAX; i++)
        channel_close(&h->channel[i]);
}

void vsock_host_destroy(struct vsock_host *h)
{
    free(h);
}
