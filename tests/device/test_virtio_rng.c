/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtio entropy device: every ring mode, bounds, turns of the ring. */
#include "device/virtio/rng.h"
#include "tests/virtio_driver.h"

static void fill(void *ctx, void *buf, size_t len)
{
    u8 *next = ctx;

    for (size_t i = 0; i < len; i++)
        ((u8 *)buf)[i] = (*next)++ | 1;
}

static u8 seed;
static struct virtio_rng rng;

static struct driver *setup(void)
{
    struct virtio_rng_config config = {.entropy = {fill, &seed}};

    virtio_rng_init(&rng, &config);
    return driver_create(virtio_rng_dev(&rng));
}

TEST(fills_in_every_ring_mode_over_many_turns)
{
    for (u32 mode = 0; mode < DRIVER_MODES; mode++) {
        struct driver *d = setup();
        gpa_t buf = driver_alloc(d, 64);

        driver_start(d, driver_mode(mode), 4);
        for (u32 i = 0; i < 300; i++) {
            struct driver_seg seg[2] = {{buf, 5, true}, {buf + 32, 7, true}};
            u16 id = 0, want;
            u32 len = 0;

            memset(driver_at(d, buf), 0, 64);
            want = driver_offer(d, 0, seg, 2);
            driver_kick(d, 0);
            CHECK(driver_used(d, 0, &id, &len));
            CHECK_EQ(id, want);
            CHECK_EQ(len, 12);
            CHECK(driver_at(d, buf)[4] && driver_at(d, buf)[32] && driver_at(d, buf)[38]);
            CHECK(!driver_at(d, buf)[5] && !driver_at(d, buf)[39]);
        }
        CHECK(!driver_needs_reset(d));
        driver_destroy(d);
    }
}

TEST(a_large_buffer_is_filled_in_part)
{
    struct driver *d = setup();
    gpa_t buf = driver_alloc(d, 65536);
    struct driver_seg seg = {buf, 65536, true};
    u16 id;
    u32 len = 0;

    driver_start(d, 0, 4);
    driver_offer(d, 0, &seg, 1);
    driver_kick(d, 0);
    CHECK(driver_used(d, 0, &id, &len));
    CHECK_EQ(len, 4096);
    CHECK(driver_at(d, buf)[4095]);
    CHECK(!driver_at(d, buf)[4096]);
    driver_destroy(d);
}

TEST(a_readable_buffer_gets_nothing)
{
    struct driver *d = setup();
    gpa_t buf = driver_alloc(d, 16);
    struct driver_seg seg = {buf, 16, false};
    u16 id;
    u32 len = 1;

    driver_start(d, 0, 4);
    driver_offer(d, 0, &seg, 1);
    driver_kick(d, 0);
    CHECK(driver_used(d, 0, &id, &len));
    CHECK_EQ(len, 0);
    CHECK(!driver_at(d, buf)[0]);
    driver_destroy(d);
}

TEST(a_buffer_over_the_rings_ends)
{
    struct driver *d = setup();

    driver_start(d, 0, 16);
    for (u32 i = 0; i < 16; i++) {
        struct driver_seg seg = {d->queue[0].desc, 1024, true};

        driver_offer(d, 0, &seg, 1);
    }
    driver_kick(d, 0);
    (void)driver_get(d, R_STATUS);
    driver_destroy(d);
}

TEST_MAIN()
