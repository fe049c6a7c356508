/* SPDX-License-Identifier: BSD-2-Clause */
/* The device core's dispatch, widths and masks, and the map of addresses. */
#include "device/map.h"

#include "tests/fake.h"
#include "tests/test.h"

struct toy {
    struct device dev;
    u32 plain;
    u32 flags;
    u64 wide[3];
    u8 byte;
    u32 deferred_runs;
    u64 last_value;
    u32 last_index;
};

static void wide_wrote(struct device *dev, u32 index, u64 value)
{
    struct toy *toy = CONTAINER_OF(dev, struct toy, dev);

    toy->last_value = value;
    toy->last_index = index;
    dev->deferred = true;
}

static void toy_deferred(struct device *dev)
{
    struct toy *toy = CONTAINER_OF(dev, struct toy, dev);

    device_lock(dev); /* must not be held */
    toy->deferred_runs++;
    device_unlock(dev);
}

#define AT(f) offsetof(struct toy, f)
static const struct reg toy_regs[] = {
    {"plain", 0x0, 4, .field = AT(plain), .reset = 0x1234, .rw = 0xffff},
    {"flags", 0x4, 4, W1 | W2 | W4, .field = AT(flags), .reset = 0xff0f, .rw = 0xf0, .w1c = 0xff0f},
    {"wide", 0x10, 8, W4 | W8, .count = 3, .stride = 0x10, .field = AT(wide), .rw = UINT64_MAX,
     .wrote = wide_wrote},
    {"byte", 0x40, 1, W1 | W4, .field = AT(byte), .rw = 0xff},
};
static const struct device_class toy_class = {
    .name = "toy",
    .mmio_size = 0x100,
    .regs = toy_regs,
    .reg_count = ARRAY_SIZE(toy_regs),
    .deferred = toy_deferred,
};

static struct toy toy;
static struct fake_log log_record;
static struct log log_port;

static struct device *toy_make(void)
{
    memset(&toy, 0, sizeof(toy));
    memset(&log_record, 0, sizeof(log_record));
    log_port = fake_log_port(&log_record);
    device_init(&toy.dev, &toy_class, "toy", 0x1000, &log_port);
    device_reset(&toy.dev);
    return &toy.dev;
}

TEST(masks_and_reset)
{
    struct device *dev = toy_make();

    CHECK_EQ(fake_read(dev, 0, 4), 0x1234);
    fake_write(dev, 0, 4, 0xabcd5678);
    CHECK_EQ(fake_read(dev, 0, 4), 0x5678);
    fake_write(dev, 4, 4, 0x03f3);
    CHECK_EQ(fake_read(dev, 4, 4), 0xfcfc);
    device_reset(dev);
    CHECK_EQ(fake_read(dev, 0, 4), 0x1234);
    CHECK_EQ(fake_read(dev, 4, 4), 0xff0f);
}

TEST(partial_w1c_spares_other_bytes)
{
    struct device *dev = toy_make();

    fake_write(dev, 5, 1, 0x81);
    CHECK_EQ(fake_read(dev, 4, 4), 0x7e0f);
    CHECK_EQ(fake_read(dev, 4, 2), 0x7e0f);
    CHECK_EQ(fake_read(dev, 5, 1), 0x7e);
}

TEST(arrays_and_halves)
{
    struct device *dev = toy_make();

    fake_write(dev, 0x20, 8, UINT64_C(0x1122334455667788));
    CHECK_EQ(toy.last_index, 1);
    CHECK_EQ(fake_read(dev, 0x24, 4), 0x11223344);
    fake_write(dev, 0x24, 4, 0xaabbccdd);
    CHECK_EQ(toy.last_value, UINT64_C(0xaabbccdd55667788));
    CHECK_EQ(fake_read(dev, 0x20, 8), UINT64_C(0xaabbccdd55667788));
    CHECK_EQ(fake_read(dev, 0x10, 8), 0);
    CHECK_EQ(toy.deferred_runs, 2);
}

TEST(wider_than_register)
{
    struct device *dev = toy_make();

    fake_write(dev, 0x40, 4, 0x12345678);
    CHECK_EQ(fake_read(dev, 0x40, 4), 0x78);
}

TEST(refused_accesses)
{
    struct device *dev = toy_make();
    u64 value;

    CHECK(!device_read(dev, 0, 8, &value));
    CHECK(!device_read(dev, 2, 2, &value));
    CHECK(!device_read(dev, 8, 4, &value));
    CHECK(!device_write(dev, 0x18, 8, 0)); /* between elements */
    CHECK(!device_write(dev, 0x40, 2, 0));
    CHECK(!device_read(dev, 0x100, 4, &value));
    CHECK(!device_read(dev, 2, 4, &value));
    CHECK(!device_read(dev, UINT64_MAX - 3, 4, &value));
    CHECK_EQ(log_record.lines, 8);
    for (u32 i = 0; i < 10000; i++)
        CHECK(!device_read(dev, 8, 4, &value));
    CHECK(log_record.lines < 32);
}

TEST(map_finds_and_refuses)
{
    static struct toy many[70];
    struct device_map map = {0};
    struct bus bus;
    u64 value;

    memset(many, 0, sizeof(many));
    for (u32 i = 0; i < DEVICE_MAP_MAX; i++) { /* inner ones last: insertion in the middle */
        u32 at = i * 37 % DEVICE_MAP_MAX;
        device_init(&many[i].dev, &toy_class, "toy", 0x10000 + at * 0x200, NULL);
        CHECK(device_map_add(&map, &many[i].dev));
    }
    CHECK_EQ(map.count, DEVICE_MAP_MAX);
    for (u32 i = 0; i < DEVICE_MAP_MAX; i++) {
        gpa_t base = many[i].dev.base;
        CHECK(device_map_find(&map, base) == &many[i].dev);
        CHECK(device_map_find(&map, base + 0xff) == &many[i].dev);
        CHECK(!device_map_find(&map, base + 0x100));
    }
    CHECK(!device_map_find(&map, 0xffff));
    CHECK(!device_map_find(&map, UINT64_MAX));
    device_init(&many[65].dev, &toy_class, "toy", 0, NULL);
    CHECK(!device_map_add(&map, &many[65].dev)); /* full */
    bus = device_map_bus(&map);
    CHECK(bus.write(bus.ctx, 0x10010, 8, 77));
    CHECK(bus.read(bus.ctx, 0x10010, 8, &value));
    CHECK_EQ(value, 77);
    CHECK(!bus.read(bus.ctx, 0x10100, 4, &value));
    device_map_reset(&map);
    CHECK(bus.read(bus.ctx, 0x10000, 4, &value));
    CHECK_EQ(value, 0x1234);
}

TEST(map_overlaps)
{
    struct device_map map = {0};
    struct toy a = {0}, b = {0};
    static const gpa_t bad[] = {0x1000, 0x0f01, 0x10ff, UINT64_MAX - 0x10};

    device_init(&a.dev, &toy_class, "a", 0x1000, NULL);
    CHECK(device_map_add(&map, &a.dev));
    for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
        device_init(&b.dev, &toy_class, "b", bad[i], NULL);
        CHECK(!device_map_add(&map, &b.dev));
    }
    device_init(&b.dev, &toy_class, "b", 0x0f00, NULL);
    CHECK(device_map_add(&map, &b.dev));
}

TEST(hostile)
{
    struct device *dev = toy_make();

    fake_hammer(dev, 0x100, 20, 1);
}

TEST_MAIN()
