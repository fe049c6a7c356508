/* SPDX-License-Identifier: BSD-2-Clause */
/* NBD from whoever connects: a client's bytes to our server, and a server's to our handshake. */
#include "block/nbd.h"
#include "block/nbd_handshake.h"
#include "block/nbd_session.h"
#include "tests/mem_node.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define DISK (64 * KIB)

void assert_failed(const char *expr, const char *file, int line)
{
    fprintf(stderr, "%s:%d: ASSERT(%s)\n", file, line, expr);
    abort();
}

struct bytes {
    const u8 *at;
    size_t len;
    u64 sent; /* a small request must not bring endless answers */
};

static int take(void *ctx, void *bytes, size_t len)
{
    struct bytes *b = ctx;

    if (len > b->len)
        return -ECONNRESET;
    if (len)
        memcpy(bytes, b->at, len);
    b->at += len;
    b->len -= len;
    return 0;
}

static int drop(void *ctx, const void *bytes, size_t len, bool more)
{
    struct bytes *b = ctx;

    b->sent += len;
    return len && ((const u8 *)bytes)[len - 1] == 0xee && b->sent > GIB ? -EPIPE : 0;
}

static void serve(const u8 *data, size_t size, bool readonly)
{
    struct bytes bytes = {data, size, 0};
    const struct nbd_stream stream = {take, drop, &bytes};
    struct nbd_export export = {
        .node = mem_create(NULL, 0, DISK), .name = "", .readonly = readonly};

    export.node->growable = false;
    export.node->size = DISK;
    (void)nbd_session_run(&export, &stream);
    node_close(export.node);
}

static void connect_to(const u8 *data, size_t size)
{
    struct nbd_agreed agreed;
    struct err err = {""};
    int fd[2];

    ASSERT(!socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
    ASSERT(write(fd[1], data, size) == (ssize_t)size);
    shutdown(fd[1], SHUT_WR);
    if (nbd_handshake(fd[0], "", "nbd://fuzz/", &agreed, &err))
        ASSERT(*err.msg);
    close(fd[0]);
    close(fd[1]);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    if (!size)
        return 0;
    if (data[0] & 1)
        connect_to(data + 1, size - 1);
    else
        serve(data + 1, size - 1, data[0] & 2);
    return 0;
}
