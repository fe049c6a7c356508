/* SPDX-License-Identifier: BSD-2-Clause */
/* The health monitor. */
#include "metal/health.h"

#include "metal/console.h"
#include "metal/hart.h"
#include "metal/partition.h"
#include "metal/sbi_call.h"
#include "metal/trace.h"
#include "metal/vcpu.h"

#define EID_SRST 0x53525354

static const char *const event_names[METAL_EVENTS] = {
    [METAL_EVENT_MEMORY] = "memory",     [METAL_EVENT_INSTRUCTION] = "instruction",
    [METAL_EVENT_WATCHDOG] = "watchdog", [METAL_EVENT_BUDGET] = "budget",
    [METAL_EVENT_RAISED] = "raised",     [METAL_EVENT_SHUTDOWN] = "shutdown",
    [METAL_EVENT_REBOOT] = "reboot",     [METAL_EVENT_IMAGE] = "image",
    [METAL_EVENT_DMA] = "dma",
};

static const char *const action_names[] = {
    [METAL_ACTION_IGNORE] = "ignored",     [METAL_ACTION_LOG] = "logged",
    [METAL_ACTION_GUEST] = "told",         [METAL_ACTION_STOP] = "stopped",
    [METAL_ACTION_RESTART] = "restarted",  [METAL_ACTION_WARM] = "restarted warm",
    [METAL_ACTION_PLAN] = "plan switched", [METAL_ACTION_HALT] = "board halted",
};

NORETURN static void end(u32 type)
{
    console_flush();
    for (;;)
        sbi_call(EID_SRST, 0, type, 0, 0);
}

void health_halt(void)
{
    end(METAL_ALL_STOPPED_OFF);
}

void health_all_stopped(void)
{
    console_flush(); /* or there might be no room for the line */
    console_log(NULL, "all partitions have stopped");
    if (metal_config.board.all_stopped != METAL_ALL_STOPPED_STAY)
        end(metal_config.board.all_stopped);
}

/* A rule's restarts are used up: the partition stops for good. */
static u32 limited(struct partition *p, const struct metal_rule *rule, u32 event)
{
    u32 action = rule->action;

    if (action != METAL_ACTION_RESTART && action != METAL_ACTION_WARM)
        return action;
    if (rule->limit && atomic_load(&p->rule_count[event]) >= rule->limit)
        return METAL_ACTION_STOP;
    return action;
}

u32 health_event(struct partition *p, u32 event, u64 detail)
{
    const struct metal_rule *rule = &p->config->rule[event];
    u32 action = limited(p, rule, event);

    trace(TRACE_HEALTH, p->index << 16 | event << 8 | action, detail);
    if (action != METAL_ACTION_IGNORE && action != METAL_ACTION_GUEST)
        console_log(&p->log_limit, "%s: %s at 0x%llx: %s", p->config->name, event_names[event],
                    (unsigned long long)detail, action_names[action]);
    switch (action) {
    case METAL_ACTION_STOP:
    case METAL_ACTION_RESTART:
    case METAL_ACTION_WARM:
        if (partition_halt(p, action)) /* else it is on its way already */
            atomic_fetch_add(&p->rule_count[event], 1);
        break;
    case METAL_ACTION_PLAN:
        hart_switch_plan(rule->plan);
        break;
    case METAL_ACTION_HALT:
        health_halt();
    default:
        break;
    }
    return action;
}

void health_kick_watchdog(struct partition *p, u64 now)
{
    u64 before;

    if (!p->config->watchdog)
        return;
    before =
        atomic_exchange_explicit(&p->watchdog_at, now + p->config->watchdog, memory_order_release);
    /* Later kicks only put it off: the timer comes too early and is set anew. */
    if (before == UINT64_MAX)
        vcpu_request(partition_vcpu(p, 0), REQUEST_TIMER);
}

void health_watchdogs(struct hart *h, u64 now)
{
    for (u32 i = 0; i < h->config->vcpu_count; i++) {
        struct vcpu *v = &metal.vcpu[h->config->vcpu_first + i];
        struct partition *p = v->partition;

        if (v->number || atomic_load_explicit(&p->watchdog_at, memory_order_relaxed) > now)
            continue;
        atomic_store_explicit(&p->watchdog_at, UINT64_MAX, memory_order_relaxed);
        health_event(p, METAL_EVENT_WATCHDOG, 0);
    }
}
