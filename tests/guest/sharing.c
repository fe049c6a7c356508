/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared folders, sockets to the host, the power key: requests and packets that lie. */
#include "attack.h"

/* ---- shared folders (virtio-fs) ---- */

enum { FUSE_LOOKUP = 1, FUSE_INIT = 26, FUSE_OPS = 64, FUSE_HEADER = 40 };

static u64 fs;
static struct queue urgent, requests;
static struct {
    u32 len, op;
    u64 unique, node;
    u32 uid, gid, pid, padding;
    u8 argument[PAGE];
} request PAGE_ALIGNED;
static struct {
    u32 len;
    int32_t error;
    u64 unique;
    u8 rest[PAGE - 16];
} reply PAGE_ALIGNED;

static void fs_begin(void)
{
    device_begin(fs, F_INDIRECT);
    device_queue(fs, 0, &urgent, RING);
    device_queue(fs, 1, &requests, RING);
    device_go(fs);
}

static void request_put(u32 len, u32 room)
{
    requests.desc[0] = (struct desc){(u64)&request, len, room ? D_NEXT : 0, 1};
    requests.desc[1] = (struct desc){(u64)&reply, room, D_WRITE, 0};
    queue_put(&requests, 0);
}

/* Waits for the answer. False: there was none, and all begins anew. */
static bool ask(u32 len, u32 room)
{
    u16 before = *(volatile u16 *)&requests.used.index;

    reply.len = 0;
    reply.error = 0;
    request_put(len, room);
    device_kick(fs, 1);
    device_wait(fs, &requests, before);
    fence();
    if (device_status(fs) & ST_NEEDS_RESET) {
        fs_begin();
        return false;
    }
    return *(volatile u16 *)&requests.used.index != before;
}

static void request_make(u32 op, u64 node, u32 len)
{
    request.len = FUSE_HEADER + len;
    request.op = op;
    request.unique = 77;
    request.node = node;
}

/* Introduces itself, as is due after a reset. */
static bool fs_works(void)
{
    static const u32 init[4] = {7, 31, 1 << 17, 0};

    fs_begin();
    request_make(FUSE_INIT, 0, sizeof(init));
    memcpy(request.argument, init, sizeof(init));
    return ask(FUSE_HEADER + sizeof(init), sizeof(reply)) && reply.error == 0 && reply.len >= 16 &&
           reply.unique == 77;
}

static void lengths_that_lie(void)
{
    static const u32 len[] = {0, 1, 39, 40, 41, 56, 4096}, room[] = {0, 1, 15, 16, 17, 4096};
    static const u32 told[] = {0, 1, 40, 57, 0x7fffffff, 0xffffffff};

    CHECK(fs_works());
    for (u32 i = 0; i < COUNT(len) * COUNT(room) * COUNT(told); i++) {
        request_make(1 + i % 50, 1, 0);
        request.len = told[i % COUNT(told)];
        (void)ask(len[i / COUNT(told) % COUNT(len)], room[i / COUNT(told) / COUNT(len)]);
    }
    CHECK(fs_works());
}

static void any_request(void)
{
    u64 seed = 21;

    CHECK(fs_works());
    for (u32 i = 0; i < TIMES(2000); i++) {
        u64 r = random_next(&seed);
        u32 len = (u32)(r >> 8) % 200;

        request_make((u32)r % FUSE_OPS, r & 0x1000000 ? 1 : (r >> 32) % 8, len);
        for (u32 k = 0; k < len; k += 8)
            *(u64 *)(request.argument + k) =
                r & 0x2000000 ? random_next(&seed) : random_next(&seed) >> 60;
        if (ask(FUSE_HEADER + len, sizeof(reply)))
            CHECK(reply.len == 0 || reply.len >= 16);
    }
    CHECK(fs_works());
}

static void names_that_lead_out(void)
{
    static const char *const name[] = {"..", "../secret", "/etc/passwd", "a/../..", "", ".", "a/b"};

    CHECK(fs_works());
    for (u32 i = 0; i < COUNT(name); i++) {
        u32 n = 0;

        check_note = i;
        while ((request.argument[n] = (u8)name[i][n]))
            n++;
        request_make(FUSE_LOOKUP, 1, n + 1);
        CHECK(ask(FUSE_HEADER + n + 1, sizeof(reply)));
        CHECK(reply.error < 0);
    }
    memset(request.argument, 'x', PAGE); /* no end at all */
    request_make(FUSE_LOOKUP, 1, PAGE);
    CHECK(ask(FUSE_HEADER + PAGE, sizeof(reply)));
    CHECK(reply.error < 0);
}

static void replies_nowhere(void)
{
    static const u64 at[] = {UART_BASE, HOLE, RAM_END, RAM_END - 8, ~0ul - 7, 0x20000000};

    for (u32 i = 0; i < COUNT(at); i++) {
        check_note = i;
        fs_begin();
        request_make(FUSE_INIT, 0, 16);
        requests.desc[0] = (struct desc){(u64)&request, FUSE_HEADER + 16, D_NEXT, 1};
        requests.desc[1] = (struct desc){at[i], 4096, D_WRITE, 0};
        queue_put(&requests, 0);
        device_kick(fs, 1);
        CHECK(device_fails(fs));
    }
    CHECK(fs_works());
}

static void folders_reset(void)
{
    for (u32 i = 0; i < TIMES(300); i++) {
        fs_begin();
        request_make(FUSE_INIT, 0, 16);
        for (u32 k = 0; k < RING; k++)
            request_put(FUSE_HEADER + 16, sizeof(reply));
        device_kick(fs, 1);
        device_kick(fs, 0);
        for (u32 k = 0; k < i; k++)
            pause();
        write32(fs + REG_STATUS, 0);
    }
    CHECK(fs_works());
}

/* ---- sockets to the host ---- */

enum { OP_REQUEST = 1, OP_RST = 3, HOST_CID = 2, HOST_PORT = 9 };

static u64 vsock;
static struct queue rx, tx;
static struct packet {
    u64 from, to;
    u32 from_port, to_port, len;
    u16 type, op;
    u32 flags, room, taken;
    u8 bytes[256];
} __attribute__((packed)) packet, room[RING];

#define PACKET_HEADER 44u

static void vsock_begin(u32 room_len)
{
    device_begin(vsock, 0);
    device_queue(vsock, 0, &rx, RING);
    device_queue(vsock, 1, &tx, RING);
    device_go(vsock);
    memset(room, 0, sizeof(room));
    for (u16 i = 0; i < RING; i++) {
        rx.desc[i] = (struct desc){(u64)&room[i], room_len, D_WRITE, 0};
        queue_put(&rx, i);
    }
    device_kick(vsock, 0);
}

/* All buffers that came back are given again. */
static void rx_refill(void)
{
    while (rx.avail.index != (u16)(*(volatile u16 *)&rx.used.index + RING))
        queue_put(&rx, (u16)(rx.used.done[(u16)(rx.avail.index - RING) % RING].id % RING));
    device_kick(vsock, 0);
}

static void packet_send(u32 len)
{
    u16 before = *(volatile u16 *)&tx.used.index;

    tx.desc[0] = (struct desc){(u64)&packet, len, 0, 0};
    queue_put(&tx, 0);
    device_kick(vsock, 1);
    device_wait(vsock, &tx, before);
    if (device_status(vsock) & ST_NEEDS_RESET)
        vsock_begin(sizeof(room[0]));
    else
        rx_refill();
}

static void packet_make(u16 op, u32 port)
{
    packet = (struct packet){.from = read64(vsock + REG_CONFIG),
                             .to = HOST_CID,
                             .from_port = port,
                             .to_port = HOST_PORT,
                             .type = 1,
                             .op = op,
                             .room = 65536};
}

/* Nobody listens there, and the host says so. */
static bool vsock_works(void)
{
    vsock_begin(sizeof(room[0]));
    packet_make(OP_REQUEST, 5000);
    tx.desc[0] = (struct desc){(u64)&packet, PACKET_HEADER, 0, 0};
    queue_put(&tx, 0);
    device_kick(vsock, 1);
    device_wait(vsock, &rx, 0);
    fence();
    return room[0].op == OP_RST && room[0].to_port == 5000;
}

static void any_packet(void)
{
    static const u32 odd[] = {0, 1, 43, 44, 45, 300, 0x7fffffff, 0xffffffff};
    u64 seed = 31;

    vsock_begin(sizeof(room[0]));
    for (u32 i = 0; i < TIMES(4000); i++) {
        u64 r = random_next(&seed);

        packet_make((u16)(r % 9), 1 + (r >> 8) % 4);
        if (r & 0x10000)
            packet.from = r >> 20;
        if (r & 0x20000)
            packet.to = r >> 30;
        if (r & 0x40000)
            packet.type = (u16)(r >> 40);
        packet.len = odd[(r >> 24) % COUNT(odd)];
        packet.room = odd[(r >> 28) % COUNT(odd)];
        packet.taken = (u32)(r >> 32);
        packet.flags = (u32)(r >> 50);
        packet_send(r & 0x80000 ? odd[(r >> 44) % 6] : PACKET_HEADER + 16);
    }
    CHECK(vsock_works());
}

static void connections_without_end(void)
{
    vsock_begin(sizeof(room[0]));
    for (u32 i = 0; i < TIMES(3000); i++) {
        packet_make(OP_REQUEST, i);
        packet_send(PACKET_HEADER);
    }
    CHECK(!(device_status(vsock) & ST_NEEDS_RESET));
    CHECK(vsock_works());
}

static void no_room_for_answers(void)
{
    vsock_begin(8);
    packet_make(OP_REQUEST, 1);
    tx.desc[0] = (struct desc){(u64)&packet, PACKET_HEADER, 0, 0};
    queue_put(&tx, 0);
    device_kick(vsock, 1);
    CHECK(device_fails(vsock));
    device_begin(vsock, 0); /* answers without end, and nobody who takes them */
    device_queue(vsock, 0, &rx, RING);
    device_queue(vsock, 1, &tx, RING);
    device_go(vsock);
    tx.desc[0] = (struct desc){(u64)&packet, PACKET_HEADER, 0, 0};
    for (u32 i = 0; i < TIMES(5000); i++) {
        queue_put(&tx, 0);
        if (i % RING == 0)
            device_kick(vsock, 1);
        if (i % RING == RING - 1)
            tx.avail.index = *(volatile u16 *)&tx.used.index;
    }
    CHECK(vsock_works());
}

/* ---- the power key ---- */

static void key(void)
{
    u64 input = device_find(KIND_INPUT), seed = 41;

    for (u32 i = 0; i < TIMES(20000); i++) {
        u64 r = random_next(&seed);

        *(volatile u8 *)(input + REG_CONFIG + (r & 1)) = (u8)(r >> 8);
        if (r & 2)
            *(volatile u8 *)(input + REG_CONFIG + (r >> 16 & 255)) = (u8)(r >> 32);
        (void)*(volatile u8 *)(input + REG_CONFIG + (r >> 24 & 255));
    }
    device_begin(input, 0);
    device_queue(input, 0, &rx, RING);
    device_queue(input, 1, &tx, RING);
    device_go(input);
    for (u16 i = 0; i < RING; i++) { /* events to nowhere, reports of nothing */
        rx.desc[i] = (struct desc){i & 1 ? HOLE : (u64)&packet, i, i & 2 ? D_WRITE : 0, 0};
        tx.desc[i] = (struct desc){(u64)&packet, 0xffffffff - i, i & 1 ? D_WRITE : D_NEXT, i};
        queue_put(&rx, i);
        queue_put(&tx, i);
    }
    device_kick(input, 0);
    device_kick(input, 1);
    device_begin(input, 0);
    *(volatile u8 *)(input + REG_CONFIG) = 1; /* its name */
    *(volatile u8 *)(input + REG_CONFIG + 1) = 0;
    CHECK(*(volatile u8 *)(input + REG_CONFIG + 2) != 0);
}

void tests(void)
{
    fs = device_find(KIND_FS);
    vsock = device_find(KIND_VSOCK);
    test("folders: lengths that lie", lengths_that_lie);
    test("folders: any request", any_request);
    test("folders: names that lead out", names_that_lead_out);
    test("folders: replies to nowhere", replies_nowhere);
    test("folders: resets with requests in flight", folders_reset);
    test("sockets: packets of any kind", any_packet);
    test("sockets: connections without end", connections_without_end);
    test("sockets: no room for answers", no_room_for_answers);
    test("the power key: any question", key);
}
