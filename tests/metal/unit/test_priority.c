/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fixed priorities with budgets, on a fake hart: no vCPU has more than its budget in any period,
 * nobody waits who is ready, has budget and outranks who runs, and where all budgets fit all are
 * had.
 */
#include "metal/hart.h"
#include "metal/health.h"

#include "tests/metal/fake/fake.h"
#include "tests/random.h"
#include "tests/test.h"

#define VCPUS 5

static struct metal_config *config;
static struct partition partition;
static struct {
    u64 now, timer;
    bool ready[VCPUS];
    u64 used[VCPUS];      /* in the period that runs */
    u64 period_of[VCPUS]; /* its number */
    u64 total[VCPUS];
    u32 overruns;
} sim;

void hart_timer_at(struct hart *h, u64 ticks)
{
    sim.timer = ticks;
}

u32 health_event(struct partition *p, u32 event, u64 detail)
{
    CHECK_EQ(event, METAL_EVENT_BUDGET);
    sim.overruns++;
    return METAL_ACTION_IGNORE;
}

static bool is_runnable(struct vcpu *v, bool in, u64 now)
{
    return sim.ready[v - metal.vcpu];
}

static void make(u32 count, u64 now)
{
    memset(&metal, 0, sizeof(metal));
    memset(&sim, 0, sizeof(sim));
    config = fake_config();
    memset(config, 0, sizeof(*config));
    config->hart[0] = (struct metal_hart){.mode = METAL_HART_PRIORITY, .vcpu_count = (u16)count};
    metal.hart[0].config = &config->hart[0];
    sim.now = now;
    for (u32 i = 0; i < count; i++) {
        metal.vcpu[i].config = &config->vcpu[i];
        metal.vcpu[i].partition = &partition;
        metal.vcpu[i].hart = &metal.hart[0];
        metal.vcpu[i].state = VCPU_READY;
        metal.vcpu[i].csr.vstimecmp = UINT64_MAX;
        sim.ready[i] = true;
    }
}

static void ready(u32 i, bool is)
{
    sim.ready[i] = is;
    metal.vcpu[i].state = is ? VCPU_READY : VCPU_WAITING;
}

/* v, or nobody, has the hart until then; it is charged by periods that are multiples of its own. */
static void runs(const struct vcpu *v, u64 until)
{
    u32 i = (u32)(v - metal.vcpu);

    while (v && sim.now < until) {
        u64 period = v->config->budget ? v->config->period : UINT64_MAX, end;
        if (sim.now / period != sim.period_of[i]) {
            sim.period_of[i] = sim.now / period;
            sim.used[i] = 0;
        }
        end = period == UINT64_MAX ? until : (sim.now / period + 1) * period;
        end = end < until ? end : until;
        sim.used[i] += end - sim.now;
        sim.total[i] += end - sim.now;
        sim.now = end;
        CHECK(!v->config->budget || sim.used[i] <= v->config->budget);
    }
    sim.now = until;
}

static u64 left(u32 i)
{
    const struct metal_vcpu *c = &config->vcpu[i];

    if (!c->budget)
        return UINT64_MAX;
    return sim.now / c->period == sim.period_of[i] ? c->budget - sim.used[i] : c->budget;
}

/* Who runs is the highest of those that are ready and have budget left. */
static void check_choice(const struct vcpu *v, u32 count)
{
    u32 priority = v ? v->config->priority : 0;

    CHECK(!v || (sim.ready[v - metal.vcpu] && left((u32)(v - metal.vcpu))));
    for (u32 i = 0; i < count; i++)
        CHECK(!(sim.ready[i] && left(i)) || (v && config->vcpu[i].priority <= priority));
}

static struct vcpu *step(struct vcpu *v, u32 count, u64 event)
{
    u64 until;

    v = schedule_priority(&metal.hart[0], v, sim.now, is_runnable);
    check_choice(v, count);
    CHECK(sim.timer > sim.now);
    until = sim.timer < event ? sim.timer : event;
    runs(v, until);
    return v;
}

static void random_vcpus(u64 *seed, u32 count)
{
    for (u32 i = 0; i < count; i++) {
        struct metal_vcpu *c = &config->vcpu[i];
        c->priority = 1 + test_random(seed) % 4;
        if (test_random(seed) % 6 == 0)
            continue; /* no budget: no limit */
        c->period = 1 + test_random(seed) % 10000;
        c->budget = 1 + test_random(seed) % c->period;
    }
}

TEST(budgets_are_never_exceeded_and_nobody_waits_who_need_not)
{
    u64 seed = 1;

    for (u32 round = 0; round < 300 && !test_failures; round++) {
        struct vcpu *v = NULL;
        u32 count = 1 + test_random(&seed) % VCPUS;

        make(count, test_random(&seed) % 1000000);
        random_vcpus(&seed, count);
        for (u32 i = 0; i < 500 && !test_failures; i++) {
            v = step(v, count, sim.now + 1 + test_random(&seed) % 8000);
            ready(test_random(&seed) % count, test_random(&seed) % 4);
        }
    }
}

/* Periods that divide each other, shorter ones first, no more than all time: rate-monotonic, which
 * fits. */
TEST(what_fits_is_had_in_every_period)
{
    static const u64 budget[] = {25, 100, 100, 100}, period[] = {100, 400, 400, 1600};
    struct vcpu *v = NULL;

    make(4, 1600);
    for (u32 i = 0; i < 4; i++)
        config->vcpu[i] =
            (struct metal_vcpu){.priority = 9 - i, .budget = budget[i], .period = period[i]};
    while (sim.now < 161600)
        v = step(v, 4, 161600);
    for (u32 i = 0; i < 4; i++)
        CHECK_EQ(sim.total[i], 160000 / period[i] * budget[i]);
}

TEST(who_wants_more_than_its_budget_is_reported)
{
    struct vcpu *v = NULL;

    make(1, 1000);
    config->vcpu[0] = (struct metal_vcpu){.priority = 1, .budget = 10, .period = 100};
    for (u32 i = 0; i < 20; i++)
        v = step(v, 1, UINT64_MAX);
    CHECK_EQ(sim.overruns, 10);
}

/* However long the board had power before. */
TEST(the_first_period_is_found_at_once)
{
    make(1, UINT64_C(1) << 60);
    config->vcpu[0] = (struct metal_vcpu){.priority = 1, .budget = 1, .period = 2};
    step(NULL, 1, UINT64_MAX);
}

/* A timer that is due and wakes nobody, as its interrupt is off, costs the others nothing. */
TEST(a_sleepers_timer_counts_if_it_would_wake_it)
{
    struct vcpu *v;

    make(2, 1000);
    config->vcpu[0] = (struct metal_vcpu){.priority = 2};
    config->vcpu[1] = (struct metal_vcpu){.priority = 1};
    ready(0, false);
    metal.vcpu[0].csr.vstimecmp = 900;
    v = step(NULL, 2, 1100); /* looks that the hart's timer is in the future */
    CHECK(v == &metal.vcpu[1]);
    CHECK_EQ(sim.timer, UINT64_MAX);
    metal.vcpu[0].csr.vstimecmp = 2000;
    metal.vcpu[0].csr.vsie = BIT(IRQ_STI);
    v = step(v, 2, 1200);
    CHECK_EQ(sim.timer, 2000);
}

TEST_MAIN()
