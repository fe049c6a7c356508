/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtio sockets: streams from both sides, credit, shutdown, resets on all that is odd, bounds. */
#include "device/virtio/vsock.h"
#include "tests/virtio_driver.h"

enum { REQUEST = 1, RESPONSE, RST, SHUTDOWN, RW, CREDIT_UPDATE, CREDIT_REQUEST };
enum { CID = 7, HEADER = VIRTIO_VSOCK_HEADER, ROOM = 4096, BUFFERS = 64 };

/* The back end: takes what comes and remembers it. */
static struct back {
    struct vsock port;
    struct vsock_device device;
    u32 kicks, incoming, opened, ready, ended, no_more;
    u32 stream, host_port;
    bool refuse;
    u8 bytes[1024];
    u64 len;
} back;

/* A packet, as the driver writes and reads it. */
struct packet {
    u64 src, dst;
    u32 src_port, dst_port, len;
    u16 type, op;
    u32 flags, alloc, fwd;
};

struct world {
    struct driver *d;
    struct virtio_vsock *v;
    gpa_t tx, rx;
    u8 data[ROOM]; /* of the last packet received */
};

static void kick(void *ctx)
{
    back.kicks++;
}

static bool incoming(void *ctx, u32 stream, u32 host_port)
{
    back.incoming++;
    back.stream = stream;
    back.host_port = host_port;
    return !back.refuse;
}

static void opened(void *ctx, u32 stream)
{
    back.opened++;
}

static void received(void *ctx, u32 stream, const u8 *bytes, size_t len)
{
    for (size_t i = 0; i < len && back.len + i < sizeof(back.bytes); i++)
        back.bytes[back.len + i] = bytes[i];
    back.len += len;
}

static void ready(void *ctx, u32 stream)
{
    back.ready++;
}

static void ended(void *ctx, u32 stream, u32 no_more)
{
    back.ended++;
    back.stream = stream;
    back.no_more = no_more;
}

static void attach(void *ctx, const struct vsock_device *device)
{
    back.device = *device;
}

static void work(void)
{
    while (back.device.work(back.device.ctx))
        ;
}

static void world_init(struct world *w)
{
    struct virtio_vsock_config config = {.vsock = &back.port, .cid = CID};

    memset(&back, 0, sizeof(back));
    back.port = (struct vsock){attach, kick, incoming, opened, received, ready, ended, NULL};
    w->v = calloc(1, sizeof(*w->v));
    ASSERT(w->v);
    virtio_vsock_init(w->v, &config);
    w->d = driver_create(virtio_vsock_dev(w->v));
    w->tx = driver_alloc(w->d, 512 * KIB);
    w->rx = driver_alloc(w->d, ROOM);
    driver_start(w->d, 0, 64);
}

static void world_fini(struct world *w)
{
    driver_destroy(w->d);
    free(w->v);
}

/* Gives the device a buffer to receive into; all share one, as one is looked at at a time. */
static void offer(struct world *w, u32 count)
{
    struct driver_seg seg = {w->rx, ROOM, true};

    for (u32 i = 0; i < count; i++)
        driver_offer(w->d, 0, &seg, 1);
    driver_kick(w->d, 0);
}

static void put(struct world *w, const struct packet *p)
{
    u8 *h = driver_at(w->d, w->tx);
    struct driver_seg seg = {w->tx, HEADER + p->len, false};
    u16 id;
    u32 len;

    le64_store(h, p->src);
    le64_store(h + 8, p->dst);
    le32_store(h + 16, p->src_port);
    le32_store(h + 20, p->dst_port);
    le32_store(h + 24, p->len);
    le16_store(h + 28, p->type);
    le16_store(h + 30, p->op);
    le32_store(h + 32, p->flags);
    le32_store(h + 36, p->alloc);
    le32_store(h + 40, p->fwd);
    driver_offer(w->d, 1, &seg, 1);
    driver_kick(w->d, 1);
    work();
    CHECK(driver_used(w->d, 1, &id, &len));
}

/* From port 100 of the guest to port 5 of the host. */
static void say(struct world *w, u16 op, u32 flags, u32 len)
{
    struct packet p = {CID, 2, 100, 5, len, 1, op, flags, 8192, 0};

    put(w, &p);
}

/* The next packet that the guest gets. False: none. */
static bool get(struct world *w, struct packet *p)
{
    const u8 *h = driver_at(w->d, w->rx);
    u16 id;
    u32 len;

    if (!driver_used(w->d, 0, &id, &len))
        return false;
    *p = (struct packet){le64_load(h),      le64_load(h + 8),  le32_load(h + 16), le32_load(h + 20),
                         le32_load(h + 24), le16_load(h + 28), le16_load(h + 30), le32_load(h + 32),
                         le32_load(h + 36), le32_load(h + 40)};
    CHECK_EQ(len, HEADER + p->len);
    memcpy(w->data, h + HEADER, p->len < ROOM - HEADER ? p->len : 0);
    return true;
}

static void expect(struct world *w, u16 op, u32 src_port, u32 dst_port)
{
    struct packet p = {0};

    CHECK(get(w, &p));
    CHECK_EQ(p.op, op);
    CHECK_EQ(p.src_port, src_port);
    CHECK_EQ(p.dst_port, dst_port);
    CHECK_EQ(p.dst, CID);
}

static void expect_nothing(struct world *w)
{
    struct packet p;

    CHECK(!get(w, &p));
}

static void begin(struct world *w)
{
    world_init(w);
    offer(w, 1);
    say(w, REQUEST, 0, 0);
    expect(w, RESPONSE, 5, 100);
}

TEST(guest_connects)
{
    struct world w;

    begin(&w);
    CHECK_EQ(back.incoming, 1);
    CHECK_EQ(back.host_port, 5);
    memcpy(driver_at(w.d, w.tx) + HEADER, "hello", 5);
    say(&w, RW, 0, 5);
    CHECK_EQ(back.len, 5);
    CHECK(!memcmp(back.bytes, "hello", 5));
    offer(&w, 1);
    CHECK_EQ(back.device.send(back.device.ctx, back.stream, (const u8 *)"world", 5), 5);
    expect(&w, RW, 5, 100);
    CHECK(!memcmp(w.data, "world", 5));
    say(&w, SHUTDOWN, 3, 0);
    CHECK_EQ(back.ended, 1);
    CHECK_EQ(back.no_more, VSOCK_CLOSED);
    offer(&w, 1);
    back.device.close(back.device.ctx, back.stream);
    expect(&w, RST, 5, 100);
    say(&w, RW, 0, 1); /* what comes late is refused */
    offer(&w, 1);
    work();
    expect(&w, RST, 5, 100);
    CHECK_EQ(back.len, 5);
    world_fini(&w);
}

TEST(nobody_listens)
{
    struct world w;

    world_init(&w);
    back.refuse = true;
    offer(&w, 1);
    say(&w, REQUEST, 0, 0);
    expect(&w, RST, 5, 100);
    CHECK_EQ(back.ended, 0);
    world_fini(&w);
}

TEST(host_connects)
{
    struct world w;
    u32 host_port = 0;
    s32 stream;

    world_init(&w);
    stream = back.device.connect(back.device.ctx, 22, &host_port);
    CHECK(stream >= 0);
    CHECK_EQ(back.device.send(back.device.ctx, (u32)stream, (const u8 *)"early", 5), 0);
    offer(&w, 2);
    work();
    expect(&w, REQUEST, host_port, 22);
    expect_nothing(&w);
    put(&w, &(struct packet){CID, 2, 22, host_port, 0, 1, RESPONSE, 0, 3, 0});
    CHECK_EQ(back.opened, 1);
    CHECK_EQ(back.device.send(back.device.ctx, (u32)stream, (const u8 *)"12345", 5), 3);
    expect(&w, RW, host_port, 22);
    offer(&w, 1);
    put(&w, &(struct packet){CID, 2, 22, host_port, 0, 1, CREDIT_UPDATE, 0, 3, 3});
    CHECK(back.ready >= 1);
    CHECK_EQ(back.device.send(back.device.ctx, (u32)stream, (const u8 *)"45", 2), 2);
    /* Counts that make no sense are no credit. */
    put(&w, &(struct packet){CID, 2, 22, host_port, 0, 1, CREDIT_UPDATE, 0, 3, 9});
    CHECK_EQ(back.device.send(back.device.ctx, (u32)stream, (const u8 *)"6", 1), 0);
    put(&w, &(struct packet){CID, 2, 22, host_port, 0, 1, RST, 0, 0, 0});
    CHECK_EQ(back.ended, 1);
    back.device.close(back.device.ctx, (u32)stream);
    expect(&w, RW, host_port, 22);
    expect_nothing(&w); /* a reset is not answered */
    world_fini(&w);
}

TEST(guest_is_told_what_was_read)
{
    struct world w;
    struct packet p;

    begin(&w);
    say(&w, RW, 0, VSOCK_BUFFER);
    CHECK_EQ(back.len, VSOCK_BUFFER);
    offer(&w, 2);
    back.device.taken(back.device.ctx, back.stream, 1000);
    expect_nothing(&w);
    say(&w, CREDIT_REQUEST, 0, 0);
    CHECK(get(&w, &p));
    CHECK_EQ(p.op, CREDIT_UPDATE);
    CHECK_EQ(p.fwd, 1000);
    CHECK_EQ(p.alloc, VSOCK_BUFFER);
    back.device.taken(back.device.ctx, back.stream, VSOCK_BUFFER / 2);
    CHECK(get(&w, &p));
    CHECK_EQ(p.op, CREDIT_UPDATE);
    CHECK_EQ(p.fwd, 1000 + VSOCK_BUFFER / 2);
    world_fini(&w);
}

/* Each breaks the rules in its way, and ends its stream. */
TEST(odd_packets_are_reset)
{
    static const struct {
        u16 op;
        u32 flags, len;
    } odd[] = {{REQUEST, 0, 0}, {RESPONSE, 0, 0}, {0, 0, 0},
               {8, 0, 0},       {999, 0, 0},      {RW, 0, VSOCK_BUFFER + 1}};

    for (u32 i = 0; i < ARRAY_SIZE(odd); i++) {
        struct world w;

        begin(&w);
        offer(&w, 1);
        say(&w, odd[i].op, odd[i].flags, odd[i].len);
        expect(&w, RST, 5, 100);
        CHECK_EQ(back.ended, 1);
        CHECK_EQ(back.no_more, VSOCK_CLOSED);
        CHECK_EQ(back.len, 0);
        back.device.close(back.device.ctx, back.stream);
        expect_nothing(&w);
        world_fini(&w);
    }
}

TEST(strays)
{
    struct world w;

    begin(&w);
    offer(&w, 4);
    put(&w, &(struct packet){CID, 2, 100, 5, 0, 2, RW, 0, 0, 0}); /* no stream type of ours */
    expect(&w, RST, 5, 100);
    put(&w, &(struct packet){CID, 9, 100, 5, 0, 1, REQUEST, 0, 0, 0}); /* another guest */
    expect(&w, RST, 5, 100);
    put(&w, &(struct packet){CID, 2, 100, 6, 0, 1, RW, 0, 0, 0});
    expect(&w, RST, 6, 100);
    put(&w, &(struct packet){CID, 2, 100, 6, 0, 1, RST, 0, 0, 0});
    put(&w, &(struct packet){CID + 1, 2, 100, 5, 0, 1, RW, 0, 0, 0}); /* who is that? */
    expect_nothing(&w);
    CHECK_EQ(back.ended, 0);
    CHECK_EQ(back.incoming, 1);
    CHECK_EQ(driver_get(w.d, R_STATUS), 0xf);
    world_fini(&w);
}

/* A guest that gives no buffers to receive: answers wait, and so do its packets. */
TEST(answers_are_bounded)
{
    struct world w;
    struct packet p;
    struct driver_seg seg;
    u32 answers = 0, len;
    u16 id;

    world_init(&w);
    seg = (struct driver_seg){w.tx, HEADER, false};
    say(&w, RW, 0, 0);
    for (u32 i = 0; i < 60; i++)
        driver_offer(w.d, 1, &seg, 1);
    driver_kick(w.d, 1);
    work();
    for (len = 0; driver_used(w.d, 1, &id, &len);)
        answers++;
    CHECK(answers < 60);
    for (u32 i = 0; i < 61; i++) {
        offer(&w, 1);
        work();
        CHECK(get(&w, &p) && p.op == RST);
    }
    while (driver_used(w.d, 1, &id, &len))
        answers++;
    CHECK_EQ(answers, 60);
    world_fini(&w);
}

TEST(streams_are_bounded)
{
    struct world w;
    struct packet p = {CID, 2, 0, 5, 0, 1, REQUEST, 0, 0, 0};
    u32 port = 0;

    world_init(&w);
    for (p.src_port = 0; p.src_port < VSOCK_STREAMS_MAX; p.src_port++) {
        offer(&w, 1);
        put(&w, &p);
        expect(&w, RESPONSE, 5, p.src_port);
    }
    offer(&w, 1);
    put(&w, &p);
    expect(&w, RST, 5, p.src_port);
    CHECK_EQ(back.device.connect(back.device.ctx, 1, &port), -1);
    back.device.close(back.device.ctx, 17);
    CHECK_EQ(back.device.connect(back.device.ctx, 1, &port), 17);
    world_fini(&w);
}

/* The driver resets the device: streams end, and the numbers are free once the back end knows. */
TEST(reset_ends_streams)
{
    struct world w;
    u32 kicks;

    begin(&w);
    kicks = back.kicks;
    driver_put(w.d, R_STATUS, 0);
    CHECK(back.kicks > kicks);
    CHECK_EQ(back.device.send(back.device.ctx, back.stream, (const u8 *)"x", 1), 0);
    CHECK_EQ(back.ended, 0);
    work();
    CHECK_EQ(back.ended, 1);
    work();
    CHECK_EQ(back.ended, 1);
    back.device.close(back.device.ctx, back.stream);
    driver_start(w.d, 0, 64);
    offer(&w, 1);
    say(&w, REQUEST, 0, 0);
    expect(&w, RESPONSE, 5, 100);
    world_fini(&w);
}

TEST(malformed)
{
    struct world w;
    struct driver_seg seg;
    u32 len;
    u16 id;

    begin(&w);
    seg = (struct driver_seg){w.tx, HEADER - 1, false};
    driver_offer(w.d, 1, &seg, 1);
    driver_kick(w.d, 1);
    work();
    CHECK(driver_used(w.d, 1, &id, &len));
    le32_store(driver_at(w.d, w.tx) + 24, 1); /* one byte more than there is */
    seg.len = HEADER;
    driver_offer(w.d, 1, &seg, 1);
    driver_kick(w.d, 1);
    work();
    CHECK(driver_used(w.d, 1, &id, &len));
    CHECK_EQ(back.ended, 0);
    CHECK_EQ(driver_get(w.d, R_STATUS), 0xf);
    seg = (struct driver_seg){w.rx, HEADER - 1, true};
    driver_offer(w.d, 0, &seg, 1);
    driver_kick(w.d, 0);
    back.device.close(back.device.ctx, back.stream);
    CHECK_EQ(driver_get(w.d, R_STATUS), 0xf | VIRTIO_NEEDS_RESET);
    world_fini(&w);
}

TEST_MAIN()
