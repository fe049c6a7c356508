/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's end of virtio sockets: clients that say anything, in pieces, and guests that accept,
 * refuse, send, stall and close at any time. Every stream is closed once and nothing is left.
 */
#include "fuzz/fake_loop.h"
#include "share/vsock_host.h"

#define CLIENTS 4
#define STREAMS 6 /* that the guest has room for */

static struct vsock_host *host;
static const struct vsock *port;
static int client[CLIENTS];

enum { FREE, ASKED, OPEN };
static struct {
    u8 state;
    u32 ended;
    size_t credit; /* bytes that the guest may send yet */
} stream[STREAMS];

/* ---- the guest's side ---- */

static bool work(void *ctx)
{
    return false;
}

static s32 take_stream(u8 state)
{
    for (s32 i = 0; i < STREAMS; i++) {
        if (stream[i].state == FREE) {
            stream[i].state = state;
            stream[i].ended = 0;
            stream[i].credit = VSOCK_BUFFER;
            return i;
        }
    }
    return -1;
}

static s32 dev_connect(void *ctx, u32 guest_port, u32 *host_port)
{
    *host_port = 1024;
    return take_stream(ASKED);
}

static size_t dev_send(void *ctx, u32 i, const u8 *bytes, size_t len)
{
    static volatile u8 sum;

    ASSERT(i < STREAMS && stream[i].state == OPEN && len);
    for (size_t k = 0; k < len; k++)
        sum ^= bytes[k];
    return sum & 1 ? len : len / 2;
}

static void dev_taken(void *ctx, u32 i, size_t len)
{
    ASSERT(i < STREAMS && stream[i].state == OPEN && stream[i].credit + len <= VSOCK_BUFFER);
    stream[i].credit += len;
}

static void dev_shutdown(void *ctx, u32 i, u32 no_more)
{
    ASSERT(i < STREAMS && stream[i].state == OPEN && no_more && no_more <= VSOCK_CLOSED);
}

static void dev_close(void *ctx, u32 i)
{
    ASSERT(i < STREAMS && stream[i].state != FREE);
    stream[i].state = FREE;
}

static void guest_sends(u32 i, size_t len)
{
    static const u8 bytes[64 * KIB];

    if (len > stream[i].credit)
        len = stream[i].credit;
    if (!len || stream[i].ended & VSOCK_NO_SEND)
        return;
    stream[i].credit -= len;
    port->received(port->ctx, i, bytes, len);
}

static void guest_ends(u32 i, u32 what)
{
    if ((stream[i].ended & what) == what || !what)
        return;
    stream[i].ended |= what;
    port->ended(port->ctx, i, what);
}

static void guest(u8 op, u8 arg)
{
    u32 i = arg % STREAMS;

    if (op == 0 && stream[i].state == ASKED) {
        stream[i].state = OPEN;
        port->opened(port->ctx, i);
    } else if (op == 1 && stream[i].state != FREE) {
        guest_ends(i, stream[i].state == ASKED ? VSOCK_CLOSED : arg >> 6);
    } else if (op == 2 && stream[i].state == OPEN) {
        guest_sends(i, arg & 0x80 ? 64 * KIB : arg & 0x40 ? 1 : 1000);
    } else if (op == 3 && stream[i].state == OPEN) {
        port->ready(port->ctx, i);
    }
}

/* ---- the host's side ---- */

static int peer = -1; /* the other end of what the guest connected to */

int listener_connect(int dir, const char *name, bool blocks)
{
    int fd[2];

    ASSERT(!strncmp(name, "socket_", 7));
    if (peer >= 0 || name[7] % 2)
        return -ECONNREFUSED;
    ASSERT(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd));
    peer = fd[0];
    return fd[1];
}

int attendant_dial(struct attendant *a, u32 number)
{
    return -ECONNREFUSED;
}

int attendant_add(struct attendant *a, int dir, const char *name, bool dial, struct err *err)
{
    return 0;
}

static void guest_connects(u8 arg)
{
    s32 i = take_stream(OPEN);

    if (i >= 0 && !port->incoming(port->ctx, (u32)i, arg))
        stream[i].state = FREE;
}

static void read_all(int fd)
{
    char bytes[4096];

    while (recv(fd, bytes, sizeof(bytes), 0) > 0)
        ;
}

static void peer_acts(u8 arg)
{
    if (peer < 0)
        return;
    read_all(peer);
    (void)!send(peer, "hello", arg % 6, MSG_NOSIGNAL);
    if (arg & 0x80) {
        close(peer);
        peer = -1;
    }
}

static size_t client_acts(u8 op, u8 arg, const u8 *bytes, size_t len)
{
    int *fd = &client[arg % CLIENTS];
    size_t n = arg >> 2 & 31;

    if (*fd < 0)
        *fd = fake_loop_client();
    if (n > len)
        n = len;
    if (op == 0) {
        (void)!send(*fd, bytes, n, MSG_NOSIGNAL);
        return n;
    }
    if (op == 1)
        (void)!send(*fd, "CONNECT 22\n", 11, MSG_NOSIGNAL);
    else if (op == 2)
        read_all(*fd);
    else if (arg & 0x80)
        shutdown(*fd, arg & 0x40 ? SHUT_RD : SHUT_WR);
    else {
        close(*fd);
        *fd = -1;
    }
    return 0;
}

static void begin(void)
{
    static const struct vsock_device end = {work,         dev_connect, dev_send, dev_taken,
                                            dev_shutdown, dev_close,   NULL};
    struct err err;

    memset(stream, 0, sizeof(stream));
    for (u32 i = 0; i < CLIENTS; i++)
        client[i] = -1;
    ASSERT(!vsock_host_create(&host, NULL, &err));
    ASSERT(!vsock_host_listen(host, 0, "socket", &err));
    port = vsock_host_port(host);
    port->attach(port->ctx, &end);
}

static void finish(void)
{
    for (u32 i = 0; i < CLIENTS; i++) {
        if (client[i] >= 0)
            close(client[i]);
    }
    if (peer >= 0)
        close(peer);
    peer = -1;
    vsock_host_close(host);
    vsock_host_destroy(host);
    fake_loop_check();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    begin();
    while (size >= 2) {
        u8 op = data[0] & 15, arg = data[1];
        size_t used = 0;

        data += 2;
        size -= 2;
        if (op < 4)
            guest(op, arg);
        else if (op < 8)
            used = client_acts(op - 4, arg, data, size);
        else if (op == 8)
            guest_connects(arg);
        else if (op == 9)
            peer_acts(arg);
        else if (op == 10)
            port->kick(port->ctx);
        else
            fake_loop_turn();
        data += used;
        size -= used;
    }
    finish();
    return 0;
}
