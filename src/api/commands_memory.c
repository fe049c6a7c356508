/* SPDX-License-Identifier: BSD-2-Clause */
/* What the control socket of a VM can do with its memory. */
#include "api/commands.h"

#include "vmm/vm_memory.h"

#include <errno.h>

/* The names that clients of the protocol know. */
static const char *const stat_name[BALLOON_STATS] = {
    [BALLOON_SWAP_IN] = "stat-swap-in",
    [BALLOON_SWAP_OUT] = "stat-swap-out",
    [BALLOON_MAJOR_FAULTS] = "stat-major-faults",
    [BALLOON_MINOR_FAULTS] = "stat-minor-faults",
    [BALLOON_FREE] = "stat-free-memory",
    [BALLOON_TOTAL] = "stat-total-memory",
    [BALLOON_AVAILABLE] = "stat-available-memory",
    [BALLOON_CACHES] = "stat-disk-caches",
    [BALLOON_HTLB_ALLOCS] = "stat-htlb-pgalloc",
    [BALLOON_HTLB_FAILS] = "stat-htlb-pgfail",
    [BALLOON_OOM_KILLS] = "stat-oom-kill",
    [BALLOON_ALLOC_STALLS] = "stat-alloc-stall",
    [BALLOON_SCANS_ASYNC] = "stat-scan-async",
    [BALLOON_SCANS_DIRECT] = "stat-scan-direct",
    [BALLOON_RECLAIMS_ASYNC] = "stat-reclaim-async",
    [BALLOON_RECLAIMS_DIRECT] = "stat-reclaim-direct",
};

static void put(struct json_out *out, const char *key, u64 value)
{
    json_key(out, key);
    json_put_integer(out, (s64)(value & INT64_MAX));
}

static void put_stats(struct json_out *out, const struct balloon_state *b)
{
    json_key(out, "stats");
    json_open(out, '{');
    for (u32 i = 0; i < BALLOON_STATS; i++) {
        if (b->known & 1u << i)
            put(out, stat_name[i], b->stat[i]);
    }
    json_close(out, '}');
}

void command_put_balloon(struct json_out *out, struct vm *vm)
{
    struct vm_memory m;

    vm_memory_get(vm, &m);
    json_open(out, '{');
    put(out, "actual", m.size - (m.balloon.actual < m.size ? m.balloon.actual : m.size));
    json_close(out, '}');
}

int command_balloon(struct command_call *c, struct err *err)
{
    s64 value;

    if (!command_integer(c, "value", &value) || value <= 0)
        return err_set(err, EINVAL, "Parameter 'value' expects a size in bytes, greater than 0");
    return vm_memory_set(c->vm, (u64)value, err);
}

int command_query_balloon(struct command_call *c, struct err *err)
{
    struct vm_memory m;

    vm_memory_get(c->vm, &m);
    if (!m.has_balloon)
        return err_set(
            err, ENODEV,
            "No balloon device has been activated; the VM was started with --balloon off");
    vm_memory_ask(c->vm);
    json_open(c->out, '{');
    put(c->out, "actual", m.size - (m.balloon.actual < m.size ? m.balloon.actual : m.size));
    put(c->out, "target", m.size - (m.balloon.target < m.size ? m.balloon.target : m.size));
    put(c->out, "size", m.size);
    put(c->out, "resident", m.resident);
    put(c->out, "returned", m.balloon.returned);
    json_key(c->out, "driver");
    json_put_bool(c->out, m.balloon.driven);
    put(c->out, "told", m.balloon.told);
    put_stats(c->out, &m.balloon);
    json_close(c->out, '}');
    return 0;
}
