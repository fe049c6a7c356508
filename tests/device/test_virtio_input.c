/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtio input device: what it says of itself, and a key that is pressed. */
#include "device/virtio/input.h"
#include "tests/virtio_driver.h"

enum { EVENTS, STATUS };
enum { EVENT_SIZE = 8 };

static struct virtio_input input;

static struct driver *setup(void)
{
    static const u8 keys[] = {30, INPUT_KEY_POWER};

    virtio_input_init(&input,
                      &(struct virtio_input_config){.name = "Power", .key = keys, .key_count = 2});
    return driver_create(virtio_input_dev(&input));
}

static u8 config(u64 at)
{
    return (u8)virtio_config_read(&input.dev, at, 1);
}

/* The size of the answer. */
static u8 ask(u8 select, u8 subsel)
{
    CHECK(!virtio_config_write(&input.dev, 0, 1, select));
    CHECK(!virtio_config_write(&input.dev, 1, 1, subsel));
    return config(2);
}

TEST(it_says_what_it_has)
{
    struct driver *d = setup();

    CHECK_EQ(config(2), 0);
    CHECK_EQ(ask(1, 0), 5);
    CHECK_EQ(config(8), 'P');
    CHECK_EQ(config(12), 'r');
    CHECK_EQ(config(13), 0);
    CHECK_EQ(ask(2, 0), 0); /* no serial number */
    CHECK_EQ(config(8), 0);
    CHECK_EQ(ask(3, 0), 8);
    CHECK_EQ(ask(0x11, 1), INPUT_KEYS_MAX / 8);
    for (u32 i = 0; i < INPUT_KEYS_MAX / 8; i++)
        CHECK_EQ(config(8 + i), i == 3 ? 1 << 6 : i == INPUT_KEY_POWER / 8 ? 1 << 4 : 0);
    CHECK_EQ(ask(0x11, 2), 0); /* it does not move */
    CHECK_EQ(ask(255, 255), 0);
    driver_destroy(d);
}

TEST(only_what_is_asked_can_be_written)
{
    struct driver *d = setup();

    CHECK_EQ(ask(1, 0), 5);
    CHECK(!virtio_config_write(&input.dev, 2, 1, 200));
    CHECK(!virtio_config_write(&input.dev, 8, 8, UINT64_MAX));
    CHECK(!virtio_config_write(&input.dev, 0, 4, UINT64_MAX));
    CHECK(!virtio_config_write(&input.dev, 135, 8, UINT64_MAX));
    CHECK_EQ(config(0), 1);
    CHECK_EQ(config(2), 5);
    CHECK_EQ(config(8), 'P');
    CHECK(!virtio_config_write(&input.dev, 0, 2, 0x0111)); /* both at once */
    CHECK_EQ(config(2), INPUT_KEYS_MAX / 8);
    driver_destroy(d);
}

TEST(a_key_is_four_events)
{
    static const u8 want[4][EVENT_SIZE] = {
        {1, 0, INPUT_KEY_POWER, 0, 1}, {0}, {1, 0, INPUT_KEY_POWER, 0, 0}, {0}};

    for (u32 mode = 0; mode < DRIVER_MODES; mode++) {
        struct driver *d = setup();
        gpa_t buf = driver_alloc(d, 4 * EVENT_SIZE);

        CHECK(!virtio_input_press(&input, INPUT_KEY_POWER)); /* nobody is there */
        driver_start(d, driver_mode(mode), 8);
        CHECK(!virtio_input_press(&input, INPUT_KEY_POWER)); /* nor a buffer */
        for (u32 i = 0; i < 4; i++) {
            struct driver_seg seg = {buf + i * EVENT_SIZE, EVENT_SIZE, true};
            driver_offer(d, EVENTS, &seg, 1);
        }
        driver_kick(d, EVENTS);
        CHECK(virtio_input_press(&input, INPUT_KEY_POWER));
        for (u32 i = 0; i < 4; i++) {
            u16 id;
            u32 len = 0;
            CHECK(driver_used(d, EVENTS, &id, &len));
            CHECK_EQ(len, EVENT_SIZE);
            CHECK(!memcmp(driver_at(d, buf + i * EVENT_SIZE), want[i], EVENT_SIZE));
        }
        CHECK(!virtio_input_press(&input, INPUT_KEY_POWER)); /* no buffer is left */
        CHECK(!driver_needs_reset(d));
        driver_destroy(d);
    }
}

TEST(short_buffers_and_answers_do_no_harm)
{
    struct driver *d = setup();
    gpa_t buf = driver_alloc(d, 64);
    struct driver_seg seg = {buf, 3, true}, readable = {buf, 64, false};
    u16 id;
    u32 len = 0;

    driver_start(d, 0, 8);
    driver_offer(d, EVENTS, &seg, 1);
    driver_offer(d, EVENTS, &readable, 1);
    driver_kick(d, EVENTS);
    CHECK(!virtio_input_press(&input, INPUT_KEY_POWER));
    CHECK(driver_used(d, EVENTS, &id, &len));
    CHECK_EQ(len, 3);
    driver_offer(d, STATUS, &readable, 1);
    driver_kick(d, STATUS);
    CHECK(driver_used(d, STATUS, &id, &len));
    CHECK_EQ(len, 0);
    CHECK(!driver_needs_reset(d));
    driver_destroy(d);
}

TEST_MAIN()
