/* SPDX-License-Identifier: BSD-2-Clause */
/* Goldfish RTC: reading and setting the time, the alarm. */
#include "device/goldfish_rtc.h"

#include "tests/fake.h"
#include "tests/test.h"

enum {
    TIME_LOW = 0x00,
    TIME_HIGH = 0x04,
    ALARM_LOW = 0x08,
    ALARM_HIGH = 0x0c,
    IRQ_ENABLED = 0x10,
    CLEAR_ALARM = 0x14,
    ALARM_STATUS = 0x18,
    CLEAR_INTERRUPT = 0x1c,
};

static struct goldfish_rtc rtc;
static struct fake_irq irq;
static struct fake_clock fake_time;
static struct fake_timers timers;

static struct device *make(void)
{
    struct goldfish_rtc_config config = {.id = "rtc", .base = 0x101000};

    memset(&irq, 0, sizeof(irq));
    fake_time = (struct fake_clock){.now = 1000, .wall = UINT64_C(1800000000123456789)};
    config.clock = fake_clock_port(&fake_time);
    config.timer = fake_timer_port(&timers, 0);
    config.irq = fake_irq_line(&irq, 11);
    goldfish_rtc_init(&rtc, &config);
    return &rtc.dev;
}

static u64 read_time(void)
{
    u64 low = fake_read(&rtc.dev, TIME_LOW, 4);

    return fake_read(&rtc.dev, TIME_HIGH, 4) << 32 | low;
}

static void set_alarm(u64 at)
{
    fake_write(&rtc.dev, ALARM_HIGH, 4, at >> 32);
    fake_write(&rtc.dev, ALARM_LOW, 4, (u32)at);
}

static void advance(u64 ns)
{
    fake_time.now += ns;
    fake_time.wall += ns;
}

TEST(tells_and_latches)
{
    struct device *dev = make();
    u64 low;

    CHECK_EQ(read_time(), fake_time.wall);
    low = fake_read(dev, TIME_LOW, 4);
    advance(UINT64_C(1) << 33);
    CHECK_EQ(fake_read(dev, TIME_HIGH, 4) << 32 | low, fake_time.wall - (UINT64_C(1) << 33));
}

TEST(setting_survives_reset)
{
    struct device *dev = make();

    fake_write(dev, TIME_HIGH, 4, 5);
    fake_write(dev, TIME_LOW, 4, 6);
    CHECK_EQ(read_time(), UINT64_C(0x500000006));
    advance(1000);
    device_reset(dev);
    CHECK_EQ(read_time(), UINT64_C(0x500000006) + 1000);
}

TEST(alarm_fires)
{
    struct device *dev = make();

    set_alarm(fake_time.wall + 5000);
    fake_write(dev, IRQ_ENABLED, 4, 1);
    CHECK_EQ(fake_read(dev, ALARM_STATUS, 4), 1);
    CHECK_EQ(timers.deadline[0], fake_time.now + 5000);
    advance(4999);
    goldfish_rtc_fired(&rtc, 0);
    CHECK(!irq.level[11]);
    CHECK_EQ(timers.deadline[0], fake_time.now + 1);
    advance(1);
    goldfish_rtc_fired(&rtc, 0);
    CHECK(irq.level[11]);
    CHECK_EQ(fake_read(dev, ALARM_STATUS, 4), 0);
    CHECK_EQ(timers.deadline[0], CLOCK_NEVER);
    fake_write(dev, CLEAR_INTERRUPT, 4, 1);
    CHECK(!irq.level[11]);
}

TEST(past_alarm_pends_until_enabled)
{
    struct device *dev = make();

    set_alarm(1);
    CHECK(!irq.level[11]);
    fake_write(dev, IRQ_ENABLED, 4, 1);
    CHECK(irq.level[11]);
    fake_write(dev, IRQ_ENABLED, 4, 0);
    CHECK(!irq.level[11]);
}

TEST(cleared_alarm_stays_silent)
{
    struct device *dev = make();

    fake_write(dev, IRQ_ENABLED, 4, 1);
    set_alarm(fake_time.wall + 10);
    fake_write(dev, CLEAR_ALARM, 4, 1);
    CHECK_EQ(timers.deadline[0], CLOCK_NEVER);
    advance(20);
    goldfish_rtc_fired(&rtc, 0);
    CHECK(!irq.level[11]);
}

TEST(setting_time_past_the_alarm_fires)
{
    struct device *dev = make();

    fake_write(dev, IRQ_ENABLED, 4, 1);
    set_alarm(fake_time.wall + (UINT64_C(1) << 34));
    fake_write(dev, TIME_HIGH, 4, 0x7fffffff);
    CHECK(irq.level[11]);
}

TEST(far_alarm_does_not_wrap)
{
    make();
    set_alarm(UINT64_MAX);
    CHECK(timers.deadline[0] > fake_time.now);
    CHECK(!irq.level[11]);
}

TEST(hostile)
{
    fake_hammer(make(), 0x30, 200, 7);
    goldfish_rtc_fired(&rtc, 0);
}

TEST_MAIN()
