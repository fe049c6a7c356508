/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Performance monitoring extension (SBI 2.0 chapter 11).
 *
 * Logical counters of a hart: index 0..counter_count-1 are the hardware's, named as their CSRs are
 * (0 cycle, 2 instret, 3.. hpm; 1 would be time and is not offered), then come SBI_FW_COUNTERS
 * firmware counters. Firmware events are totals that only grow; a firmware counter is a difference
 * of totals, so counting costs one atomic addition wherever an event happens, on any thread.
 *
 * Snapshot memory is not provided.
 */
#include "sbi/state.h"

#include "base/bits.h"

enum {
    PMU_NUM_COUNTERS,
    PMU_COUNTER_GET_INFO,
    PMU_COUNTER_CONFIG_MATCHING,
    PMU_COUNTER_START,
    PMU_COUNTER_STOP,
    PMU_COUNTER_FW_READ,
    PMU_COUNTER_FW_READ_HI,
    PMU_SNAPSHOT_SET_SHMEM,
};

#define CFG_SKIP_MATCH  0x01u
#define CFG_CLEAR_VALUE 0x02u
#define CFG_AUTO_START  0x04u
#define CFG_INHIBIT     0xf8u
#define CFG_ALL         0xffu

#define START_SET_INIT_VALUE 0x1u
#define START_INIT_SNAPSHOT  0x2u
#define STOP_RESET           0x1u
#define STOP_TAKE_SNAPSHOT   0x2u

#define INFO_FIRMWARE BIT(63)
#define INFO_WIDTH(w) ((u64)((w)-1) << 12)
#define CSR_CYCLE     0xc00u
#define INDEX_CYCLE   0u
#define INDEX_TIME    1u
#define INDEX_INSTRET 2u
#define INDEX_HPM     3u

#define EVENT_TYPE(e)      ((e) >> 16)
#define EVENT_CODE(e)      ((e)&0xffffu)
#define EVENT_TYPE_FW      0xfu
#define EVENT_CPU_CYCLES   0x1u
#define EVENT_INSTRUCTIONS 0x2u

static u32 counters_end(const struct sbi *sbi)
{
    return sbi->platform->counter_count + SBI_FW_COUNTERS;
}

static bool counter_is_fw(const struct sbi *sbi, u32 index)
{
    return index >= sbi->platform->counter_count;
}

static bool counter_exists(const struct sbi *sbi, u64 index)
{
    if (index >= counters_end(sbi))
        return false;
    return index != INDEX_TIME || counter_is_fw(sbi, (u32)index);
}

/* The counters that base and mask name, bit n is index n. False: one of them does not exist. */
static bool counter_set(const struct sbi *sbi, u64 base, u64 mask, u64 *set)
{
    *set = 0;
    for (u32 i = 0; i < 64; i++) {
        if (!(mask & BIT(i)))
            continue;
        /* The sum cannot wrap: base is below the end whenever it matters. */
        if (base >= counters_end(sbi) || !counter_exists(sbi, base + i))
            return false;
        *set |= BIT(base + i);
    }
    return true;
}

static u64 event_total(struct sbi *sbi, u32 hart, u32 event)
{
    return atomic_load_explicit(&sbi->hart[hart].event_total[EVENT_CODE(event)],
                                memory_order_relaxed);
}

static u64 fw_value(struct sbi *sbi, u32 hart, const struct pmu_counter *c)
{
    return c->started ? event_total(sbi, hart, c->event) - c->base : c->base;
}

static void counter_set_value(struct sbi *sbi, u32 hart, u32 index, u64 value)
{
    if (counter_is_fw(sbi, index))
        sbi->hart[hart].counter[index].base = value; /* it is stopped */
    else
        sbi->platform->counter_write(sbi->ctx, hart, index, value);
}

static void counter_start(struct sbi *sbi, u32 hart, u32 index)
{
    struct pmu_counter *c = &sbi->hart[hart].counter[index];

    c->started = true;
    if (counter_is_fw(sbi, index))
        c->base = event_total(sbi, hart, c->event) - c->base;
    else
        sbi->platform->counter_start(sbi->ctx, hart, index);
}

static void counter_stop(struct sbi *sbi, u32 hart, u32 index)
{
    struct pmu_counter *c = &sbi->hart[hart].counter[index];

    if (counter_is_fw(sbi, index))
        c->base = fw_value(sbi, hart, c);
    else
        sbi->platform->counter_stop(sbi->ctx, hart, index);
    c->started = false;
}

/* Makes counter index (stopped) count event; false: it cannot. */
static bool counter_config(struct sbi *sbi, u32 hart, u32 index, u32 event, u64 data, u32 inhibit)
{
    u32 code = EVENT_CODE(event);

    if (counter_is_fw(sbi, index))
        return EVENT_TYPE(event) == EVENT_TYPE_FW && code >= PMU_FW_SET_TIMER && code < PMU_FW_END;
    if (EVENT_TYPE(event) == EVENT_TYPE_FW)
        return false;
    if (index == INDEX_CYCLE)
        return event == EVENT_CPU_CYCLES;
    if (index == INDEX_INSTRET)
        return event == EVENT_INSTRUCTIONS;
    return sbi->platform->counter_config(sbi->ctx, hart, index, event, data, inhibit);
}

static struct sbi_ret counter_get_info(const struct sbi *sbi, u64 index)
{
    if (!counter_exists(sbi, index))
        return sbi_fail(SBI_ERR_INVALID_PARAM);
    if (counter_is_fw(sbi, (u32)index))
        return sbi_done(INFO_FIRMWARE | INFO_WIDTH(64));
    return sbi_done(INFO_WIDTH(64) | (CSR_CYCLE + index));
}

/*
 * The counter of set that now counts event, or -1. Programmable ones are tried first: only they
 * honour inhibit and overflow.
 */
static int counter_match(struct sbi *sbi, u32 hart, u64 set, u32 event, u64 data, u32 inhibit)
{
    const u64 fixed = BIT(INDEX_HPM) - 1;
    const u64 pass[] = {set & ~fixed, set & fixed};

    for (size_t p = 0; p < ARRAY_SIZE(pass); p++) {
        for (u32 i = 0; i < counters_end(sbi); i++) {
            if (!(pass[p] & BIT(i)) || sbi->hart[hart].counter[i].configured)
                continue;
            if (counter_config(sbi, hart, i, event, data, inhibit))
                return (int)i;
        }
    }
    return -1;
}

/* The first counter of set, as SKIP_MATCH wants it: as it is configured, or else made to be. */
static int counter_take(struct sbi *sbi, u32 hart, u64 set, u32 event, u64 data, u32 inhibit)
{
    u32 index;

    if (!set)
        return -1;
    index = (u32)__builtin_ctzll(set);
    if (sbi->hart[hart].counter[index].configured)
        return (int)index;
    return counter_config(sbi, hart, index, event, data, inhibit) ? (int)index : -1;
}

static struct sbi_ret config_matching(struct sbi *sbi, u32 hart, const struct sbi_call *call)
{
    u64 flags = call->arg[2], event = call->arg[3], set;
    u32 inhibit = (u32)flags & CFG_INHIBIT;
    struct pmu_counter *c;
    int index;

    if (flags & ~(u64)CFG_ALL || event >> 20)
        return sbi_fail(SBI_ERR_INVALID_PARAM);
    if (!counter_set(sbi, call->arg[0], call->arg[1], &set))
        return sbi_fail(SBI_ERR_INVALID_PARAM);
    if (flags & CFG_SKIP_MATCH)
        index = counter_take(sbi, hart, set, (u32)event, call->arg[4], inhibit);
    else
        index = counter_match(sbi, hart, set, (u32)event, call->arg[4], inhibit);
    if (index < 0)
        return sbi_fail(SBI_ERR_NOT_SUPPORTED);
    c = &sbi->hart[hart].counter[index];
    if (!c->configured)
        *c = (struct pmu_counter){.configured = true, .event = (u32)event, .base = c->base};
    if (flags & CFG_CLEAR_VALUE) {
        bool started = c->started;
        if (started)
            counter_stop(sbi, hart, (u32)index);
        counter_set_value(sbi, hart, (u32)index, 0);
        if (started)
            counter_start(sbi, hart, (u32)index);
    }
    if (flags & CFG_AUTO_START && !c->started)
        counter_start(sbi, hart, (u32)index);
    return sbi_done((u64)index);
}

static struct sbi_ret counters_start(struct sbi *sbi, u32 hart, const struct sbi_call *call)
{
    u64 flags = call->arg[2], set;
    struct sbi_ret ret = sbi_done(0);

    if (flags & START_INIT_SNAPSHOT)
        return sbi_fail(SBI_ERR_NO_SHMEM);
    if (flags & ~(u64)START_SET_INIT_VALUE || !counter_set(sbi, call->arg[0], call->arg[1], &set))
        return sbi_fail(SBI_ERR_INVALID_PARAM);
    for (u32 i = 0; i < counters_end(sbi); i++) {
        if (set & BIT(i) && !sbi->hart[hart].counter[i].configured)
            return sbi_fail(SBI_ERR_INVALID_PARAM);
    }
    for (u32 i = 0; i < counters_end(sbi); i++) {
        if (!(set & BIT(i)))
            continue;
        if (sbi->hart[hart].counter[i].started) {
            ret = sbi_fail(SBI_ERR_ALREADY_STARTED);
            continue;
        }
        if (flags & START_SET_INIT_VALUE)
            counter_set_value(sbi, hart, i, call->arg[3]);
        counter_start(sbi, hart, i);
    }
    return ret;
}

static struct sbi_ret counters_stop(struct sbi *sbi, u32 hart, const struct sbi_call *call)
{
    u64 flags = call->arg[2], set;
    struct sbi_ret ret = sbi_done(0);

    if (flags & STOP_TAKE_SNAPSHOT)
        return sbi_fail(SBI_ERR_NO_SHMEM);
    if (flags & ~(u64)STOP_RESET || !counter_set(sbi, call->arg[0], call->arg[1], &set))
        return sbi_fail(SBI_ERR_INVALID_PARAM);
    for (u32 i = 0; i < counters_end(sbi); i++) {
        if (!(set & BIT(i)))
            continue;
        if (sbi->hart[hart].counter[i].started)
            counter_stop(sbi, hart, i);
        else
            ret = sbi_fail(SBI_ERR_ALREADY_STOPPED);
        if (flags & STOP_RESET)
            sbi->hart[hart].counter[i].configured = false;
    }
    return ret;
}

static struct sbi_ret fw_read(struct sbi *sbi, u32 hart, u64 index, bool high)
{
    const struct pmu_counter *c;

    if (!counter_exists(sbi, index) || !counter_is_fw(sbi, (u32)index))
        return sbi_fail(SBI_ERR_INVALID_PARAM);
    c = &sbi->hart[hart].counter[index];
    if (!c->configured)
        return sbi_fail(SBI_ERR_INVALID_PARAM);
    return sbi_done(high ? 0 : fw_value(sbi, hart, c));
}

struct sbi_ret sbi_pmu_serve(struct sbi *sbi, u32 hart, const struct sbi_call *call)
{
    switch (call->func) {
    case PMU_NUM_COUNTERS:
        return sbi_done(counters_end(sbi));
    case PMU_COUNTER_GET_INFO:
        return counter_get_info(sbi, call->arg[0]);
    case PMU_COUNTER_CONFIG_MATCHING:
        return config_matching(sbi, hart, call);
    case PMU_COUNTER_START:
        return counters_start(sbi, hart, call);
    case PMU_COUNTER_STOP:
        return counters_stop(sbi, hart, call);
    case PMU_COUNTER_FW_READ:
        return fw_read(sbi, hart, call->arg[0], false);
    case PMU_COUNTER_FW_READ_HI:
        return fw_read(sbi, hart, call->arg[0], true);
    case PMU_SNAPSHOT_SET_SHMEM:
    default:
        return sbi_fail(SBI_ERR_NOT_SUPPORTED);
    }
}
