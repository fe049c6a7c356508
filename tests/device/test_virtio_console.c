/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtio console: both directions, back pressure, size, emergency write. */
#include "device/virtio/console.h"
#include "tests/virtio_driver.h"

static struct fake_chardev out;
static struct chardev port;
static struct virtio_console console;

static struct driver *setup(void)
{
    struct virtio_console_config config = {.chardev = &port, .cols = 80, .rows = 25};

    memset(&out, 0, sizeof(out));
    port = fake_chardev_port(&out);
    virtio_console_init(&console, &config);
    return driver_create(virtio_console_dev(&console));
}

TEST(sends_in_every_ring_mode)
{
    for (u32 mode = 0; mode < DRIVER_MODES; mode++) {
        struct driver *d = setup();
        gpa_t buf = driver_alloc(d, 4096);
        struct driver_seg seg[3] = {
            {buf, 1, false}, {buf + 1, 1200, false}, {buf + 1201, 3, false}};
        u16 id, want;
        u32 len = 7;

        driver_start(d, driver_mode(mode), 8);
        for (u32 i = 0; i < 1204; i++)
            driver_at(d, buf)[i] = (u8)(i * 7);
        for (u32 i = 0; i < 3; i++) {
            want = driver_offer(d, 1, seg, 3);
            driver_kick(d, 1);
            CHECK(driver_used(d, 1, &id, &len));
            CHECK_EQ(id, want);
            CHECK_EQ(len, 0);
        }
        CHECK_EQ(out.len, 3 * 1204);
        for (u32 i = 0; i < 3 * 1204; i++)
            if (out.bytes[i] != (u8)(i % 1204 * 7))
                CHECK(!"a byte differs");
        CHECK(driver_interrupted(d, VIRTIO_ISR_QUEUE));
        driver_destroy(d);
    }
}

TEST(receives_with_back_pressure)
{
    for (u32 mode = 0; mode < DRIVER_MODES; mode++) {
        struct driver *d = setup();
        gpa_t buf = driver_alloc(d, 64);
        struct driver_seg seg = {buf, 8, true}, seg2 = {buf + 8, 8, true};
        u16 id;
        u32 len;

        CHECK_EQ(virtio_console_receive(&console, (const u8 *)"early", 5), 0);
        driver_start(d, driver_mode(mode), 8);
        CHECK_EQ(out.rooms, 1);
        CHECK_EQ(virtio_console_receive(&console, (const u8 *)"x", 1), 0);
        driver_offer(d, 0, &seg, 1);
        driver_offer(d, 0, &seg2, 1);
        driver_kick(d, 0);
        CHECK_EQ(out.rooms, 2);
        CHECK_EQ(virtio_console_receive(&console, (const u8 *)"hello, world and all", 20), 16);
        CHECK(driver_used(d, 0, &id, &len));
        CHECK_EQ(len, 8);
        CHECK(driver_used(d, 0, &id, &len));
        CHECK(!memcmp(driver_at(d, buf), "hello, world and", 16));
        CHECK(driver_interrupted(d, VIRTIO_ISR_QUEUE));
        CHECK(!driver_interrupted(d, VIRTIO_ISR_QUEUE));
        driver_offer(d, 0, &seg, 1);
        driver_kick(d, 0);
        CHECK_EQ(out.rooms, 3);
        driver_destroy(d);
    }
}

TEST(size_is_configuration)
{
    struct driver *d = setup();
    u32 generation = driver_get(d, R_GENERATION);

    driver_start(d, BIT(0), 8);
    CHECK_EQ(fake_read(&d->mmio.device, R_CONFIG, 2), 80);
    CHECK_EQ(fake_read(&d->mmio.device, R_CONFIG + 2, 2), 25);
    CHECK_EQ(fake_read(&d->mmio.device, R_CONFIG + 4, 4), 1);
    virtio_console_resize(&console, 132, 50);
    CHECK(driver_interrupted(d, VIRTIO_ISR_CONFIG));
    CHECK(driver_get(d, R_GENERATION) != generation);
    CHECK_EQ(fake_read(&d->mmio.device, R_CONFIG, 4), 50u << 16 | 132);
    driver_destroy(d);
}

TEST(emergency_write_needs_no_driver)
{
    struct driver *d = setup();

    fake_write(&d->mmio.device, R_CONFIG + 8, 4, '!');
    fake_write(&d->mmio.device, R_CONFIG + 8, 1, '?');
    fake_write(&d->mmio.device, R_CONFIG + 4, 4, '#');
    CHECK_EQ(out.len, 2);
    CHECK(!memcmp(out.bytes, "!?", 2));
    driver_destroy(d);
}

/* The back end resets the device from under it while a chain is being sent. */
static struct driver *reset_me;
static void resetting_write(void *ctx, const u8 *bytes, size_t len)
{
    if (reset_me)
        driver_put(reset_me, R_STATUS, 0);
    reset_me = NULL;
}

TEST(reset_while_sending)
{
    struct driver *d = setup();
    gpa_t buf = driver_alloc(d, 4096);
    struct driver_seg seg = {buf, 4096, false};
    u16 id;
    u32 len;

    driver_start(d, 0, 8);
    port.write = resetting_write;
    reset_me = d;
    driver_offer(d, 1, &seg, 1);
    driver_kick(d, 1);
    CHECK(!driver_used(d, 1, &id, &len));
    CHECK_EQ(driver_get(d, R_STATUS), 0);
    port.write = fake_chardev_write;
    driver_start(d, 0, 8);
    driver_offer(d, 1, &seg, 1);
    driver_kick(d, 1);
    CHECK(driver_used(d, 1, &id, &len));
    CHECK_EQ(out.len, 4096);
    driver_destroy(d);
}

TEST_MAIN()
