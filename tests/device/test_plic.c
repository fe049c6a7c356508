/* SPDX-License-Identifier: BSD-2-Clause */
/* PLIC: priorities, thresholds, claim and complete, gateways, many contexts. */
#include "device/plic.h"

#include "tests/fake.h"
#include "tests/test.h"

#define CONTEXTS 4

static struct plic plic;
static struct fake_irq irq;

static struct device *make(void)
{
    struct irq_line output[CONTEXTS];
    struct plic_config config = {.id = "plic", .context_count = CONTEXTS, .output = output};

    memset(&irq, 0, sizeof(irq));
    for (u32 i = 0; i < CONTEXTS; i++)
        output[i] = fake_irq_line(&irq, i);
    plic_init(&plic, &config);
    return &plic.dev;
}

static void wire(u32 source, bool level)
{
    struct irq_line line = plic_input(&plic, source);

    irq_set(&line, level);
}

static void priority(u32 source, u32 value)
{
    fake_write(&plic.dev, 4 * source, 4, value);
}

static void enable(u32 context, u32 source)
{
    u64 at = 0x2000 + context * 0x80 + source / 32 * 4;

    fake_write(&plic.dev, at, 4, fake_read(&plic.dev, at, 4) | (u64)1 << source % 32);
}

static u32 claim(u32 context)
{
    return (u32)fake_read(&plic.dev, 0x200004 + context * 0x1000, 4);
}

static void complete(u32 context, u32 source)
{
    fake_write(&plic.dev, 0x200004 + context * 0x1000, 4, source);
}

TEST(level_claim_complete)
{
    make();
    priority(10, 1);
    enable(1, 10);
    CHECK(!irq.level[1]);
    wire(10, true);
    CHECK(irq.level[1]);
    CHECK(!irq.level[0]);
    CHECK_EQ(fake_read(&plic.dev, 0x1000, 4), 1 << 10);
    CHECK_EQ(claim(1), 10);
    CHECK(!irq.level[1]);
    CHECK_EQ(fake_read(&plic.dev, 0x1000, 4), 0);
    CHECK_EQ(claim(1), 0);
    complete(1, 10); /* the wire is still up */
    CHECK(irq.level[1]);
    CHECK_EQ(claim(1), 10);
    wire(10, false);
    complete(1, 10);
    CHECK(!irq.level[1]);
    CHECK_EQ(claim(1), 0);
}

TEST(order_by_priority_then_number)
{
    make();
    for (u32 s = 1; s < PLIC_SOURCES; s++) {
        priority(s, 1 + s % 3);
        enable(0, s);
        wire(s, true);
    }
    for (u32 want = 3; want >= 1; want--) {
        for (u32 s = 1; s < PLIC_SOURCES; s++) {
            if (1 + s % 3 == want)
                CHECK_EQ(claim(0), s);
        }
    }
    CHECK_EQ(claim(0), 0);
    CHECK(!irq.level[0]);
    complete(0, 95);
    CHECK_EQ(claim(0), 95);
}

TEST(threshold_masks_the_wire_not_the_claim)
{
    make();
    priority(3, 4);
    enable(0, 3);
    fake_write(&plic.dev, 0x200000, 4, 4);
    wire(3, true);
    CHECK(!irq.level[0]);
    fake_write(&plic.dev, 0x200000, 4, 3);
    CHECK(irq.level[0]);
    fake_write(&plic.dev, 0x200000, 4, 0xff);
    CHECK_EQ(fake_read(&plic.dev, 0x200000, 4), 7);
    CHECK(!irq.level[0]);
    CHECK_EQ(claim(0), 3);
}

TEST(priority_zero_never_interrupts)
{
    make();
    enable(0, 5);
    wire(5, true);
    CHECK(!irq.level[0]);
    CHECK_EQ(claim(0), 0);
    priority(5, 9);
    CHECK_EQ(fake_read(&plic.dev, 20, 4), 1); /* three bits */
    CHECK(irq.level[0]);
    priority(5, 0);
    CHECK(!irq.level[0]);
}

TEST(one_claim_lowers_all_contexts)
{
    make();
    priority(40, 2);
    for (u32 c = 0; c < CONTEXTS; c++)
        enable(c, 40);
    wire(40, true);
    for (u32 c = 0; c < CONTEXTS; c++)
        CHECK(irq.level[c]);
    CHECK_EQ(claim(2), 40);
    for (u32 c = 0; c < CONTEXTS; c++)
        CHECK(!irq.level[c]);
    CHECK_EQ(claim(0), 0);
    complete(3, 40); /* any context that has it enabled */
    CHECK(irq.level[0]);
}

TEST(foreign_completion_is_ignored)
{
    make();
    priority(7, 1);
    enable(0, 7);
    wire(7, true);
    CHECK_EQ(claim(0), 7);
    complete(1, 7); /* not enabled there */
    complete(0, 8);
    complete(0, 1000000);
    complete(0, 0);
    CHECK(!irq.level[0]);
    complete(0, 7);
    CHECK(irq.level[0]);
}

TEST(wire_that_falls_unclaimed_no_longer_pends)
{
    make();
    priority(9, 1);
    enable(0, 9);
    wire(9, true);
    wire(9, false);
    CHECK(!irq.level[0]);
    CHECK_EQ(claim(0), 0);
}

TEST(absent_registers)
{
    struct device *dev = make();
    u64 value;

    fake_write(dev, 0, 4, 7); /* source 0 */
    CHECK_EQ(fake_read(dev, 0, 4), 0);
    fake_write(dev, 0x2000, 4, 1);
    CHECK_EQ(fake_read(dev, 0x2000, 4), 0);
    fake_write(dev, 0x200c, 4, UINT32_MAX); /* sources 96.. */
    CHECK_EQ(fake_read(dev, 0x200c, 4), 0);
    fake_write(dev, 0x2000 + CONTEXTS * 0x80, 4, UINT32_MAX);
    CHECK_EQ(fake_read(dev, 0x2000 + CONTEXTS * 0x80, 4), 0);
    fake_write(dev, 0x200000 + CONTEXTS * 0x1000, 4, 3);
    CHECK_EQ(fake_read(dev, 0x200000 + CONTEXTS * 0x1000, 4), 0);
    CHECK_EQ(claim(CONTEXTS), 0);
    CHECK(!device_read(dev, 4, 8, &value));
    CHECK(!device_read(dev, 4, 1, &value));
    CHECK(!device_read(dev, 0x200004, 2, &value));
}

TEST(reset_keeps_wires)
{
    struct device *dev = make();

    priority(1, 1);
    enable(0, 1);
    wire(1, true);
    CHECK_EQ(claim(0), 1);
    device_reset(dev);
    CHECK(!irq.level[0]);
    CHECK_EQ(fake_read(dev, 4, 4), 0);
    priority(1, 1);
    enable(0, 1);
    CHECK(irq.level[0]);
}

/* The bit sets against a plain loop over sources. */
static u32 model_best(u32 context, u32 threshold)
{
    u32 best = 0, best_priority = threshold;

    for (u32 s = 1; s < PLIC_SOURCES; s++) {
        bool pends = plic.level[s / 32] & ~plic.claimed[s / 32] & 1u << s % 32;
        if (pends && plic.context[context].enable[s / 32] & 1u << s % 32 &&
            plic.priority[s] > best_priority) {
            best = s;
            best_priority = plic.priority[s];
        }
    }
    return best;
}

TEST(random_against_model)
{
    u64 seed = 42;

    make();
    for (u32 i = 0; i < 50000; i++) {
        u64 r = test_random(&seed);
        u32 source = 1 + (u32)(r >> 8) % (PLIC_SOURCES - 1), context = (u32)(r >> 32) % CONTEXTS;

        switch (r % 6) {
        case 0:
            wire(source, r >> 40 & 1);
            break;
        case 1:
            priority(source, (u32)(r >> 40));
            break;
        case 2:
            fake_write(&plic.dev, 0x2000 + context * 0x80 + source / 32 * 4, 4,
                       test_random(&seed) | test_random(&seed));
            break;
        case 3:
            fake_write(&plic.dev, 0x200000 + context * 0x1000, 4, r >> 40 & 3);
            break;
        case 4: {
            u32 want = model_best(context, 0);
            CHECK_EQ(claim(context), want);
            break;
        }
        default:
            complete(context, source);
        }
        for (u32 c = 0; c < CONTEXTS; c++)
            CHECK_EQ(irq.level[c], model_best(c, plic.context[c].threshold) != 0);
    }
}

TEST(hostile)
{
    struct device *dev = make();

    fake_hammer(dev, 0x1100, 4, 3);
    fake_hammer(dev, PLIC_SIZE / 64, 1, 4);
}

TEST_MAIN()
