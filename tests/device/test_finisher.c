/* SPDX-License-Identifier: BSD-2-Clause */
/* The test finisher's three requests, and that nothing else ends a machine. */
#include "device/finisher.h"

#include "tests/fake.h"
#include "tests/test.h"

static struct finisher finisher;
static u32 exits, last_action, last_code;

static void exited(void *ctx, enum finisher_action action, u32 code)
{
    exits++;
    last_action = action;
    last_code = code;
    device_reset(ctx); /* as a board may: no lock is held */
}

static struct device *make(void)
{
    struct finisher_config config = {.id = "test", .exit = exited, .ctx = &finisher.dev};

    exits = 0;
    finisher_init(&finisher, &config);
    return &finisher.dev;
}

TEST(requests)
{
    struct device *dev = make();

    fake_write(dev, 0, 4, 0x5555);
    CHECK_EQ(exits, 1);
    CHECK_EQ(last_action, FINISHER_PASS);
    CHECK_EQ(last_code, 0);
    fake_write(dev, 0, 4, 0x002a3333);
    CHECK_EQ(last_action, FINISHER_FAIL);
    CHECK_EQ(last_code, 42);
    fake_write(dev, 0, 2, 0x7777);
    CHECK_EQ(last_action, FINISHER_RESET);
    CHECK_EQ(exits, 3);
}

TEST(others_are_ignored)
{
    struct device *dev = make();
    u64 value;

    fake_write(dev, 0, 4, 0);
    fake_write(dev, 0, 4, 0x55550000);
    fake_write(dev, 2, 2, 0x5555);
    fake_write(dev, 4, 4, 0x5555);
    CHECK_EQ(fake_read(dev, 0, 4), 0);
    CHECK(!device_write(dev, 0, 1, 0x55));
    CHECK(!device_read(dev, 0, 8, &value));
    CHECK_EQ(exits, 0);
}

TEST(hostile)
{
    fake_hammer(make(), 0x20, 200, 8);
}

TEST_MAIN()
