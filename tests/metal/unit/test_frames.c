/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Plans of frames on the fake board: harts come to the ends of frames in any order, some of them
 * frames late, while plans are asked for. Whoever comes first decides, the others follow.
 */
#include "metal/hart.h"

#include "tests/assert.h"
#include "tests/metal/fake/fake.h"
#include "tests/random.h"
#include "tests/test.h"

#define HARTS  4
#define PLANS  METAL_PLANS_MAX
#define FRAMES 20000
#define LEAD   ARRAY_SIZE(metal.decided) /* frames that a hart may be ahead of the last one */
#define ORIGIN 1000

/* What was decided: of each frame, and where it begins. The last step may go past FRAMES. */
static u32 plan_of[FRAMES + LEAD];
static u64 start_of[FRAMES + LEAD + 1];
static u32 decided;

static void configure(void)
{
    struct metal_config *c = fake_config();

    for (u32 i = 0; i < HARTS; i++) {
        c->hart[i] = (struct metal_hart){
            .hart_id = i, .mode = METAL_HART_CYCLIC, .vcpu_first = (u16)i, .vcpu_count = 1};
        c->vcpu[i].hart = c->vcpu[i].number = (u16)i;
        metal.hart[i] = (struct hart){.config = &c->hart[i], .index = i};
        metal.vcpu[i] = (struct vcpu){.config = &c->vcpu[i],
                                      .partition = &metal.partition[0],
                                      .hart = &metal.hart[i],
                                      .number = i,
                                      .state = VCPU_READY,
                                      .steal_gpa = SBI_STEAL_NOWHERE};
    }
    metal.partition[0].config = &c->partition[0];
    for (u32 n = 0; n < PLANS; n++) {
        c->plan[n].frame = 100 + 30 * n;
        for (u32 i = 0; i < HARTS; i++) {
            c->plan[n].window_count[i] = 1;
            c->plan[n].window[i][0] =
                (struct metal_window){.start = 0, .length = c->plan[n].frame, .vcpu = (u16)i};
        }
    }
    c->board.hart_count = HARTS;
    c->plan_count = PLANS;
    metal.origin = start_of[0] = ORIGIN;
}

/* Hart i, which was in a frame before, comes to frame number n, maybe over others. */
static void come_to(u32 i, u32 n, u32 asked)
{
    struct hart *h = &metal.hart[i];

    for (; decided <= n; decided++) {
        plan_of[decided] = asked;
        start_of[decided + 1] = start_of[decided] + fake_config()->plan[asked].frame;
    }
    fake_hart_begin(i);
    fake_time_set(start_of[n]);
    CHECK(hart_next_on(h, h->current) == &metal.vcpu[i]);
    CHECK_EQ(h->cycle.plan, plan_of[n]);
    CHECK_EQ(h->cycle.frame_start, start_of[n]);
    CHECK_EQ(h->cycle.end, start_of[n + 1]);
}

TEST(the_first_at_a_frame_decides_for_all)
{
    u32 at[HARTS] = {0}, asked = 0, last = 0; /* at: the frame that is next */
    u64 seed = 1;

    configure();
    for (u32 i = 0; i < HARTS; i++) {
        fake_hart_begin(i);
        hart_plan_begin(&metal.hart[i]);
    }
    while (last < FRAMES - LEAD && !test_failures) {
        u32 i = test_random(&seed) % HARTS, room;

        if (test_random(&seed) % 3 == 0) {
            asked = test_random(&seed) % PLANS;
            hart_switch_plan(asked);
        }
        last = at[0];
        for (u32 k = 1; k < HARTS; k++)
            last = at[k] < last ? at[k] : last;
        room = last + (u32)LEAD - at[i];
        if (!room)
            continue;
        at[i] += test_random(&seed) % room;
        come_to(i, at[i], asked);
        at[i]++;
    }
    CHECK(decided > FRAMES - LEAD);
}

/* A simulator may leave the interrupt pending that a timer raised while it was set anew. */
TEST(a_timers_interrupt_always_sets_it_anew)
{
    configure();
    fake_hart_begin(0);
    fake_csrs()->stimecmp = 0;
    metal.hart[0].timer = UINT64_MAX;
    hart_interrupt(&metal.hart[0], IRQ_STI);
    CHECK_EQ(fake_csrs()->stimecmp, UINT64_MAX);
}

TEST_MAIN()
