/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtio over MMIO: registers, status machine, features, widths, empty slot, hostile accesses. */
#include "device/virtio/console.h"
#include "device/virtio/rng.h"
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

TEST(identity)
{
    struct driver *d = setup();

    CHECK_EQ(driver_get(d, R_MAGIC), 0x74726976);
    CHECK_EQ(driver_get(d, R_VERSION), 2);
    CHECK_EQ(driver_get(d, R_DEVICE_ID), 3);
    CHECK_EQ(driver_get(d, R_STATUS), 0);
    CHECK_EQ(driver_offered(d) & ~(u64)7, VIRTIO_F_VERSION_1 | VIRTIO_F_RING_PACKED |
                                              VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX);
    driver_put(d, R_DEVICE_FEATURES_SEL, 2);
    CHECK_EQ(driver_get(d, R_DEVICE_FEATURES), 0);
    for (u32 i = 0; i < 4; i++)
        CHECK_EQ(driver_get(d, 0xb0 + 4 * i), UINT32_MAX);
    driver_destroy(d);
}

TEST(empty_slot)
{
    struct driver *d = driver_create(NULL);

    CHECK_EQ(driver_get(d, R_MAGIC), 0x74726976);
    CHECK_EQ(driver_get(d, R_VERSION), 2);
    CHECK_EQ(driver_get(d, R_DEVICE_ID), 0);
    fake_hammer(&d->mmio.device, VIRTIO_MMIO_SIZE, 20, 1);
    CHECK_EQ(driver_get(d, R_STATUS), 0);
    CHECK_EQ(d->irq.rises[DRIVER_LINE], 0);
    driver_destroy(d);
}

TEST(features_are_checked)
{
    struct driver *d = setup();

    CHECK(!driver_negotiate(d, 0)); /* legacy is gone */
    CHECK(!driver_negotiate(d, VIRTIO_F_VERSION_1 | BIT(50)));
    CHECK(!driver_negotiate(d, VIRTIO_F_VERSION_1 | BIT(1)));
    CHECK(driver_negotiate(d, VIRTIO_F_VERSION_1));
    /* Fixed once agreed. */
    driver_put(d, R_DRIVER_FEATURES_SEL, 0);
    driver_put(d, R_DRIVER_FEATURES, UINT32_MAX);
    driver_put(d, R_STATUS, 0xf);
    CHECK_EQ(driver_get(d, R_STATUS), 0xf);
    CHECK_EQ(console.dev.accepted, VIRTIO_F_VERSION_1);
    driver_destroy(d);
}

TEST(status_goes_forward_only)
{
    struct driver *d = setup();

    driver_put(d, R_STATUS, VIRTIO_DRIVER_OK); /* without FEATURES_OK */
    CHECK_EQ(driver_get(d, R_STATUS), 0);
    CHECK(driver_negotiate(d, VIRTIO_F_VERSION_1));
    driver_put(d, R_STATUS, VIRTIO_ACKNOWLEDGE);
    CHECK_EQ(driver_get(d, R_STATUS), 0xb);
    driver_put(d, R_STATUS, 0xffffffff);
    CHECK_EQ(driver_get(d, R_STATUS), 0x8f); /* NEEDS_RESET is not the driver's */
    driver_put(d, R_STATUS, 0);
    CHECK_EQ(driver_get(d, R_STATUS), 0);
    driver_destroy(d);
}

TEST(queue_registers)
{
    struct driver *d = setup();

    driver_put(d, R_QUEUE_SEL, 1);
    CHECK_EQ(driver_get(d, R_QUEUE_SIZE_MAX), 64);
    driver_put(d, R_QUEUE_SEL, 2);
    CHECK_EQ(driver_get(d, R_QUEUE_SIZE_MAX), 0);
    driver_put(d, R_QUEUE_READY, 1);
    CHECK_EQ(driver_get(d, R_QUEUE_READY), 0);
    driver_put(d, R_QUEUE_SEL, UINT32_MAX);
    CHECK_EQ(driver_get(d, R_QUEUE_SIZE_MAX), 0);
    /* Before FEATURES_OK nothing starts. */
    driver_queue_up(d, 0, 8);
    CHECK_EQ(driver_get(d, R_QUEUE_READY), 0);
    driver_start(d, 0, 8);
    driver_put(d, R_QUEUE_SEL, 0);
    CHECK_EQ(driver_get(d, R_QUEUE_READY), 1);
    CHECK_EQ(driver_get(d, R_QUEUE_DESC), (u32)d->queue[0].desc);
    /* A running queue stands still. */
    driver_put_area(d, R_QUEUE_DESC, 0x1234);
    driver_put(d, R_QUEUE_SIZE, 2);
    CHECK_EQ(driver_get(d, R_QUEUE_DESC), (u32)d->queue[0].desc);
    driver_put(d, R_QUEUE_READY, 0);
    CHECK_EQ(driver_get(d, R_QUEUE_READY), 0);
    driver_destroy(d);
}

TEST(kicks_before_the_driver_is_ready_wait)
{
    struct driver *d = setup();
    gpa_t buf = driver_alloc(d, 16);
    u16 id;
    u32 len;

    CHECK(driver_negotiate(d, VIRTIO_F_VERSION_1));
    driver_queue_up(d, 1, 8);
    driver_offer(d, 1, &(struct driver_seg){buf, 4, false}, 1);
    driver_kick(d, 1);
    driver_kick(d, 77);
    driver_kick(d, UINT32_MAX);
    CHECK(!driver_used(d, 1, &id, &len));
    driver_put(d, R_STATUS, 0xf);
    CHECK(driver_used(d, 1, &id, &len));
    CHECK_EQ(out.len, 4);
    driver_destroy(d);
}

TEST(interrupt_is_a_level)
{
    struct driver *d = setup();
    gpa_t buf = driver_alloc(d, 16);

    driver_start(d, BIT(0), 8);
    driver_offer(d, 1, &(struct driver_seg){buf, 4, false}, 1);
    driver_kick(d, 1);
    virtio_console_resize(&console, 1, 2);
    CHECK_EQ(driver_get(d, R_ISR), 3);
    CHECK(d->irq.level[DRIVER_LINE]);
    driver_put(d, R_ACK, 1);
    CHECK_EQ(driver_get(d, R_ISR), 2);
    CHECK(d->irq.level[DRIVER_LINE]);
    driver_put(d, R_ACK, 0xffffffff);
    CHECK_EQ(driver_get(d, R_ISR), 0);
    CHECK(!d->irq.level[DRIVER_LINE]);
    virtio_console_resize(&console, 3, 4);
    CHECK(d->irq.level[DRIVER_LINE]);
    driver_put(d, R_STATUS, 0);
    CHECK(!d->irq.level[DRIVER_LINE]);
    CHECK_EQ(driver_get(d, R_ISR), 0);
    driver_destroy(d);
}

TEST(widths)
{
    struct driver *d = setup();
    u64 value;

    CHECK_EQ(fake_read(&d->mmio.device, R_CONFIG, 1), 80);
    CHECK_EQ(fake_read(&d->mmio.device, R_CONFIG, 8), UINT64_C(0x100190050));
    CHECK_EQ(fake_read(&d->mmio.device, R_CONFIG + 12, 4), UINT32_MAX);
    CHECK_EQ(fake_read(&d->mmio.device, R_CONFIG + 8, 8), UINT64_MAX);
    CHECK(!device_read(&d->mmio.device, R_MAGIC, 1, &value));
    CHECK(!device_read(&d->mmio.device, R_MAGIC, 2, &value));
    CHECK(!device_write(&d->mmio.device, R_STATUS, 1, 1));
    CHECK(device_read(&d->mmio.device, 0x0c0, 4, &value));
    CHECK_EQ(value, 0);
    driver_destroy(d);
}

TEST(hammered)
{
    struct driver *d = setup();

    for (u32 i = 0; i < 20; i++) {
        driver_start(d, driver_mode(i % DRIVER_MODES), 8);
        fake_hammer(&d->mmio.device, VIRTIO_MMIO_SIZE, 20, i);
    }
    driver_destroy(d);
}

TEST(board_reset)
{
    struct driver *d = setup();

    driver_start(d, 0, 8);
    device_reset(&d->mmio.device);
    CHECK_EQ(driver_get(d, R_STATUS), 0);
    CHECK_EQ(driver_get(d, R_QUEUE_READY), 0);
    driver_start(d, VIRTIO_F_RING_PACKED, 8);
    driver_destroy(d);
}

TEST_MAIN()
