/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtio network device over the loopback and null links. */
#include "device/virtio/net.h"
#include "net/loopback.h"
#include "net/null.h"
#include "tests/virtio_driver.h"

static struct loopback loopback;
static struct virtio_net net;

static struct driver *setup(const struct net *link)
{
    struct virtio_net_config config = {.net = link, .mac = {0x52, 0x54, 0, 0x12, 0x34, 0x56}};

    virtio_net_init(&net, &config);
    return driver_create(virtio_net_dev(&net));
}

static void frame_make(struct driver *d, gpa_t at, u32 len, u8 seed)
{
    memset(driver_at(d, at), 0, VIRTIO_NET_HEADER);
    for (u32 i = 0; i < len; i++)
        driver_at(d, at + VIRTIO_NET_HEADER)[i] = (u8)(seed + i * 3);
}

TEST(loops_back_in_every_ring_mode)
{
    for (u32 mode = 0; mode < DRIVER_MODES; mode++) {
        struct driver *d;
        gpa_t tx, rx;
        u16 id;
        u32 len;

        loopback_init(&loopback);
        d = setup(&loopback.net);
        tx = driver_alloc(d, 2048);
        rx = driver_alloc(d, 2048);
        driver_start(d, driver_mode(mode), 16);
        for (u32 i = 0; i < 100; i++) {
            struct driver_seg out[2] = {{tx, 12, false}, {tx + 12, 60 + i * 14, false}};
            struct driver_seg in[2] = {{rx, 100, true}, {rx + 100, 1600, true}};

            frame_make(d, tx, 60 + i * 14, (u8)i);
            driver_offer(d, 0, in, 2);
            driver_offer(d, 1, out, 2);
            driver_kick(d, 1);
            CHECK(driver_used(d, 1, &id, &len));
            CHECK(driver_used(d, 0, &id, &len));
            CHECK_EQ(len, 72 + i * 14);
            CHECK(!memcmp(driver_at(d, rx + 12), driver_at(d, tx + 12), 60 + i * 14));
            CHECK_EQ(le16_load(driver_at(d, rx + 10)), 1);
        }
        CHECK_EQ(net.dropped, 0);
        driver_destroy(d);
    }
}

TEST(drops_without_a_buffer_and_skips_what_cannot_fit)
{
    struct driver *d;
    gpa_t buf;
    struct driver_seg in, out;
    u16 id;
    u32 len;

    loopback_init(&loopback);
    d = setup(&loopback.net);
    buf = driver_alloc(d, 4096);
    in = (struct driver_seg){buf, 100, true};
    out = (struct driver_seg){buf + 2048, 12 + 200, false};
    driver_start(d, VIRTIO_F_RING_PACKED, 4);
    driver_offer(d, 1, &out, 1);
    driver_kick(d, 1);
    CHECK_EQ(net.dropped, 0);
    CHECK_EQ(loopback.dropped, 1);
    for (u32 i = 0; i < 10; i++) {
        out.len = 12 + 200;
        driver_offer(d, 0, &in, 1);
        driver_offer(d, 1, &out, 1); /* does not fit, the buffer stays */
        driver_kick(d, 1);
        CHECK(!driver_used(d, 0, &id, &len));
        out.len = 12 + 88;
        driver_offer(d, 1, &out, 1);
        driver_kick(d, 1);
        CHECK(driver_used(d, 0, &id, &len));
        CHECK_EQ(len, 100);
        while (driver_used(d, 1, &id, &len))
            continue;
    }
    CHECK_EQ(net.dropped, 10);
    driver_destroy(d);
}

TEST(null_link_swallows)
{
    struct driver *d = setup(&null_net);
    gpa_t buf = driver_alloc(d, 4096);
    struct driver_seg out = {buf, 2000, false};
    u16 id;
    u32 len;

    driver_start(d, 0, 4);
    driver_offer(d, 1, &out, 1);
    driver_kick(d, 1);
    CHECK(driver_used(d, 1, &id, &len));
    CHECK_EQ(driver_get(d, R_CONFIG), 0x12005452);
    CHECK_EQ(fake_read(&d->mmio.device, R_CONFIG + 6, 2), 1);
    virtio_net_set_link(&net, false);
    CHECK(driver_interrupted(d, VIRTIO_ISR_CONFIG));
    CHECK_EQ(fake_read(&d->mmio.device, R_CONFIG + 6, 2), 0);
    driver_destroy(d);
}

TEST(short_and_giant_frames_are_returned)
{
    struct driver *d;
    gpa_t buf;
    u16 id;
    u32 len;
    static const u32 sizes[] = {1, 11, 12, 13, 12 + NET_FRAME_MAX, 13 + NET_FRAME_MAX, 1 << 20};

    loopback_init(&loopback);
    d = setup(&loopback.net);
    buf = driver_alloc(d, 1 << 20);
    driver_start(d, 0, 16);
    for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct driver_seg out = {buf, sizes[i], false};

        driver_offer(d, 1, &out, 1);
        driver_kick(d, 1);
        CHECK(driver_used(d, 1, &id, &len));
    }
    CHECK(!driver_needs_reset(d));
    CHECK_EQ(loopback.dropped, 2); /* 1 byte and the longest: sent, no buffer to receive */
    driver_destroy(d);
}

/* A back end that takes what it is told to and remembers what came. */
static struct {
    struct net net;
    struct net_device device;
    struct net_frame frame;
    u32 taken, room, rooms;
} peer;

static bool peer_send(void *ctx, const struct net_frame *frame)
{
    if (!peer.room)
        return false;
    peer.room--;
    peer.taken++;
    peer.frame = *frame;
    return true;
}

static void peer_room(void *ctx)
{
    peer.rooms++;
}

static void peer_attach(void *ctx, const struct net_device *device)
{
    peer.device = *device;
}

static struct driver *setup_peer(u64 features)
{
    struct driver *d;

    memset(&peer, 0, sizeof(peer));
    peer.net = (struct net){
        .send = peer_send, .attach = peer_attach, .can = NET_CAN_CSUM | NET_CAN_TSO, .mtu = 9000};
    peer.room = UINT32_MAX;
    d = setup(&peer.net);
    driver_start(d, features, 16);
    return d;
}

static void header_make(u8 *h, u8 flags, u8 gso, u16 gso_size, u16 csum_start, u16 csum_offset)
{
    h[0] = flags;
    h[1] = gso;
    le16_store(h + 2, 54);
    le16_store(h + 4, gso_size);
    le16_store(h + 6, csum_start);
    le16_store(h + 8, csum_offset);
}

TEST(offload_headers_are_checked)
{
    static const struct {
        u8 flags, gso;
        u16 gso_size, start, offset;
        bool with, without; /* taken if the driver has the features; if not */
    } cases[] = {
        {0, 0, 0, 0, 0, true, true},
        {0, 0, 9, 65535, 65535, true, true}, /* not said to mean anything */
        {0xfe, 0, 0, 0, 0, true, true},      /* flags to be ignored */
        {1, 0, 0, 34, 16, true, false},
        {1, 0, 0, 34, 64, true, false},
        {1, 0, 0, 34, 65, false, false},
        {1, 0, 0, 65535, 65535, false, false},
        {1, 1, 1448, 34, 16, true, false},
        {1, 4, 1448, 54, 16, true, false},
        {0, 1, 1448, 34, 16, false, false}, /* segments need their sums */
        {1, 1, 0, 34, 16, false, false},
        {1, 3, 1448, 34, 6, false, false}, /* UDP */
        {1, 0x81, 1448, 34, 16, false, false},
        {1, 5, 1448, 34, 6, false, false},
    };

    for (u32 with = 0; with < 2; with++) {
        u64 features = VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6;
        struct driver *d = setup_peer(with ? features : 0);
        struct driver_seg out = {driver_alloc(d, 2048), 12 + 100, false};
        u64 malformed = 0;
        u16 id;
        u32 len;

        for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
            bool want = with ? cases[i].with : cases[i].without;

            peer.taken = 0;
            header_make(driver_at(d, out.gpa), cases[i].flags, cases[i].gso, cases[i].gso_size,
                        cases[i].start, cases[i].offset);
            driver_offer(d, 1, &out, 1);
            driver_kick(d, 1);
            CHECK(driver_used(d, 1, &id, &len));
            CHECK_EQ(peer.taken, want);
            malformed += !want;
        }
        CHECK_EQ(net.malformed, malformed);
        CHECK(!driver_needs_reset(d));
        driver_destroy(d);
    }
}

TEST(full_back_end_keeps_the_frames)
{
    struct driver *d = setup_peer(0);
    struct driver_seg out = {driver_alloc(d, 2048), 12 + 100, false};
    u16 id;
    u32 len;

    peer.room = 2;
    for (u32 i = 0; i < 5; i++)
        driver_offer(d, 1, &out, 1);
    driver_kick(d, 1);
    CHECK_EQ(peer.taken, 2);
    CHECK(driver_used(d, 1, &id, &len));
    CHECK(driver_used(d, 1, &id, &len));
    CHECK(!driver_used(d, 1, &id, &len));
    peer.room = 100;
    peer.device.ready(peer.device.ctx);
    CHECK_EQ(peer.taken, 5);
    for (u32 i = 0; i < 3; i++)
        CHECK(driver_used(d, 1, &id, &len));
    driver_destroy(d);
}

TEST(large_frames_fill_several_buffers)
{
    static u8 bytes[9 * 1024];

    for (u32 i = 0; i < sizeof(bytes); i++)
        bytes[i] = (u8)(i * 7 + i / 256);
    for (u32 mode = 0; mode < DRIVER_MODES; mode++) {
        struct driver *d =
            setup_peer(driver_mode(mode) | VIRTIO_NET_F_MRG_RXBUF | VIRTIO_NET_F_GUEST_CSUM);
        struct net_frame frame = {bytes, 0, {.flags = NET_DATA_VALID}};
        struct driver_seg in[12];
        u16 id;
        u32 len;

        for (u32 i = 0; i < ARRAY_SIZE(in); i++)
            in[i] = (struct driver_seg){driver_alloc(d, 1024), 1024, true};
        for (u32 round = 0; round < 40; round++) {
            u32 want = round % 9 + 1, at = 0;

            frame.len = want * 1024 - 12 - (round % 3) * 100;
            for (u32 i = 0; i + 1 < want; i++)
                driver_offer(d, 0, &in[i], 1);
            CHECK(want == 1 || !peer.device.receive(peer.device.ctx, &frame)); /* one short */
            driver_offer(d, 0, &in[want - 1], 1);
            CHECK(peer.device.receive(peer.device.ctx, &frame));
            CHECK_EQ(le16_load(driver_at(d, in[0].gpa + 10)), want);
            CHECK_EQ(driver_at(d, in[0].gpa)[0], NET_DATA_VALID);
            for (u32 i = 0; i < want; i++) {
                u32 skip = i ? 0 : 12;

                CHECK(driver_used(d, 0, &id, &len));
                CHECK(!memcmp(driver_at(d, in[i].gpa + skip), bytes + at, len - skip));
                at += len - skip;
            }
            CHECK_EQ(at, frame.len);
        }
        CHECK_EQ(net.dropped, 0);
        driver_destroy(d);
    }
}

TEST(drivers_get_no_offload_that_they_do_not_know)
{
    static u8 bytes[100];
    struct driver *d = setup_peer(VIRTIO_NET_F_GUEST_TSO4);
    struct net_frame frame = {bytes, 100, {.flags = NET_NEEDS_CSUM}};
    struct driver_seg in = {driver_alloc(d, 1024), 1024, true};
    u16 id;
    u32 len;

    driver_offer(d, 0, &in, 1);
    CHECK(peer.device.receive(peer.device.ctx, &frame));
    frame.offload = (struct net_offload){.gso = NET_GSO_TCP6, .gso_size = 100};
    CHECK(peer.device.receive(peer.device.ctx, &frame));
    CHECK_EQ(net.dropped, 2);
    CHECK(!driver_used(d, 0, &id, &len));
    frame.offload.gso = NET_GSO_TCP4;
    CHECK(peer.device.receive(peer.device.ctx, &frame));
    CHECK(driver_used(d, 0, &id, &len));
    peer.device.link(peer.device.ctx, false);
    CHECK_EQ(fake_read(&d->mmio.device, R_CONFIG + 6, 2), 0);
    CHECK_EQ(fake_read(&d->mmio.device, R_CONFIG + 10, 2), 9000);
    driver_destroy(d);
}

/* The device's answer to a command. */
static u8 command(struct driver *d, u32 queue, const u8 *bytes, u32 size)
{
    gpa_t at = driver_alloc(d, size), answer = driver_alloc(d, 1);
    struct driver_seg seg[2] = {{at, size, false}, {answer, 1, true}};
    u16 id;
    u32 len;

    memcpy(driver_at(d, at), bytes, size);
    *driver_at(d, answer) = 9;
    driver_offer(d, queue, seg, 2);
    driver_kick(d, queue);
    CHECK(driver_used(d, queue, &id, &len));
    CHECK_EQ(len, 1);
    return *driver_at(d, answer);
}

TEST(control_commands)
{
    static const struct {
        u8 bytes[9];
        u32 len;
        u8 answer;
    } cases[] = {
        {{0, 0, 1}, 3, 0},
        {{0, 1, 0}, 3, 0},
        {{0, 2, 0}, 3, 1},
        {{0, 0}, 2, 1},
        {{0}, 1, 1},
        {{1, 1, 0x52, 1, 2, 3, 4, 5}, 8, 0},
        {{1, 1, 0x52, 1, 2, 3, 4, 5, 6}, 9, 1},
        {{4, 0, 2, 0}, 4, 1},
        {{2, 0, 1, 0}, 4, 1}, /* features that are not accepted */
        {{3, 0}, 2, 1},
    };
    struct driver *d = setup_peer(VIRTIO_NET_F_CTRL_VQ | VIRTIO_NET_F_CTRL_RX | VIRTIO_NET_F_MAC |
                                  VIRTIO_NET_F_CTRL_MAC_ADDR);

    for (u32 i = 0; i < ARRAY_SIZE(cases); i++)
        CHECK_EQ(command(d, 2, cases[i].bytes, cases[i].len), cases[i].answer);
    CHECK_EQ(driver_get(d, R_CONFIG), 0x03020152);
    driver_destroy(d);
}

TEST(a_frame_waits_for_a_driver)
{
    static const u8 bytes[60] = {1};
    struct net_frame frame = {bytes, sizeof(bytes), {0}};
    struct driver *d;

    memset(&peer, 0, sizeof(peer));
    peer.net = (struct net){.send = peer_send, .attach = peer_attach, .room = peer_room};
    d = setup(&peer.net);
    CHECK(!peer.device.receive(peer.device.ctx, &frame));
    driver_start(d, 0, 16);
    CHECK_EQ(peer.rooms, 1); /* the start tells */
    CHECK(!peer.device.receive(peer.device.ctx, &frame));
    driver_offer(d, 0, &(struct driver_seg){driver_alloc(d, 2048), 2048, true}, 1);
    driver_kick(d, 0);
    CHECK_EQ(peer.rooms, 2);
    CHECK(peer.device.receive(peer.device.ctx, &frame));
    driver_destroy(d);
}

static u8 pairs_set(struct driver *d, u32 queue, u16 pairs)
{
    return command(d, queue, (const u8[]){4, 0, (u8)pairs, (u8)(pairs >> 8)}, 4);
}

/* A datagram of a flow, by way of a loopback: the queue that it comes back at. */
static u32 comes_back_at(struct driver *d, gpa_t tx, u32 pair, u16 from, u16 to)
{
    struct driver_seg out = {tx, 12 + 60, false};
    u8 *frame = driver_at(d, tx) + 12;
    u16 id;
    u32 len, found = UINT32_MAX;

    memset(driver_at(d, tx), 0, 72);
    be16_store(frame + 12, 0x0800);
    frame[14] = 0x45;
    frame[23] = 17;
    be32_store(frame + 26, from < to ? 1 : 2);
    be32_store(frame + 30, from < to ? 2 : 1);
    be16_store(frame + 34, from);
    be16_store(frame + 36, to);
    driver_offer(d, 2 * pair + 1, &out, 1);
    driver_kick(d, 2 * pair + 1);
    for (u32 q = 0; q < 6; q += 2) {
        if (driver_used(d, q, &id, &len))
            found = q;
    }
    return found;
}

TEST(flows_come_in_at_the_pair_that_sent_them)
{
    struct virtio_net_config config = {.net = &loopback.net, .pairs = 3};
    struct driver *d;
    gpa_t tx, rx;
    bool seen[3] = {false};

    loopback_init(&loopback);
    virtio_net_init(&net, &config);
    d = driver_create(virtio_net_dev(&net));
    tx = driver_alloc(d, 2048);
    rx = driver_alloc(d, 2048);
    driver_start(d, VIRTIO_NET_F_CTRL_VQ | VIRTIO_NET_F_MQ, 64);
    for (u32 q = 0; q < 6; q += 2) {
        for (u32 i = 0; i < 60; i++)
            driver_offer(d, q, &(struct driver_seg){rx, 2048, true}, 1);
    }
    CHECK_EQ(comes_back_at(d, tx, 0, 1000, 2000), 0);
    CHECK_EQ(comes_back_at(d, tx, 1, 1000, 2000), UINT32_MAX); /* not yet in use */
    CHECK_EQ(pairs_set(d, 6, 0), 1);
    CHECK_EQ(pairs_set(d, 6, 4), 1);
    CHECK_EQ(pairs_set(d, 6, 3), 0);
    driver_kick(d, 3);
    for (u16 port = 1; port < 30; port++) {
        u32 pair = port % 3;

        CHECK_EQ(comes_back_at(d, tx, pair, port, 2000), 2 * pair);
        seen[pair] = true;
        CHECK_EQ(comes_back_at(d, tx, (pair + 1) % 3, 2000, port), 2 * ((pair + 1) % 3));
    }
    CHECK(seen[0] && seen[1] && seen[2]);
    driver_destroy(d);
    /* Without the feature there is one pair, and the queue behind it controls. */
    d = driver_create(virtio_net_dev(&net));
    driver_start(d, VIRTIO_NET_F_CTRL_VQ, 16);
    CHECK_EQ(pairs_set(d, 2, 1), 1);
    driver_destroy(d);
}

/* ---- filters ---- */

#define CHOOSES                                                                 \
    (VIRTIO_NET_F_CTRL_VQ | VIRTIO_NET_F_CTRL_RX | VIRTIO_NET_F_CTRL_RX_EXTRA | \
     VIRTIO_NET_F_CTRL_VLAN | VIRTIO_NET_F_GUEST_ANNOUNCE | VIRTIO_NET_F_MAC)

enum { OWN, OTHER, LISTED, BROADCAST, MULTI, MULTI_LISTED, TO_COUNT };
static const u8 to_mac[TO_COUNT][6] = {
    {0x52, 0x54, 0, 0x12, 0x34, 0x56}, {0x52, 1, 1, 1, 1, 1}, {0x52, 2, 2, 2, 2, 2},
    {255, 255, 255, 255, 255, 255},    {1, 0, 0x5e, 0, 0, 1}, {0x33, 0x33, 0, 0, 0, 1},
};

/* Does a frame get to the driver? */
static bool comes(struct driver *d, const u8 mac[6], int vlan)
{
    u8 bytes[60] = {0};
    struct net_frame frame = {bytes, sizeof(bytes), {0}};
    u16 id;
    u32 len;

    memcpy(bytes, mac, 6);
    if (vlan >= 0) {
        be16_store(bytes + 12, 0x8100);
        be16_store(bytes + 14, (u16)vlan);
    }
    driver_offer(d, 0, &(struct driver_seg){driver_alloc(d, 128), 128, true}, 1);
    CHECK(peer.device.receive(peer.device.ctx, &frame));
    if (driver_used(d, 0, &id, &len))
        return true;
    be16_store(bytes + 12, 0); /* a frame for its own address takes the buffer away again */
    memcpy(bytes, to_mac[OWN], 6);
    command(d, 2, (const u8[]){0, 0, 1}, 3);
    CHECK(peer.device.receive(peer.device.ctx, &frame));
    command(d, 2, (const u8[]){0, 0, 0}, 3);
    CHECK(driver_used(d, 0, &id, &len));
    return false;
}

/* Bit i: frames to to_mac[i] come. */
static u32 all_that_come(struct driver *d)
{
    u32 set = 0;

    for (u32 i = 0; i < TO_COUNT; i++)
        set |= (u32)comes(d, to_mac[i], -1) << i;
    return set;
}

/* MAC_TABLE_SET with so many entries of each kind, the last of which is in to_mac. */
static u8 tables_set(struct driver *d, u32 unicast, u32 multicast, int more)
{
    static u8 bytes[4096];
    u8 *at = bytes + 2;

    memset(bytes, 0, sizeof(bytes));
    bytes[0] = 1;
    for (u32 kind = 0; kind < 2; kind++) {
        u32 count = kind ? multicast : unicast;

        le32_store(at, count);
        at += 4;
        for (u32 i = 0; i < count; i++, at += 6) {
            memcpy(at, to_mac[kind ? MULTI_LISTED : LISTED], 6);
            at[5] = (u8)(at[5] + count - 1 - i);
        }
    }
    return command(d, 2, bytes, (u32)(at - bytes) + (u32)more);
}

TEST(frames_come_that_are_asked_for)
{
    static const struct {
        u8 mode;
        u32 set; /* of frames that come while it is on */
    } modes[] = {
        {1, BIT(OWN) | BIT(LISTED) | BIT(BROADCAST) | BIT(MULTI) | BIT(MULTI_LISTED)},
        {2, BIT(OWN) | BIT(OTHER) | BIT(LISTED) | BIT(BROADCAST) | BIT(MULTI_LISTED)},
        {3, BIT(OWN) | BIT(LISTED) | BIT(BROADCAST)},
        {4, BIT(BROADCAST) | BIT(MULTI_LISTED)},
        {5, BIT(OWN) | BIT(LISTED) | BIT(MULTI_LISTED)},
    };
    const u32 usual = BIT(OWN) | BIT(LISTED) | BIT(BROADCAST) | BIT(MULTI_LISTED);
    struct driver *d = setup_peer(CHOOSES);

    CHECK_EQ(all_that_come(d), BIT(TO_COUNT) - 1); /* nothing was asked for yet */
    CHECK_EQ(command(d, 2, (const u8[]){0, 0, 0}, 3), 0);
    CHECK_EQ(all_that_come(d), BIT(OWN) | BIT(BROADCAST));
    CHECK_EQ(tables_set(d, 3, 5, 0), 0);
    CHECK_EQ(all_that_come(d), usual);
    for (u32 i = 0; i < ARRAY_SIZE(modes); i++) {
        CHECK_EQ(command(d, 2, (const u8[]){0, modes[i].mode, 1}, 3), 0);
        CHECK_EQ(all_that_come(d), modes[i].set);
        CHECK_EQ(command(d, 2, (const u8[]){0, modes[i].mode, 0}, 3), 0);
        CHECK_EQ(all_that_come(d), usual);
    }
    CHECK_EQ(command(d, 2, (const u8[]){0, 6, 1}, 3), 1);
    CHECK_EQ(command(d, 2, (const u8[]){0, 1, 2}, 3), 1);
    CHECK_EQ(all_that_come(d), usual);
    CHECK_EQ(net.dropped, 0);
    driver_destroy(d);
}

TEST(tables_of_addresses_are_bounded_and_whole)
{
    const u32 none = BIT(OWN) | BIT(BROADCAST), multi = BIT(MULTI) | BIT(MULTI_LISTED);
    struct driver *d = setup_peer(CHOOSES);

    CHECK_EQ(command(d, 2, (const u8[]){0, 0, 0}, 3), 0);
    CHECK_EQ(tables_set(d, 64, 64, 0), 0);
    CHECK_EQ(all_that_come(d), none | BIT(LISTED) | BIT(MULTI_LISTED));
    CHECK_EQ(tables_set(d, 65, 0, 0), 0);
    CHECK_EQ(all_that_come(d), none | BIT(LISTED) | BIT(OTHER));
    CHECK_EQ(tables_set(d, 0, 300, 0), 0);
    CHECK_EQ(all_that_come(d), none | multi);
    CHECK_EQ(tables_set(d, 0, 0, 0), 0);
    CHECK_EQ(all_that_come(d), none);
    /* Too short, too long, with a count that wraps: all stays as it was. */
    CHECK_EQ(tables_set(d, 1, 1, -1), 1);
    CHECK_EQ(tables_set(d, 1, 1, 1), 1);
    CHECK_EQ(tables_set(d, 1, 0, -4), 1);
    CHECK_EQ(command(d, 2, (const u8[]){1, 0}, 2), 1);
    CHECK_EQ(command(d, 2, (const u8[]){1, 0, 0xab, 0xaa, 0xaa, 0x2a, 0, 0, 0, 0}, 10), 1);
    CHECK_EQ(command(d, 2, (const u8[]){1, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, 10), 1);
    CHECK_EQ(all_that_come(d), none);
    driver_destroy(d);
}

TEST(vlans_come_that_are_asked_for)
{
    struct driver *d = setup_peer(CHOOSES);

    CHECK(comes(d, to_mac[OWN], 5));
    CHECK_EQ(command(d, 2, (const u8[]){0, 0, 0}, 3), 0);
    CHECK(!comes(d, to_mac[OWN], 5));
    CHECK(comes(d, to_mac[OWN], 0xe000)); /* a priority, and no VLAN */
    CHECK_EQ(command(d, 2, (const u8[]){2, 0, 0xff, 0x0f}, 4), 0);
    CHECK_EQ(command(d, 2, (const u8[]){2, 0, 5, 0}, 4), 0);
    CHECK(comes(d, to_mac[OWN], 5) && comes(d, to_mac[OWN], 0x6005));
    CHECK(comes(d, to_mac[OWN], 0xfff) && !comes(d, to_mac[OWN], 4));
    CHECK(!comes(d, to_mac[OTHER], 5));
    CHECK_EQ(command(d, 2, (const u8[]){2, 1, 5, 0}, 4), 0);
    CHECK(!comes(d, to_mac[OWN], 5) && comes(d, to_mac[OWN], 0xfff));
    CHECK_EQ(command(d, 2, (const u8[]){2, 0, 0, 0x10}, 4), 1);
    CHECK_EQ(command(d, 2, (const u8[]){2, 2, 5, 0}, 4), 1);
    CHECK_EQ(command(d, 2, (const u8[]){2, 0, 5}, 3), 1);
    driver_destroy(d);
    /* Who does not know of the filter gets all. */
    d = setup_peer(CHOOSES & ~VIRTIO_NET_F_CTRL_VLAN);
    CHECK_EQ(command(d, 2, (const u8[]){0, 0, 0}, 3), 0);
    CHECK(comes(d, to_mac[OWN], 5));
    CHECK_EQ(command(d, 2, (const u8[]){2, 0, 5, 0}, 4), 1);
    driver_destroy(d);
}

TEST(the_driver_is_asked_to_announce_itself)
{
    struct driver *d = setup_peer(CHOOSES);

    driver_interrupted(d, VIRTIO_ISR_CONFIG);
    peer.device.announce(peer.device.ctx);
    CHECK(driver_interrupted(d, VIRTIO_ISR_CONFIG));
    CHECK_EQ(fake_read(&d->mmio.device, R_CONFIG + 6, 2), 3);
    CHECK_EQ(command(d, 2, (const u8[]){3, 1}, 2), 1);
    CHECK_EQ(fake_read(&d->mmio.device, R_CONFIG + 6, 2), 3);
    CHECK_EQ(command(d, 2, (const u8[]){3, 0}, 2), 0);
    CHECK_EQ(fake_read(&d->mmio.device, R_CONFIG + 6, 2), 1);
    peer.device.link(peer.device.ctx, false);
    peer.device.announce(peer.device.ctx);
    CHECK_EQ(fake_read(&d->mmio.device, R_CONFIG + 6, 2), 0);
    peer.device.link(peer.device.ctx, true);
    peer.device.announce(peer.device.ctx);
    CHECK_EQ(fake_read(&d->mmio.device, R_CONFIG + 6, 2), 3);
    driver_put(d, R_STATUS, 0);
    CHECK_EQ(fake_read(&d->mmio.device, R_CONFIG + 6, 2), 1);
    driver_destroy(d);
    d = setup_peer(CHOOSES & ~VIRTIO_NET_F_GUEST_ANNOUNCE);
    peer.device.announce(peer.device.ctx);
    CHECK_EQ(fake_read(&d->mmio.device, R_CONFIG + 6, 2), 1);
    driver_destroy(d);
}

TEST_MAIN()
