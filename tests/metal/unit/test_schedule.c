/* SPDX-License-Identifier: BSD-2-Clause */
/* Cyclic plans: the slots that come out are the windows that went in, for many frames and plans. */
#include "metal/schedule.h"

#include "tests/random.h"
#include "tests/test.h"

#define PLANS  METAL_PLANS_MAX
#define HARTS  4
#define ROUNDS 200
#define FRAMES 300

static struct metal_config config;

/* Windows of a hart: in order, of any length, often one right after the other and to the frame's
 * end. */
static void random_windows(u64 *seed, struct metal_plan *plan, u32 hart)
{
    u64 at = test_random(seed) % 2 ? 0 : test_random(seed) % (plan->frame / 4);
    u32 n = 0;

    while (n < METAL_WINDOWS_MAX && test_random(seed) % 8) {
        struct metal_window *w = &plan->window[hart][n];
        u64 left = plan->frame - at;
        if (!left)
            break;
        w->start = at;
        w->length = test_random(seed) % 8 ? 1 + test_random(seed) % (left / 3 + 1) : left;
        w->vcpu = (u16)(test_random(seed) % METAL_VCPUS_MAX);
        at += w->length;
        if (test_random(seed) % 2)
            at += test_random(seed) % (plan->frame - at + 1) / 3;
        n++;
    }
    plan->window_count[hart] = n;
}

static void random_plans(u64 *seed)
{
    memset(&config, 0, sizeof(config));
    for (u32 i = 0; i < PLANS; i++) {
        config.plan[i].frame = 1 + test_random(seed) % 1000000;
        for (u32 hart = 0; hart < HARTS; hart++)
            random_windows(seed, &config.plan[i], hart);
    }
}

/* Takes the next slot and compares it. */
static void expect(struct cycle *c, u32 hart, u32 next, u16 vcpu, u64 end)
{
    u64 begin = c->end;

    schedule_advance(c, config.plan, hart, next);
    CHECK_EQ(c->vcpu, vcpu);
    CHECK_EQ(c->end, end);
    CHECK(c->end > begin);
}

/* One frame of one hart, which begins at start. */
static void expect_frame(struct cycle *c, u32 hart, u32 next, u64 start)
{
    const struct metal_plan *plan = &config.plan[next];
    u64 at = 0;

    for (u32 i = 0; i < plan->window_count[hart]; i++) {
        const struct metal_window *w = &plan->window[hart][i];
        if (w->start > at)
            expect(c, hart, next, METAL_NONE, start + w->start);
        expect(c, hart, next, w->vcpu, start + w->start + w->length);
        at = w->start + w->length;
    }
    if (at < plan->frame)
        expect(c, hart, next, METAL_NONE, start + plan->frame);
}

static void run(u64 *seed)
{
    struct cycle cycle[HARTS];
    u64 origin = 1000000 + test_random(seed) % 1000000000, start = origin;
    u32 plan = test_random(seed) % PLANS;

    for (u32 hart = 0; hart < HARTS; hart++) {
        schedule_begin(&cycle[hart], &config, hart, plan, origin);
        CHECK_EQ(cycle[hart].end, origin);
        CHECK_EQ(cycle[hart].vcpu, METAL_NONE);
    }
    for (u32 frame = 0; frame < FRAMES && !test_failures; frame++) {
        if (test_random(seed) % 8 == 0)
            plan = test_random(seed) % PLANS;
        for (u32 hart = 0; hart < HARTS; hart++)
            expect_frame(&cycle[hart], hart, plan, start);
        start += config.plan[plan].frame;
    }
}

TEST(every_window_begins_and_ends_where_the_plan_says)
{
    u64 seed = 1;

    for (u32 round = 0; round < ROUNDS && !test_failures; round++) {
        random_plans(&seed);
        run(&seed);
    }
}

TEST(a_plan_changes_at_a_frames_end_alone)
{
    struct cycle c;

    memset(&config, 0, sizeof(config));
    config.plan[0].frame = 100;
    config.plan[1].frame = 70;
    config.plan[0].window_count[0] = 1;
    config.plan[0].window[0][0] = (struct metal_window){.start = 0, .length = 60, .vcpu = 3};
    schedule_begin(&c, &config, 0, 0, 1000);
    schedule_advance(&c, config.plan, 0, 0);
    schedule_advance(&c, config.plan, 0, 1);
    CHECK_EQ(c.end, 1100);
    schedule_advance(&c, config.plan, 0, 1);
    CHECK_EQ(c.end, 1170);
}

TEST_MAIN()
