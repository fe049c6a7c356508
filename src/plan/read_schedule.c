/* SPDX-License-Identifier: BSD-2-Clause */
/* [[hart]] and [[plan]] of a configuration: how harts that are shared give their time. */
#include "plan/read.h"

#include "base/checked.h"

#include <string.h>

static u32 hart_id(const struct plan *p, u32 hart)
{
    return p->board.hart[hart].id;
}

/* By hart; on a hart as the file has them. */
static void sort_vcpus(struct plan *p)
{
    for (u32 i = 1; i < p->vcpu_count; i++) {
        struct plan_vcpu v = p->vcpu[i];
        u32 j = i;

        for (; j && p->vcpu[j - 1].hart > v.hart; j--)
            p->vcpu[j] = p->vcpu[j - 1];
        p->vcpu[j] = v;
    }
}

/* The vCPU of a partition on a hart: the one with that number, or the only one (UINT32_MAX). */
static int find_vcpu(struct plan *p, const struct toml_node *n, u32 partition, u32 hart, u32 number,
                     u32 *index)
{
    const char *name = p->partition[partition].name;
    u32 found = 0;

    for (u32 i = 0; i < p->vcpu_count; i++) {
        const struct plan_vcpu *v = &p->vcpu[i];

        if (v->partition != partition || v->hart != hart ||
            (number != UINT32_MAX && v->number != number))
            continue;
        *index = i;
        found++;
    }
    if (found > 1)
        return plan_refuse(p, n, "'%s' has several vCPUs on hart %u; say which: vcpu = N", name,
                           hart_id(p, hart));
    if (!found && number != UINT32_MAX)
        return plan_refuse(p, n, "vCPU %u of '%s' is not on hart %u; its harts are in line %u",
                           number, name, hart_id(p, hart), p->partition[partition].node->line);
    if (!found)
        return plan_refuse(p, n, "'%s' has no vCPU on hart %u; its harts are in line %u", name,
                           hart_id(p, hart), p->partition[partition].node->line);
    return 0;
}

/* --- [[hart]] --- */

struct share_table {
    const struct toml_node *partition;
    u32 vcpu, priority;
    u64 budget, period;
};

struct hart_table {
    const struct toml_node *number, *mode, *vcpus;
};

#define AT(field) offsetof(struct share_table, field)
static const struct plan_key share_keys[] = {
    {"partition", KIND(STRING), take_node, AT(partition), true},
    {"vcpu", KIND(INTEGER), take_number, AT(vcpu)},
    {"priority", KIND(INTEGER), take_number, AT(priority), true},
    {"budget", KIND(STRING), take_time, AT(budget)},
    {"period", KIND(STRING), take_time, AT(period)},
};
#undef AT

#define AT(field) offsetof(struct hart_table, field)
static const struct plan_key hart_keys[] = {
    {"number", KIND(INTEGER), take_node, AT(number), true},
    {"mode", KIND(STRING), take_node, AT(mode), true},
    {"vcpus", KIND(ARRAY), take_node, AT(vcpus)},
};
#undef AT

static int check_budget(struct plan *p, const struct toml_node *n, const struct share_table *t)
{
    const struct toml_node *period = toml_get(n, "period"), *budget = toml_get(n, "budget");

    if (!budget != !period)
        return plan_refuse(p, n,
                           "a budget and its period stand together; without both there is no "
                           "limit");
    if (budget && (!t->budget || t->budget > t->period))
        return plan_refuse(p, budget, "a budget is more than nothing and at most its period");
    return 0;
}

static int read_share(struct plan *p, const struct toml_node *n, u32 hart)
{
    struct share_table t = {.vcpu = UINT32_MAX};
    struct plan_vcpu *v;
    u32 partition, index;
    int r;

    if (n->kind != TOML_TABLE)
        return plan_refuse(p, n, "a vCPU is { partition = NAME, priority = N, ... }, not %s",
                           toml_kind_name(n->kind));
    r = read_table(p, n, "a hart's vCPU", share_keys, ARRAY_SIZE(share_keys), &t);
    if (!r)
        r = read_partition_name(p, t.partition, &partition);
    if (!r)
        r = find_vcpu(p, n, partition, hart, t.vcpu, &index);
    if (!r)
        r = check_budget(p, n, &t);
    if (r)
        return r;
    v = &p->vcpu[index];
    if (v->time_node)
        return plan_refuse(p, n, "this vCPU has its priority already, by line %u",
                           v->time_node->line);
    v->priority = t.priority;
    v->budget = t.budget;
    v->period = t.period;
    v->time_node = n;
    return 0;
}

static int take_hart(struct plan *p, const struct toml_node *n)
{
    static const char *const modes[] = {"exclusive", "cyclic", "priority", NULL};
    struct hart_table t = {0};
    u32 hart, mode;
    int r = read_table(p, n, "a hart", hart_keys, ARRAY_SIZE(hart_keys), &t);

    if (!r)
        r = read_hart_number(p, t.number, &hart);
    if (!r)
        r = read_choice(p, t.mode, modes, "mode of a hart", &mode);
    if (r)
        return r;
    if (p->hart[hart].node)
        return plan_refuse(p, n, "hart %u has its mode already, by line %u", hart_id(p, hart),
                           p->hart[hart].node->line);
    p->hart[hart].node = n;
    p->hart[hart].mode = METAL_HART_EXCLUSIVE + mode;
    if (t.vcpus && p->hart[hart].mode != METAL_HART_PRIORITY)
        return plan_refuse(p, t.vcpus, "vCPUs are listed here only with mode = \"priority\"");
    for (const struct toml_node *v = t.vcpus ? t.vcpus->first : NULL; v && !r; v = v->next)
        r = read_share(p, v, hart);
    return r;
}

static int check_hart(struct plan *p, u32 hart)
{
    struct plan_hart *h = &p->hart[hart];
    const struct plan_vcpu *first = NULL, *second = NULL;
    const u32 files = (1u << p->board.imsic_guest_bits) - 1;
    u32 count = 0;

    for (u32 i = 0; i < p->vcpu_count; i++) {
        struct plan_vcpu *v = &p->vcpu[i];

        if (v->hart != hart)
            continue;
        if (count++ == 0)
            first = v;
        else if (!second)
            second = v;
        v->guest_file = p->board.intc == METAL_INTC_AIA ? count : 0;
        if (v->guest_file > files)
            return plan_refuse(p, v->node,
                               "hart %u has %u guest interrupt files, and this is vCPU %u "
                               "on it; aia-guests gives more",
                               hart_id(p, hart), files, count);
    }
    if (!h->node)
        h->mode = count ? METAL_HART_EXCLUSIVE : METAL_HART_UNUSED;
    if (h->node && !count)
        return plan_refuse(p, h->node, "no partition has a vCPU on hart %u", hart_id(p, hart));
    if (h->mode == METAL_HART_EXCLUSIVE && count > 1)
        return plan_refuse(p, second->node,
                           "hart %u belongs to '%s' of line %u, and to '%s'; a "
                           "[[hart]] with mode = \"cyclic\" or \"priority\" shares it",
                           hart_id(p, hart), p->partition[first->partition].name, first->node->line,
                           p->partition[second->partition].name);
    return 0;
}

int read_harts(struct plan *p)
{
    int r;

    sort_vcpus(p);
    r = read_each(p, "hart", METAL_HARTS_MAX, take_hart);
    for (u32 h = 0; h < p->board.hart_count && !r; h++)
        r = check_hart(p, h);
    return r;
}

/* --- [[plan]] --- */

struct window_table {
    const struct toml_node *hart, *harts, *partition;
    u32 vcpu;
    u64 start, length;
};

#define AT(field) offsetof(struct window_table, field)
static const struct plan_key window_keys[] = {
    {"hart", KIND(INTEGER), take_node, AT(hart)},
    {"harts", KIND(ARRAY), take_node, AT(harts)},
    {"partition", KIND(STRING), take_node, AT(partition), true},
    {"vcpu", KIND(INTEGER), take_number, AT(vcpu)},
    {"start", KIND(STRING), take_time, AT(start), true},
    {"length", KIND(STRING), take_time, AT(length), true},
};
#undef AT

/* Keeps a hart's windows in order; two may not overlap. */
static int insert_window(struct plan *p, struct plan_schedule *s, u32 hart,
                         const struct plan_window *w)
{
    struct plan_window *list = s->window[hart];
    u32 i = s->window_count[hart];

    if (i == METAL_WINDOWS_MAX)
        return plan_refuse(p, w->node, "hart %u has more than %u windows in plan '%s'",
                           hart_id(p, hart), METAL_WINDOWS_MAX, s->name);
    for (u32 j = 0; j < i; j++) {
        if (range_overlaps(list[j].start, list[j].length, w->start, w->length))
            return plan_refuse(p, w->node, "this window overlaps that of line %u on hart %u",
                               list[j].node->line, hart_id(p, hart));
    }
    for (; i && list[i - 1].start > w->start; i--)
        list[i] = list[i - 1];
    list[i] = *w;
    s->window_count[hart]++;
    return 0;
}

static int add_window(struct plan *p, struct plan_schedule *s, const struct toml_node *n,
                      const struct toml_node *hart_node, const struct window_table *t)
{
    struct plan_window w = {t->start, t->length, 0, n};
    u32 hart, partition;
    int r = read_hart_number(p, hart_node, &hart);

    if (!r)
        r = read_partition_name(p, t->partition, &partition);
    if (!r && p->hart[hart].mode != METAL_HART_CYCLIC)
        r = p->hart[hart].node
                ? plan_refuse(p, n, "hart %u has no windows by its mode in line %u",
                              hart_id(p, hart), p->hart[hart].node->line)
                : plan_refuse(p, n,
                              "hart %u has no windows without a [[hart]] of mode = \"cyclic\"",
                              hart_id(p, hart));
    if (!r)
        r = find_vcpu(p, n, partition, hart, t->vcpu, &w.vcpu);
    if (!r)
        r = insert_window(p, s, hart, &w);
    if (!r)
        p->vcpu[w.vcpu].time_node = n;
    return r;
}

static int read_window(struct plan *p, struct plan_schedule *s, const struct toml_node *n)
{
    struct window_table t = {.vcpu = UINT32_MAX};
    int r;

    if (n->kind != TOML_TABLE)
        return plan_refuse(p, n,
                           "a window is { hart = N, partition = NAME, start = T, length = T }, "
                           "not %s",
                           toml_kind_name(n->kind));
    r = read_table(p, n, "a window", window_keys, ARRAY_SIZE(window_keys), &t);
    if (r)
        return r;
    if (!t.hart == !t.harts)
        return plan_refuse(p, n, "a window is of one hart = N or of several, harts = [N, ...]");
    if (!t.length)
        return plan_refuse(p, n, "a window of no length gives no time");
    if (t.start > s->frame || t.length > s->frame - t.start)
        return plan_refuse(p, n,
                           "this window ends behind the frame of plan '%s', which line %u gives",
                           s->name, toml_get(s->node, "frame")->line);
    if (t.hart)
        return add_window(p, s, n, t.hart, &t);
    for (const struct toml_node *h = t.harts->first; h && !r; h = h->next)
        r = add_window(p, s, n, h, &t);
    return r;
}

struct plan_table {
    char name[METAL_NAME_MAX];
    u64 frame;
    const struct toml_node *windows;
};

#define AT(field) offsetof(struct plan_table, field)
static const struct plan_key plan_keys[] = {
    {"name", KIND(STRING), take_name, AT(name), true},
    {"frame", KIND(STRING), take_time, AT(frame), true},
    {"windows", KIND(ARRAY), take_node, AT(windows), true},
};
#undef AT

static int take_plan(struct plan *p, const struct toml_node *n)
{
    struct plan_schedule *s = &p->schedule[p->schedule_count];
    struct plan_table t = {0};
    int r = read_table(p, n, "a plan", plan_keys, ARRAY_SIZE(plan_keys), &t);

    if (r)
        return r;
    for (u32 i = 0; i < p->schedule_count; i++) {
        if (!strcmp(p->schedule[i].name, t.name))
            return plan_refuse(p, n, "there is a plan '%s' already, in line %u", t.name,
                               p->schedule[i].node->line);
    }
    if (!t.frame)
        return plan_refuse(p, n, "a frame of no length gives no time");
    memcpy(s->name, t.name, sizeof(s->name));
    s->frame = t.frame;
    s->node = n;
    p->schedule_count++;
    for (const struct toml_node *w = t.windows->first; w && !r; w = w->next)
        r = read_window(p, s, w);
    return r;
}

int read_schedules(struct plan *p)
{
    return read_each(p, "plan", METAL_PLANS_MAX, take_plan);
}
