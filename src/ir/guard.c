/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accesses near each other become sure: a GUARD before the first of them sees to all.
 *
 * Code saves registers on the stack, walks structures and unrolls loops: accesses in a row add
 * different offsets to a slot that does not change between them. What ends a group: a label, a call
 * (it may change the TLB), a new value of the slot. An access alone is left as it is: it would be
 * looked at as often, and may leave in one place less than with a guard.
 */
#include "ir/flow.h"

#include "base/assert.h"

#include <string.h>

struct finder {
    struct ir_flow *flow;
    const struct ir_block *block;
    const u64 *apart;                 /* see ir_guard */
    struct ir_group *open[IR_GUARDS]; /* those that may still grow, NULL: none */
    u32 last;                         /* opened */
};

static struct ir_group *find_open(const struct finder *f, u32 slot)
{
    for (u32 i = 0; i < IR_GUARDS; i++) {
        if (f->open[i] && f->open[i]->slot == slot)
            return f->open[i];
    }
    return NULL;
}

static void close_slot(struct finder *f, u32 slot)
{
    for (u32 i = 0; i < IR_GUARDS; i++) {
        if (f->open[i] && f->open[i]->slot == slot)
            f->open[i] = NULL;
    }
}

static void note_branch(struct finder *f)
{
    for (u32 i = 0; i < IR_GUARDS; i++) {
        if (f->open[i])
            f->open[i]->branched = true;
    }
}

/* Where the guest instruction of operation `at` begins; false: it does more before. */
static bool begins_at(const struct finder *f, u32 at, u32 *start)
{
    const struct ir_op *op = f->block->op;

    for (*start = at; *start && op[*start - 1].guest == op[at].guest; --*start) {
        u8 before = op[*start - 1].opcode;
        if (before == IR_LABEL || before == IR_FGUARD)
            return true;
        if (before == IR_PUT || before > IR_BSWAP)
            return false;
    }
    return true;
}

static struct ir_group *begin(struct finder *f, u32 slot, u32 at)
{
    struct ir_group *g = &f->flow->group[f->flow->group_count];
    u32 start;

    close_slot(f, slot);
    if (f->flow->group_count == IR_GROUPS_MAX || !begins_at(f, at, &start))
        return NULL;
    f->flow->group_count++;
    f->last = (f->last + 1) % IR_GUARDS;
    *g = (struct ir_group){.slot = slot, .start = (u16)start};
    f->open[f->last] = g;
    return g;
}

/* Takes [first, end) into the group unless it gets too wide. */
static bool widen(struct ir_group *g, s64 first, s64 end)
{
    if (g->count && g->first < first)
        first = g->first;
    if (g->count && g->end > end)
        end = g->end;
    if (end - first > IR_GUARD_MAX)
        return false;
    g->first = first;
    g->end = end;
    g->count++;
    return true;
}

/* A store that is certain to follow makes a group of loads one of stores. */
static void add_access(struct finder *f, u32 at)
{
    const struct ir_op *op = &f->block->op[at];
    bool write = op->opcode == IR_STORE;
    struct ir_group *g;
    s64 offset;
    u32 slot;

    if (f->apart && f->apart[op->guest / 64] >> op->guest % 64 & 1)
        return;
    if (op->access != IR_ACCESS_TLB || !ir_is_near_slot(f->block, op->arg[0], &slot, &offset) ||
        offset != (s32)offset || (slot >= IR_FLOW_SLOTS && slot != IR_SLOT_PAGE))
        return;
    g = find_open(f, slot);
    if (!g || (write && !g->write && g->branched) || !widen(g, offset, offset + op->size)) {
        g = begin(f, slot, at);
        if (!g)
            return;
        (void)widen(g, offset, offset + op->size);
    }
    g->write |= write;
    g->last = op->guest;
    f->flow->group_of[at] = (u16)(g - f->flow->group);
}

static void find(struct ir_flow *flow, const u64 *apart)
{
    struct finder f = {.flow = flow, .block = &flow->out, .apart = apart};

    flow->group_count = 0;
    for (u32 at = 0; at < flow->out.count; at++) {
        const struct ir_op *op = &flow->out.op[at];

        flow->group_of[at] = IR_GROUPS_MAX;
        switch (op->opcode) {
        case IR_LOAD:
        case IR_STORE:
            add_access(&f, at);
            break;
        case IR_BRANCH:
        case IR_LEAVE_IF:
            note_branch(&f);
            break;
        case IR_PUT:
            close_slot(&f, (u32)op->imm);
            break;
        case IR_GUARD: /* of ir_rows */
            close_slot(&f, (u32)flow->out.op[op->arg[0]].imm);
            f.last = (f.last + 1) % IR_GUARDS;
            f.open[f.last] = NULL;
            break;
        case IR_LABEL:
        case IR_CALL:
        case IR_ATOMIC: /* it may be a call */
        case IR_ZERO:
            memset(f.open, 0, sizeof(f.open));
            break;
        default:
            break;
        }
    }
}

static void place(struct ir_block *block, u32 at, const struct ir_group *g)
{
    u16 guest = block->op[at + 2].guest;

    block->op[at] = (struct ir_op){.opcode = IR_GET, .guest = guest, .imm = g->slot};
    block->op[at + 1] = (struct ir_op){.opcode = IR_GUARD,
                                       .size = (u8)(g->end - g->first),
                                       .arg = {(ir_value)at},
                                       .guest = guest,
                                       .slot = (u16)(g->last - guest + 1),
                                       .kind = g->write,
                                       .brief = true, /* its operand is right already */
                                       .imm = g->first};
}

/* Moves all to where it shall be, from the end on. */
static void insert(struct ir_flow *flow, u32 wanted)
{
    struct ir_block *block = &flow->out;
    u32 left = flow->group_count, to = block->count + 2 * wanted;

    for (u32 at = block->count; at-- > 0;) {
        struct ir_op *op = &block->op[--to];

        *op = block->op[at];
        if (flow->group_of[at] != IR_GROUPS_MAX && flow->group[flow->group_of[at]].count > 1)
            op->access = IR_ACCESS_SURE;
        flow->map[at] = (ir_value)to;
        while (left && flow->group[left - 1].start == at) {
            if (flow->group[--left].count < 2)
                continue;
            to -= 2;
            place(block, to, &flow->group[left]);
        }
    }
    ASSERT(!to && !left);
    block->count = (u16)(block->count + 2 * wanted);
}

void ir_guard(struct ir_flow *flow, const u64 *apart)
{
    struct ir_block *block = &flow->out;
    u32 wanted = 0;

    find(flow, apart);
    for (u32 i = 0; i < flow->group_count; i++)
        wanted += flow->group[i].count > 1;
    if (!wanted || block->count + 2 * wanted > IR_OPS_MAX)
        return;
    insert(flow, wanted);
    for (u32 at = 0; at < block->count; at++) {
        struct ir_op *op = &block->op[at];
        if (op->opcode == IR_GUARD && op->brief) {
            op->brief = false;
            continue;
        }
        for (u32 i = 0; i < ir_operands((enum ir_opcode)op->opcode); i++)
            op->arg[i] = flow->map[op->arg[i]];
    }
}

void ir_view(struct ir_block *block, const u64 *apart)
{
    for (u32 at = 0; at < block->count; at++) {
        struct ir_op *op = &block->op[at];
        bool alone = (op->opcode == IR_LOAD || op->opcode == IR_STORE) &&
                     op->access == IR_ACCESS_TLB && !(apart[op->guest / 64] >> op->guest % 64 & 1);
        if (alone || op->opcode == IR_GUARD)
            op->access = IR_ACCESS_VIEW;
    }
}
