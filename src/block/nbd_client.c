/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exports of NBD servers as nodes.
 *
 * Theory of operation. Callers send their requests one after the other on one connection. Of those
 * that wait for an answer one reads, for all: each answer goes to the call that its cookie names,
 * data straight to the call's memory. When its own has come, another takes over. Only the reader
 * declares a connection lost: whoever fails to send shuts it down, so that the reader hears of it.
 * All calls then start over on the next connection, which the first of them makes.
 *
 * A server that dies takes with it what it answered and had not written yet. Nobody can tell
 * whether it did, so after a loss with such writes no flush succeeds any more.
 */
#include "block/nbd_client.h"

#include "base/assert.h"
#include "base/checked.h"
#include "base/endian.h"
#include "block/nbd_handshake.h"
#include "host/clock.h"
#include "host/scope.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define RETRY_MS   200
#define LONGEST    (1 * GIB) /* of a request without data */
#define LOST       1         /* a call's status */
#define CHUNK_MAX  (NBD_LENGTH_MAX + 4096)
#define ZEROES_LEN 65536

struct call {
    enum nbd_command command;
    u64 cookie, at;
    u32 len;
    u16 flags;
    const struct vec *v; /* of READ and WRITE */
    u32 got;             /* bytes of a READ that came */
    u32 extent, state;   /* what BLOCK_STATUS tells first */
    bool done;
    int status; /* 0, -errno or LOST */
    struct call *next;
};

struct nbd {
    struct node node;
    struct nbd_uri uri;
    struct nbd_options options;
    struct nbd_agreed agreed; /* the same in each connection */
    bool known;
    struct attendant *attendant; /* which connects; NULL: we do */
    u32 maker;
    pthread_mutex_t sending; /* before lock */
    pthread_mutex_t lock;    /* of what follows */
    pthread_cond_t changed;
    int fd; /* -1: not connected */
    u64 generation;
    u64 cookie;
    bool reading, connecting;
    u64 changes, flushed; /* changes that were answered; of these, those before the last flush */
    bool flush_failed;    /* for good */
    struct call *calls;
};

static struct nbd *nbd_of(struct node *node)
{
    return CONTAINER_OF(node, struct nbd, node);
}

/* Connections */

static bool is_same(const struct nbd_agreed *a, const struct nbd_agreed *b)
{
    return a->size == b->size && a->flags == b->flags && a->structured == b->structured &&
           a->context == b->context && a->context_id == b->context_id &&
           a->request_max == b->request_max;
}

static int connect_once(struct nbd *n, int *out, struct err *err)
{
    struct nbd_agreed agreed;
    u32 value;
    AUTO_FD int fd = n->attendant ? attendant_make(n->attendant, n->maker, &value, err)
                                  : nbd_connect(&n->uri, n->node.name, err);
    int ret = fd < 0 ? fd : nbd_handshake(fd, n->uri.export, n->node.name, &agreed, err);

    if (ret)
        return ret;
    if (n->known && !is_same(&agreed, &n->agreed))
        return err_set(err, ESTALE, "'%.200s' is another disk than before", n->node.name);
    if (!n->known)
        n->agreed = agreed;
    n->known = true;
    *out = steal_fd(&fd);
    return 0;
}

static int connect_patiently(struct nbd *n, int *fd)
{
    const struct timespec wait = {.tv_nsec = RETRY_MS * 1000000};
    u64 until = host_monotonic_ns() + n->options.reconnect_s * UINT64_C(1000000000);

    for (;;) {
        int ret = connect_once(n, fd, NULL);

        if (!ret)
            return 0;
        if (ret == -ESTALE || host_monotonic_ns() >= until)
            return -EIO;
        nanosleep(&wait, NULL);
    }
}

/* Sees to it that there is a connection. The lock is held, but not all the time. */
static int connected_locked(struct nbd *n)
{
    int fd = -1, ret;

    while (n->fd < 0 && n->connecting) {
        u64 seen = n->generation;

        pthread_cond_wait(&n->changed, &n->lock);
        if (n->fd < 0 && !n->connecting && n->generation == seen)
            return -EIO; /* whoever tried has given up */
    }
    if (n->fd >= 0)
        return 0;
    n->connecting = true;
    pthread_mutex_unlock(&n->lock);
    ret = connect_patiently(n, &fd);
    pthread_mutex_lock(&n->lock);
    n->connecting = false;
    n->fd = fd;
    n->generation += !ret;
    pthread_cond_broadcast(&n->changed);
    return ret;
}

/* The reader's: all calls start over. */
static void connection_lost(struct nbd *n)
{
    shutdown(n->fd, SHUT_RDWR); /* who sends gives up */
    pthread_mutex_lock(&n->sending);
    pthread_mutex_lock(&n->lock);
    close(n->fd);
    n->fd = -1;
    n->flush_failed = n->flush_failed || n->changes != n->flushed;
    for (struct call *c = n->calls; c; c = c->next) {
        c->status = LOST;
        c->done = true;
    }
    n->calls = NULL;
    pthread_mutex_unlock(&n->lock);
    pthread_mutex_unlock(&n->sending);
}

/* Answers */

static int receive_into(struct nbd *n, const struct vec *v, u32 at, u32 len)
{
    struct vec part;
    int ret = 0;

    vec_init(&part);
    vec_add_part(&part, v, at, len);
    for (u32 i = 0; i < part.count && !ret; i++)
        ret = nbd_receive(n->fd, part.io[i].iov_base, part.io[i].iov_len);
    return ret;
}

static int skip(struct nbd *n, u32 len)
{
    u8 bytes[4096];
    int ret = 0;

    while (len && !ret) {
        u32 part = len < sizeof(bytes) ? len : (u32)sizeof(bytes);

        ret = nbd_receive(n->fd, bytes, part);
        len -= part;
    }
    return ret;
}

/* A waiting call, which stays while its owner waits. */
static struct call *call_find(struct nbd *n, u64 cookie)
{
    struct call *c;

    pthread_mutex_lock(&n->lock);
    for (c = n->calls; c && c->cookie != cookie; c = c->next)
        ;
    pthread_mutex_unlock(&n->lock);
    return c;
}

static void call_finish(struct nbd *n, struct call *call)
{
    struct call **at = &n->calls;

    pthread_mutex_lock(&n->lock);
    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
    call->done = true;
    if (!call->status && (call->command == NBD_CMD_WRITE || call->command == NBD_CMD_TRIM ||
                          call->command == NBD_CMD_WRITE_ZEROES))
        n->changes++;
    pthread_mutex_unlock(&n->lock);
}

static int take_simple(struct nbd *n)
{
    u8 rest[NBD_SIMPLE_SIZE - 4];
    int ret = nbd_receive(n->fd, rest, sizeof(rest));
    struct call *c = ret ? NULL : call_find(n, be64_load(rest + 4));

    if (ret)
        return ret;
    if (!c || (n->agreed.structured && c->command == NBD_CMD_READ))
        return -EPROTO;
    if (be32_load(rest))
        c->status = -nbd_errno(be32_load(rest));
    else if (c->command == NBD_CMD_READ)
        ret = receive_into(n, c->v, 0, c->len);
    if (!ret)
        call_finish(n, c);
    return ret;
}

/* The data of a READ, or that there is none. */
static int take_data(struct nbd *n, struct call *c, bool hole, u32 len)
{
    u8 head[12];
    u32 head_len = hole ? 12 : 8;
    struct vec part;
    int ret =
        len < head_len || (hole && len != head_len) || c->command != NBD_CMD_READ ? -EPROTO : 0;
    u64 at;

    if (!ret)
        ret = nbd_receive(n->fd, head, head_len);
    if (ret)
        return ret;
    at = be64_load(head);
    len = hole ? be32_load(head + 8) : len - head_len;
    if (!len || !range_within(at, len, c->at, c->len) || c->got > c->len - len)
        return -EPROTO;
    c->got += len;
    if (!hole)
        return receive_into(n, c->v, (u32)(at - c->at), len);
    vec_init(&part);
    vec_add_part(&part, c->v, at - c->at, len);
    vec_zero(&part);
    return 0;
}

static int take_status(struct nbd *n, struct call *c, u32 len)
{
    u8 head[12];
    int ret;

    if (c->command != NBD_CMD_BLOCK_STATUS || len < sizeof(head))
        return -EPROTO;
    ret = nbd_receive(n->fd, head, sizeof(head));
    if (!ret && be32_load(head) == n->agreed.context_id) {
        c->extent = be32_load(head + 4);
        c->state = be32_load(head + 8);
    }
    return ret ? ret : skip(n, len - (u32)sizeof(head));
}

static int take_error(struct nbd *n, struct call *c, u32 len)
{
    u8 head[4];
    int ret = len < sizeof(head) ? -EPROTO : nbd_receive(n->fd, head, sizeof(head));

    if (ret)
        return ret;
    c->status = -nbd_errno(be32_load(head));
    return skip(n, len - (u32)sizeof(head));
}

static int take_chunk(struct nbd *n)
{
    u8 rest[NBD_STRUCTURED_SIZE - 4];
    int ret = nbd_receive(n->fd, rest, sizeof(rest));
    struct call *c = ret ? NULL : call_find(n, be64_load(rest + 4));
    u16 flags = ret ? 0 : be16_load(rest), type = ret ? 0 : be16_load(rest + 2);
    u32 len = ret ? 0 : be32_load(rest + 12);

    if (ret)
        return ret;
    if (!c || !n->agreed.structured || len > CHUNK_MAX)
        return -EPROTO;
    if (type & 1 << 15)
        ret = take_error(n, c, len);
    else if (type == NBD_CHUNK_DATA || type == NBD_CHUNK_HOLE)
        ret = take_data(n, c, type == NBD_CHUNK_HOLE, len);
    else if (type == NBD_CHUNK_BLOCK_STATUS)
        ret = take_status(n, c, len);
    else
        ret = type == NBD_CHUNK_NONE && !len ? 0 : -EPROTO;
    if (ret || !(flags & NBD_REPLY_DONE))
        return ret;
    if (c->command == NBD_CMD_READ && !c->status && c->got != c->len)
        return -EPROTO;
    call_finish(n, c);
    return 0;
}

/* One answer, or a piece of one. Only the reader comes here: fd is its own. */
static int read_one(struct nbd *n)
{
    u8 magic[4];
    int ret = nbd_receive(n->fd, magic, sizeof(magic));

    if (ret)
        return ret;
    if (be32_load(magic) == NBD_SIMPLE)
        return take_simple(n);
    return be32_load(magic) == NBD_STRUCTURED ? take_chunk(n) : -EPROTO;
}

/* Requests */

static void send_call(struct nbd *n, const struct call *c, u64 generation)
{
    u8 header[NBD_REQUEST_SIZE];
    bool writes = c->command == NBD_CMD_WRITE, current;
    int ret;

    be32_store(header, NBD_REQUEST);
    be16_store(header + 4, c->flags);
    be16_store(header + 6, c->command);
    be64_store(header + 8, c->cookie);
    be64_store(header + 16, c->at);
    be32_store(header + 24, c->len);
    pthread_mutex_lock(&n->sending);
    pthread_mutex_lock(&n->lock);
    current = n->generation == generation && n->fd >= 0;
    pthread_mutex_unlock(&n->lock);
    ret = current ? nbd_send(n->fd, header, sizeof(header), writes) : 0;
    for (u32 i = 0; current && writes && i < c->v->count && !ret; i++)
        ret = nbd_send(n->fd, c->v->io[i].iov_base, c->v->io[i].iov_len, i + 1 < c->v->count);
    if (ret)
        shutdown(n->fd, SHUT_RDWR);
    pthread_mutex_unlock(&n->sending);
}

/* Reads for all until the call is done; the lock is held, but not while reading. */
static void await_locked(struct nbd *n, const struct call *c)
{
    while (!c->done) {
        int ret;

        if (n->reading) {
            pthread_cond_wait(&n->changed, &n->lock);
            continue;
        }
        n->reading = true;
        pthread_mutex_unlock(&n->lock);
        ret = read_one(n);
        if (ret)
            connection_lost(n);
        pthread_mutex_lock(&n->lock);
        n->reading = false;
        pthread_cond_broadcast(&n->changed);
    }
}

static int call_run(struct nbd *n, struct call *c)
{
    do {
        u64 generation;
        int ret;

        pthread_mutex_lock(&n->lock);
        ret = connected_locked(n);
        if (ret) {
            pthread_mutex_unlock(&n->lock);
            return ret;
        }
        generation = n->generation;
        c->cookie = n->cookie++;
        c->got = 0;
        c->status = 0;
        c->done = false;
        c->next = n->calls;
        n->calls = c;
        pthread_mutex_unlock(&n->lock);
        send_call(n, c, generation);
        pthread_mutex_lock(&n->lock);
        await_locked(n, c);
        pthread_mutex_unlock(&n->lock);
    } while (c->status == LOST);
    return c->status;
}

/* A request in pieces that the server takes. */
static int run_pieces(struct nbd *n, enum nbd_command command, u16 flags, u64 at, u64 len,
                      const struct vec *v)
{
    u64 most = v ? n->agreed.request_max : LONGEST;
    int ret = 0;

    for (u64 done = 0; done < len && !ret;) {
        u32 part = (u32)(len - done < most ? len - done : most);
        struct vec piece;
        struct call c = {.command = command, .flags = flags, .at = at + done, .len = part, .v = v};

        if (v && part < len) {
            vec_init(&piece);
            vec_add_part(&piece, v, done, part);
            c.v = &piece;
        }
        ret = call_run(n, &c);
        done += part;
    }
    return ret;
}

static int nbd_read_op(struct node *node, u64 at, const struct vec *v)
{
    return run_pieces(nbd_of(node), NBD_CMD_READ, 0, at, v->len, v);
}

static int nbd_write_op(struct node *node, u64 at, const struct vec *v)
{
    return run_pieces(nbd_of(node), NBD_CMD_WRITE, 0, at, v->len, v);
}

static int nbd_flush_op(struct node *node)
{
    struct nbd *n = nbd_of(node);
    struct call c = {.command = NBD_CMD_FLUSH};
    u64 changes;
    int ret;

    if (!(n->agreed.flags & NBD_SEND_FLUSH))
        return 0;
    pthread_mutex_lock(&n->lock);
    changes = n->changes;
    pthread_mutex_unlock(&n->lock);
    ret = call_run(n, &c);
    pthread_mutex_lock(&n->lock);
    if (n->flush_failed)
        ret = -EIO;
    if (!ret && n->flushed < changes)
        n->flushed = changes;
    pthread_mutex_unlock(&n->lock);
    return ret;
}

static int nbd_discard_op(struct node *node, u64 at, u64 len)
{
    struct nbd *n = nbd_of(node);

    return n->agreed.flags & NBD_SEND_TRIM ? run_pieces(n, NBD_CMD_TRIM, 0, at, len, NULL) : 0;
}

static int nbd_zeroes_op(struct node *node, u64 at, u64 len, bool unmap)
{
    static const u8 zeroes[ZEROES_LEN];
    struct nbd *n = nbd_of(node);
    int ret = 0;

    if (n->agreed.flags & NBD_SEND_WRITE_ZEROES)
        return run_pieces(n, NBD_CMD_WRITE_ZEROES, unmap ? 0 : NBD_NO_HOLE, at, len, NULL);
    while (len && !ret) {
        u64 part = len < sizeof(zeroes) ? len : sizeof(zeroes);

        ret = node_write_bytes(node, at, zeroes, part);
        at += part;
        len -= part;
    }
    return ret;
}

static int nbd_resize_op(struct node *node, u64 size, struct err *err)
{
    return err_set(err, ENOTSUP, "'%.200s' has the size that its server gives it", node->name);
}

static int nbd_state_op(struct node *node, u64 at, u64 max, u64 *len)
{
    struct nbd *n = nbd_of(node);
    struct call c = {.command = NBD_CMD_BLOCK_STATUS,
                     .flags = NBD_REQ_ONE,
                     .at = at,
                     .len = (u32)(max < LONGEST ? max : LONGEST)};
    int ret;

    *len = c.len;
    if (!n->agreed.context)
        return NODE_DATA;
    ret = call_run(n, &c);
    if (ret || !c.extent)
        return ret ? ret : NODE_DATA;
    *len = c.extent < c.len ? c.extent : c.len;
    return c.state & NBD_STATE_ZERO ? NODE_ZERO : NODE_DATA;
}

static void nbd_free(struct nbd *n)
{
    if (n->fd >= 0)
        close(n->fd);
    pthread_mutex_destroy(&n->sending);
    pthread_mutex_destroy(&n->lock);
    pthread_cond_destroy(&n->changed);
    free(n->node.name);
    free(n);
}

static void nbd_close_op(struct node *node)
{
    struct nbd *n = nbd_of(node);
    u8 request[NBD_REQUEST_SIZE] = {0};

    if (n->fd >= 0 && !node->readonly)
        (void)!nbd_flush_op(node); /* nobody is left to hear of a failure */
    be32_store(request, NBD_REQUEST);
    be16_store(request + 6, NBD_CMD_DISC);
    if (n->fd >= 0)
        (void)!nbd_send(n->fd, request, sizeof(request), false);
    nbd_free(n);
}

static const struct node_ops nbd_ops = {
    .name = "nbd",
    .read = nbd_read_op,
    .write = nbd_write_op,
    .flush = nbd_flush_op,
    .discard = nbd_discard_op,
    .write_zeroes = nbd_zeroes_op,
    .resize = nbd_resize_op,
    .state = nbd_state_op,
    .close = nbd_close_op,
};

static int nbd_start(struct nbd *n, struct err *err)
{
    int ret = connect_once(n, &n->fd, err);

    if (ret)
        return ret;
    n->node.size = n->agreed.size;
    if (!n->options.readonly && n->agreed.flags & NBD_READ_ONLY)
        return err_set(err, EROFS, "'%.200s' can only be read; attach it with readonly=on",
                       n->node.name);
    return 0;
}

int nbd_open(struct node **node, const char *uri, const struct nbd_options *options,
             struct err *err)
{
    struct nbd *n = calloc(1, sizeof(*n));
    int ret;

    if (n)
        n->node.name = strdup(uri);
    if (!n || !n->node.name) {
        free(n);
        return err_set(err, ENOMEM, "'%.200s': out of memory", uri);
    }
    n->fd = -1;
    n->options = *options;
    n->node.ops = &nbd_ops;
    n->node.readonly = options->readonly;
    pthread_mutex_init(&n->sending, NULL);
    pthread_mutex_init(&n->lock, NULL);
    pthread_cond_init(&n->changed, NULL);
    ret = nbd_uri_parse(uri, &n->uri, err);
    if (!ret)
        ret = nbd_start(n, err);
    if (ret) {
        nbd_free(n);
        return ret;
    }
    *node = &n->node;
    return 0;
}

bool nbd_is(const struct node *node)
{
    return node->ops == &nbd_ops;
}

static int connect_for(void *ctx, u32 *value, struct err *err)
{
    const struct nbd *n = ctx;

    *value = 0;
    return nbd_connect(&n->uri, n->node.name, err);
}

int nbd_attend(struct node *node, struct attendant *attendant, struct err *err)
{
    struct nbd *n = nbd_of(node);
    int maker = attendant_add_maker(attendant, connect_for, n, -1, err);

    if (maker < 0)
        return maker;
    n->maker = (u32)maker;
    n->attendant = attendant;
    return 0;
}
