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

TEST_MAIN()
