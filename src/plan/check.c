/* SPDX-License-Identifier: BSD-2-Clause */
/* What a configuration as a whole must keep to, beyond each of its tables. */
#include "plan/check.h"

#include "base/bits.h"

static int check_time(struct plan *p)
{
    for (u32 i = 0; i < p->vcpu_count; i++) {
        const struct plan_vcpu *v = &p->vcpu[i];
        const struct plan_hart *h = &p->hart[v->hart];

        if (h->mode == METAL_HART_EXCLUSIVE || v->time_node)
            continue;
        return plan_refuse(p, v->node, "vCPU %u of '%s' gets no time: %s hart %u (line %u)",
                           v->number, p->partition[v->partition].name,
                           h->mode == METAL_HART_CYCLIC ? "no plan has a window for it on"
                                                        : "it is not among the vcpus of",
                           p->board.hart[v->hart].id, h->node->line);
    }
    return 0;
}

/* Budgets as parts of 2^32, rounded down: what is lost is far below a tick of any period. */
static u64 share_of(const struct plan_vcpu *v)
{
    return v->period ? (u64)(((u128)v->budget << 32) / v->period) : 0;
}

static u64 budgets(const struct plan *p, u32 hart)
{
    u64 sum = 0;

    for (u32 i = 0; i < p->vcpu_count; i++) {
        if (p->vcpu[i].hart == hart)
            sum += share_of(&p->vcpu[i]);
    }
    return sum;
}

static int check_utilisation(struct plan *p)
{
    for (u32 h = 0; h < p->board.hart_count; h++) {
        u64 sum = budgets(p, h);

        if (p->hart[h].mode != METAL_HART_PRIORITY || sum <= BIT(32))
            continue;
        sum = (sum * 1000 + BIT(32) - 1) >> 32;
        return plan_refuse(
            p, p->hart[h].node, "the budgets on hart %u come to %llu.%llu %% of its time",
            p->board.hart[h].id, (unsigned long long)(sum / 10), (unsigned long long)(sum % 10));
    }
    return 0;
}

u32 plan_utilisation(const struct plan *p, u32 hart, u32 schedule)
{
    const struct plan_schedule *s = &p->schedule[schedule];
    u64 sum = 0;

    if (schedule == UINT32_MAX)
        return (u32)((budgets(p, hart) * 10000 + BIT(31)) >> 32);
    for (u32 i = 0; i < s->window_count[hart]; i++)
        sum += s->window[hart][i].length;
    return (u32)((u128)sum * 10000 / s->frame);
}

/* The first is in force at boot; others by a rule, or by a partition that may switch to any. */
static bool is_reachable(const struct plan *p, u32 schedule)
{
    for (u32 i = 0; i < p->partition_count; i++) {
        if (p->partition[i].rights & METAL_MAY_CONTROL)
            return true;
        for (u32 e = 0; e < METAL_EVENTS; e++) {
            const struct plan_rule *r = &p->partition[i].rule[e];

            if (r->action == METAL_ACTION_PLAN && r->plan == schedule)
                return true;
        }
    }
    return schedule == 0;
}

static int check_plans(struct plan *p)
{
    for (u32 i = 0; i < p->schedule_count; i++) {
        if (!is_reachable(p, i))
            return plan_refuse(p, p->schedule[i].node,
                               "nothing leads to plan '%s': no rule of a "
                               "partition's health, nor one that may control",
                               p->schedule[i].name);
    }
    for (u32 h = 0; h < p->board.hart_count; h++) {
        if (p->hart[h].mode == METAL_HART_CYCLIC && !p->schedule_count)
            return plan_refuse(p, p->hart[h].node, "hart %u is cyclic, and there is no [[plan]]",
                               p->board.hart[h].id);
    }
    return 0;
}

static int check_room(struct plan *p)
{
    const struct plan_region *last = NULL;
    u32 mapped = 0, irqs = p->dma.iommu_count != 0;

    for (u32 i = 0; i < p->region_count; i++) {
        if (p->region[i].kind == PLAN_IMSIC)
            mapped += p->partition[p->region[i].partition].vcpu_count;
        else if (p->region[i].kind <= PLAN_WINDOW)
            mapped++;
        if (mapped > METAL_REGIONS_MAX)
            last = &p->region[i];
    }
    if (last)
        return plan_refuse(p, last->node,
                           "there are %u regions of memory and devices, and the hypervisor "
                           "has room for %u",
                           mapped, METAL_REGIONS_MAX);
    for (u32 i = 0; i < p->partition_count; i++) {
        for (u32 s = 0; s < METAL_SOURCES_MAX; s++)
            irqs += p->partition[i].source[s].board_source != 0;
        if (irqs > METAL_IRQS_MAX)
            return plan_refuse(p, p->partition[i].node,
                               "the devices of all partitions have more than %u "
                               "interrupts",
                               METAL_IRQS_MAX);
    }
    return 0;
}

/* Two devices of the board may share a line; two partitions may not. */
static int check_irqs(struct plan *p)
{
    const struct plan_source *owner[1024] = {NULL};

    for (u32 i = 0; i < p->partition_count; i++) {
        for (u32 n = 0; n < METAL_SOURCES_MAX; n++) {
            const struct plan_source *s = &p->partition[i].source[n];

            if (!s->board_source)
                continue;
            if (s->board_source >= ARRAY_SIZE(owner))
                return plan_refuse(p, s->node,
                                   "interrupt %u of '%s' is beyond the %zu that are served",
                                   s->board_source, s->name, ARRAY_SIZE(owner) - 1);
            if (owner[s->board_source])
                return plan_refuse(p, s->node,
                                   "interrupt %u of '%s' is that of '%s', which line %u gives "
                                   "away",
                                   s->board_source, s->name, owner[s->board_source]->name,
                                   owner[s->board_source]->node->line);
            owner[s->board_source] = s;
        }
    }
    return 0;
}

int plan_check(struct plan *p)
{
    int r = check_plans(p);

    if (!r)
        r = check_time(p);
    if (!r)
        r = check_utilisation(p);
    if (!r)
        r = check_irqs(p);
    return r ? r : check_room(p);
}
