/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor's own SBI extension for partitions: doorbells, watchdog, health, control,
 * monitoring (include/cosm/partition.h is the guest's side).
 */
#include "metal/console.h"
#include "metal/csr.h"
#include "metal/hart.h"
#include "metal/health.h"
#include "metal/intc.h"
#include "metal/partition.h"
#include "metal/trace.h"
#include "metal/vcpu.h"
#include "metal/vdev.h"

enum {
    CALL_DOORBELL,
    CALL_WATCHDOG,
    CALL_INFO,
    CALL_RAISE,
    CALL_CONTROL,
    CALL_PLAN,
    CALL_TRACE_READ,
    CALL_LOG_READ,
    CALL_WINDOW_END,
    CALL_VDEV_NEXT,
    CALL_VDEV_REPLY,
    CALL_STATUS,
};

enum { CONTROL_STOP, CONTROL_START, CONTROL_RESTART, CONTROL_WARM };

static struct sbi_ret doorbell(struct partition *p, u64 number)
{
    for (u32 i = 0; i < metal_config.doorbell_count; i++) {
        const struct metal_doorbell *d = &metal_config.doorbell[i];

        if (d->from != p->index || number--)
            continue;
        intc_raise(&metal.partition[d->to], d->virtual_source);
        return sbi_done(0);
    }
    return sbi_fail(SBI_ERR_INVALID_PARAM);
}

static struct sbi_ret control(const struct partition *self, u64 target, u64 operation)
{
    struct partition *p;
    bool done = false;

    if (!(self->config->rights & METAL_MAY_CONTROL))
        return sbi_fail(SBI_ERR_DENIED);
    if (target >= metal_config.partition_count || operation > CONTROL_WARM)
        return sbi_fail(SBI_ERR_INVALID_PARAM);
    p = &metal.partition[target];
    if (operation == CONTROL_START)
        done = partition_start(p, true);
    else if (operation == CONTROL_STOP)
        done = partition_halt(p, METAL_ACTION_STOP);
    else
        done = partition_halt(p, operation == CONTROL_RESTART ? METAL_ACTION_RESTART
                                                              : METAL_ACTION_WARM);
    return done ? sbi_done(0) : sbi_fail(SBI_ERR_FAILED);
}

static struct sbi_ret plan(const struct partition *self, u64 number)
{
    if (!(self->config->rights & METAL_MAY_CONTROL))
        return sbi_fail(SBI_ERR_DENIED);
    if (number >= metal_config.plan_count)
        return sbi_fail(SBI_ERR_INVALID_PARAM);
    hart_switch_plan((u32)number);
    return sbi_done(0);
}

/* arg: hart, gpa, records, number of the last one that was read. */
static struct sbi_ret read_trace(struct partition *self, const u64 *arg)
{
    struct trace_record record;
    u64 since = arg[3], n = 0;

    if (!(self->config->rights & METAL_MAY_MONITOR))
        return sbi_fail(SBI_ERR_DENIED);
    if (arg[0] >= metal_config.board.hart_count || arg[2] > 32)
        return sbi_fail(SBI_ERR_INVALID_PARAM);
    while (n < arg[2] && !(n && hart_is_pressed()) && trace_read((u32)arg[0], since, &record, 1)) {
        if (!partition_write(self, arg[1] + n * sizeof(record), &record, sizeof(record)))
            return sbi_fail(SBI_ERR_INVALID_ADDRESS);
        since = record.number;
        n++;
    }
    return sbi_done(n);
}

/* arg: gpa, bytes, place in the log. */
static struct sbi_ret read_log(struct partition *self, const u64 *arg)
{
    char text[128];
    u32 at = (u32)arg[2];
    size_t n;

    if (!(self->config->rights & METAL_MAY_MONITOR))
        return sbi_fail(SBI_ERR_DENIED);
    n = console_log_read(&at, text, arg[1] < sizeof(text) ? arg[1] : sizeof(text));
    if (n && !partition_write(self, arg[0], text, n))
        return sbi_fail(SBI_ERR_INVALID_ADDRESS);
    return sbi_done((u64)n << 32 | (u32)(at + n));
}

static struct sbi_ret status(u64 target)
{
    struct partition *p;

    if (target >= metal_config.partition_count)
        return sbi_fail(SBI_ERR_INVALID_PARAM);
    p = &metal.partition[target];
    return sbi_done((u64)atomic_load(&p->restarts) << 8 | atomic_load(&p->state));
}

static struct sbi_ret window_end(struct vcpu *v)
{
    if (v->hart->config->mode != METAL_HART_CYCLIC)
        return sbi_fail(SBI_ERR_NOT_SUPPORTED);
    v->yielded = true;
    v->hart->resched = true;
    return sbi_done(0);
}

struct sbi_ret sbi_partition_serve(struct sbi *sbi, u32 hart, const struct sbi_call *call)
{
    struct partition *p = sbi->ctx;

    switch (call->func) {
    case CALL_DOORBELL:
        return doorbell(p, call->arg[0]);
    case CALL_WATCHDOG:
        health_kick_watchdog(p, time_now());
        return sbi_done(0);
    case CALL_INFO:
        return sbi_done((u64)p->index << 16 | p->config->vcpu_count);
    case CALL_RAISE:
        health_event(p, METAL_EVENT_RAISED, call->arg[0]);
        return sbi_done(0);
    case CALL_CONTROL:
        return control(p, call->arg[0], call->arg[1]);
    case CALL_PLAN:
        return plan(p, call->arg[0]);
    case CALL_TRACE_READ:
        return read_trace(p, call->arg);
    case CALL_LOG_READ:
        return read_log(p, call->arg);
    case CALL_WINDOW_END:
        return window_end(partition_vcpu(p, hart));
    case CALL_VDEV_NEXT:
        return vdev_next(p, call->arg[0]);
    case CALL_VDEV_REPLY:
        return vdev_reply(p, call->arg);
    case CALL_STATUS:
        return status(call->arg[0]);
    default:
        return sbi_fail(SBI_ERR_NOT_SUPPORTED);
    }
}
