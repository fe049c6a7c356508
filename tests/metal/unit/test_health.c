/* SPDX-License-Identifier: BSD-2-Clause */
/* The health monitor: each event of each partition has the outcome of its rule, and no other. */
#include "metal/health.h"

#include "metal/console.h"
#include "metal/hart.h"
#include "metal/partition.h"
#include "metal/sbi_call.h"
#include "metal/trace.h"
#include "metal/vcpu.h"
#include "tests/metal/fake/fake.h"
#include "tests/random.h"
#include "tests/test.h"

#include <setjmp.h>

/* What the monitor did. */
static struct {
    u32 kicks, halts, then, plans, plan, lines, flushes, traces, trace_what, reset;
    const struct partition *partition;
    bool busy; /* it is halting already */
} did;

static jmp_buf halted;

bool partition_halt(struct partition *p, u32 then)
{
    did.halts += !did.busy;
    did.then = then;
    did.partition = p;
    return !did.busy;
}

void hart_switch_plan(u32 plan)
{
    did.plans++;
    did.plan = plan;
}

void vcpu_request(struct vcpu *v, u32 bits)
{
    did.kicks++;
}

void console_flush(void)
{
    did.flushes++;
}

void console_log(struct log_limit *limit, const char *fmt, ...)
{
    did.lines++;
}

void trace(u32 kind, u32 what, u64 detail)
{
    CHECK_EQ(kind, TRACE_HEALTH);
    did.traces++;
    did.trace_what = what;
}

/* The firmware's answer to a halt would be none. */
s64 sbi_call(u64 ext, u64 func, u64 a, u64 b, u64 c)
{
    CHECK_EQ(ext, 0x53525354);
    CHECK_EQ(func, 0);
    did.reset = (u32)a;
    longjmp(halted, 1);
}

static struct metal_config *config;

static void make(void)
{
    config = fake_config();
    memset(config, 0, sizeof(*config));
    memset(&metal, 0, sizeof(metal));
    memset(&did, 0, sizeof(did));
    for (u32 i = 0; i < 2; i++) {
        metal.partition[i].config = &config->partition[i];
        metal.partition[i].index = i;
        metal.partition[i].watchdog_at = UINT64_MAX;
    }
}

/* The outcome of event in partition 1 when its rule is this. */
static u32 event(u32 which, u32 action)
{
    memset(&did, 0, sizeof(did));
    config->partition[1].rule[which].action = (u16)action;
    config->partition[1].rule[which].plan = 3;
    return health_event(&metal.partition[1], which, 0x1234);
}

TEST(every_event_has_its_rules_outcome)
{
    make();
    for (u32 which = 0; which < METAL_EVENTS; which++) {
        for (u32 action = METAL_ACTION_IGNORE; action < METAL_ACTION_HALT; action++) {
            bool ends = action >= METAL_ACTION_STOP && action <= METAL_ACTION_WARM;
            CHECK_EQ(event(which, action), action);
            CHECK_EQ(did.halts, ends);
            CHECK(!ends || (did.then == action && did.partition == &metal.partition[1]));
            CHECK_EQ(did.plans, action == METAL_ACTION_PLAN);
            CHECK(action != METAL_ACTION_PLAN || did.plan == 3);
            CHECK_EQ(did.lines, action != METAL_ACTION_IGNORE && action != METAL_ACTION_GUEST);
            CHECK_EQ(did.trace_what, 1 << 16 | which << 8 | action);
        }
    }
}

TEST(a_board_is_halted_by_the_firmware)
{
    volatile u32 came = 0;

    make();
    if (!setjmp(halted))
        event(METAL_EVENT_RAISED, METAL_ACTION_HALT);
    else
        came = 1;
    CHECK_EQ(came, 1);
    CHECK_EQ(did.halts, 0);
    CHECK_EQ(did.reset, 0);
}

/* What is on its way is sent before the line, and that one before the end. */
TEST(when_all_have_stopped_the_configuration_decides)
{
    for (volatile u32 what = METAL_ALL_STOPPED_OFF; what <= METAL_ALL_STOPPED_STAY; what++) {
        volatile bool ended = false;

        make();
        config->board.all_stopped = what;
        if (!setjmp(halted))
            health_all_stopped();
        else
            ended = true;
        CHECK_EQ(ended, what != METAL_ALL_STOPPED_STAY);
        CHECK_EQ(did.lines, 1);
        CHECK_EQ(did.flushes, ended ? 2 : 1);
        CHECK(!ended || did.reset == (what == METAL_ALL_STOPPED_REBOOT ? 1 : 0));
    }
}

TEST(restarts_are_limited_by_each_rule)
{
    make();
    for (u32 action = METAL_ACTION_RESTART; action <= METAL_ACTION_WARM; action++) {
        u32 which = action == METAL_ACTION_WARM ? METAL_EVENT_RAISED : METAL_EVENT_MEMORY;
        config->partition[1].rule[which].limit = 5;
        for (u32 i = 0; i < 5; i++)
            CHECK_EQ(event(which, action), action);
        for (u32 i = 0; i < 3; i++) {
            CHECK_EQ(event(which, action), METAL_ACTION_STOP);
            CHECK_EQ(did.then, METAL_ACTION_STOP);
        }
    }
    for (u32 i = 0; i < 1000; i++)
        CHECK_EQ(event(METAL_EVENT_REBOOT, METAL_ACTION_RESTART), METAL_ACTION_RESTART);
}

/* Several vCPUs may err at the same time: that is one restart. */
TEST(what_happens_while_it_halts_is_no_restart)
{
    make();
    config->partition[1].rule[METAL_EVENT_MEMORY].limit = 2;
    event(METAL_EVENT_MEMORY, METAL_ACTION_RESTART);
    memset(&did, 0, sizeof(did));
    did.busy = true;
    for (u32 i = 0; i < 5; i++)
        health_event(&metal.partition[1], METAL_EVENT_MEMORY, 0);
    CHECK_EQ(event(METAL_EVENT_MEMORY, METAL_ACTION_RESTART), METAL_ACTION_RESTART);
    CHECK_EQ(event(METAL_EVENT_MEMORY, METAL_ACTION_RESTART), METAL_ACTION_STOP);
}

/* Two partitions with a vCPU 0 and one with vCPU 1 alone on hart 0. */
static void make_watchdogs(void)
{
    make();
    config->hart[0].vcpu_count = 3;
    metal.hart[0].config = &config->hart[0];
    config->vcpu[2].number = 1;
    for (u32 i = 0; i < 3; i++) {
        metal.vcpu[i].config = &config->vcpu[i];
        metal.vcpu[i].number = config->vcpu[i].number;
        metal.vcpu[i].partition = &metal.partition[i % 2];
    }
    for (u32 i = 0; i < 2; i++)
        config->partition[i].rule[METAL_EVENT_WATCHDOG].action = METAL_ACTION_RESTART;
    config->partition[1].watchdog = 100;
}

TEST(a_watchdog_bites_once_and_only_if_it_was_kicked)
{
    make_watchdogs();
    health_kick_watchdog(&metal.partition[0], 1000); /* it has none */
    health_watchdogs(&metal.hart[0], 1000000);
    CHECK_EQ(did.halts, 0);
    health_kick_watchdog(&metal.partition[1], 1000);
    CHECK_EQ(did.kicks, 1); /* its hart sets its timer; later kicks only put it off */
    health_watchdogs(&metal.hart[0], 1099);
    CHECK_EQ(did.halts, 0);
    health_kick_watchdog(&metal.partition[1], 1099);
    CHECK_EQ(did.kicks, 1);
    health_watchdogs(&metal.hart[0], 1100);
    CHECK_EQ(did.halts, 0);
    health_watchdogs(&metal.hart[0], 1199);
    CHECK_EQ(did.halts, 1);
    CHECK(did.partition == &metal.partition[1]);
    health_watchdogs(&metal.hart[0], 5000);
    CHECK_EQ(did.halts, 1);
}

TEST_MAIN()
