/* SPDX-License-Identifier: BSD-2-Clause */
/* ACLINT: software interrupts, mtime, mtimecmp and its alarms. */
#include "device/aclint.h"

#include "tests/fake.h"
#include "tests/test.h"

#define HARTS    3
#define MTIMECMP 0x4000
#define MTIME    0xbff8

static struct aclint aclint;
static struct fake_irq irq; /* 0.. MSIP, 100.. MTIP */
static struct fake_clock fake_time;
static struct fake_timers timers;

static struct device *make(void)
{
    struct irq_line msip[HARTS], mtip[HARTS];
    struct timer_port timer[HARTS];
    struct aclint_config config = {
        .id = "aclint", .hart_count = HARTS, .msip = msip, .mtip = mtip, .timer = timer};

    memset(&irq, 0, sizeof(irq));
    memset(&timers, 0, sizeof(timers));
    fake_time.now = 12345600;
    for (u32 i = 0; i < HARTS; i++) {
        msip[i] = fake_irq_line(&irq, i);
        mtip[i] = fake_irq_line(&irq, 100 + i);
        timer[i] = fake_timer_port(&timers, i);
    }
    config.clock = fake_clock_port(&fake_time);
    aclint_init(&aclint, &config);
    return &aclint.dev;
}

TEST(software_interrupts)
{
    struct device *dev = make();

    fake_write(dev, 4, 4, 0xffffffff);
    CHECK_EQ(fake_read(dev, 4, 4), 1);
    CHECK(irq.level[1]);
    CHECK(!irq.level[0]);
    fake_write(dev, 4, 4, 0);
    CHECK(!irq.level[1]);
    fake_write(dev, 4 * HARTS, 4, 1); /* no such hart */
    CHECK_EQ(fake_read(dev, 4 * HARTS, 4), 0);
    fake_write(dev, 0x3ffc, 4, 1);
    CHECK_EQ(fake_read(dev, 0x3ffc, 4), 0);
}

TEST(time_starts_at_zero_and_counts_ticks)
{
    struct device *dev = make();

    CHECK_EQ(fake_read(dev, MTIME, 8), 0);
    fake_time.now += 100 * UINT64_C(0x500000003);
    CHECK_EQ(fake_read(dev, MTIME, 8), UINT64_C(0x500000003));
    CHECK_EQ(fake_read(dev, MTIME, 4), 3);
    CHECK_EQ(fake_read(dev, MTIME + 4, 4), 5);
    CHECK_EQ(aclint_time(&aclint), UINT64_C(0x500000003));
    fake_write(dev, MTIME + 4, 4, 7);
    CHECK_EQ(aclint_time(&aclint), UINT64_C(0x700000003));
    fake_write(dev, MTIME, 8, 50);
    CHECK_EQ(aclint_time(&aclint), 50);
    device_reset(dev);
    CHECK_EQ(aclint_time(&aclint), 0);
}

TEST(timer_interrupt)
{
    struct device *dev = make();
    u64 start = fake_time.now;

    CHECK_EQ(fake_read(dev, MTIMECMP + 8, 8), UINT64_MAX);
    CHECK_EQ(timers.deadline[1], CLOCK_NEVER);
    fake_write(dev, MTIMECMP + 8, 8, 1000);
    CHECK_EQ(timers.deadline[1], start + 100000);
    CHECK(!irq.level[101]);
    fake_time.now = start + 99999;
    aclint_timer_fired(&aclint, 1); /* too early: sets it again */
    CHECK(!irq.level[101]);
    CHECK_EQ(timers.deadline[1], start + 100000);
    fake_time.now = start + 100000;
    aclint_timer_fired(&aclint, 1);
    CHECK(irq.level[101]);
    CHECK(!irq.level[100]);
    fake_write(dev, MTIMECMP + 8, 8, 2000);
    CHECK(!irq.level[101]);
    fake_write(dev, MTIMECMP + 8, 8, 0);
    CHECK(irq.level[101]);
    CHECK_EQ(timers.deadline[1], CLOCK_NEVER);
}

TEST(mtimecmp_by_halves)
{
    struct device *dev = make();

    fake_write(dev, MTIMECMP, 4, UINT32_MAX);
    fake_write(dev, MTIMECMP + 4, 4, 0);
    fake_write(dev, MTIMECMP, 4, 0x10);
    CHECK_EQ(fake_read(dev, MTIMECMP, 8), 0x10);
    CHECK_EQ(timers.deadline[0], fake_time.now + 1600);
}

TEST(writing_time_compares_again)
{
    struct device *dev = make();

    fake_write(dev, MTIMECMP, 8, 1000);
    fake_write(dev, MTIME, 8, 1000);
    CHECK(irq.level[100]);
    fake_write(dev, MTIME, 8, 0);
    CHECK(!irq.level[100]);
    CHECK_EQ(timers.deadline[0], fake_time.now + 100000);
}

TEST(far_deadlines)
{
    struct device *dev = make();

    CHECK_EQ(aclint_deadline_ns(&aclint, UINT64_MAX), CLOCK_NEVER);
    CHECK_EQ(aclint_deadline_ns(&aclint, UINT64_MAX / 100), CLOCK_NEVER);
    CHECK_EQ(aclint_deadline_ns(&aclint, 0), fake_time.now);
    CHECK_EQ(aclint_deadline_ns(&aclint, 5), fake_time.now + 500);
    fake_write(dev, MTIME, 8, UINT64_MAX - 10);
    CHECK_EQ(aclint_deadline_ns(&aclint, UINT64_MAX), fake_time.now + 1000);
}

TEST(reset_lowers_wires)
{
    struct device *dev = make();

    fake_write(dev, MTIMECMP, 8, 0);
    fake_write(dev, 0, 4, 1);
    device_reset(dev);
    CHECK(!irq.level[0]);
    CHECK(!irq.level[100]);
    CHECK_EQ(fake_read(dev, 0, 4), 0);
}

TEST(supervisor_software_interrupts)
{
    struct irq_line ssip[HARTS];
    struct aclint_sswi_config config = {.id = "sswi", .hart_count = HARTS, .ssip = ssip};
    static struct aclint_sswi sswi;

    memset(&irq, 0, sizeof(irq));
    for (u32 i = 0; i < HARTS; i++)
        ssip[i] = fake_irq_line(&irq, i);
    aclint_sswi_init(&sswi, &config);
    fake_write(&sswi.dev, 8, 4, 1);
    CHECK(irq.level[2]);
    CHECK_EQ(fake_read(&sswi.dev, 8, 4), 0);
    fake_write(&sswi.dev, 4, 4, 0);
    CHECK_EQ(irq.calls[1], 0);
    fake_write(&sswi.dev, 4 * HARTS, 4, 1);
    fake_hammer(&sswi.dev, 0x200, 4, 9);
}

TEST(hostile)
{
    struct device *dev = make();

    fake_hammer(dev, ACLINT_SIZE, 2, 5);
    fake_hammer(dev, 0x10, 100, 6);
}

TEST_MAIN()
