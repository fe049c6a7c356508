/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Branches over a few operations become choices between what these compute and what there was.
 *
 * A branch that nobody foresees costs a PC as much as some forty operations, and what a guest's
 * compiler leaves out by one, for want of anything better in RV64GC, is often a single one: the
 * larger of two values, a bit of a CRC.
 */
#include "ir/flow.h"

#include <string.h>

#define OPS_MAX    3  /* that compute, */
#define SLOTS_OUT  2  /* slots that they write, */
#define LOOK_MAX   24 /* and operations in all */
#define GROWTH_MAX (LOOK_MAX + 2 + 3 * SLOTS_OUT)

/* A branch that may go. */
struct chance {
    u32 branch, label; /* operations */
    u32 ops;
    u32 written; /* a bit a slot */
};

struct choose {
    const struct ir_block *from;
    struct ir_block *out;
    ir_value *map;
};

/* Is it a comparison of what slots or constants are? */
static bool is_plain_compare(const struct ir_block *block, ir_value v)
{
    const struct ir_op *op = &block->op[v];

    if (op->opcode < IR_EQ || op->opcode > IR_GEU)
        return false;
    for (u32 i = 0; i < 2; i++) {
        const struct ir_op *arg = &block->op[op->arg[i]];
        if (arg->opcode != IR_CONST && (arg->opcode != IR_GET || arg->imm >= IR_FLOW_SLOTS))
            return false;
    }
    return true;
}

/* Does it but compute, in a cycle or so and with any register? */
static bool is_cheap(u8 opcode)
{
    switch (opcode) {
    case IR_ADD:
    case IR_SUB:
    case IR_AND:
    case IR_OR:
    case IR_XOR:
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
    case IR_ADDSHL:
    case IR_NOT:
    case IR_SX8:
    case IR_SX16:
    case IR_SX32:
    case IR_ZX8:
    case IR_ZX16:
    case IR_ZX32:
        return true;
    default:
        return opcode >= IR_EQ && opcode <= IR_GEU;
    }
}

/* Takes an operation that may be left out. */
static bool take(struct chance *c, const struct ir_op *op)
{
    switch (op->opcode) {
    case IR_CONST:
        return true;
    case IR_GET:
        return op->imm < IR_FLOW_SLOTS;
    case IR_PUT:
        if (op->imm >= IR_FLOW_SLOTS)
            return false;
        c->written |= 1u << op->imm;
        return (u32)__builtin_popcount(c->written) <= SLOTS_OUT;
    default:
        return is_cheap(op->opcode) && ++c->ops <= OPS_MAX;
    }
}

static bool find(const struct ir_block *block, u32 at, struct chance *c)
{
    const struct ir_op *op = &block->op[at];

    *c = (struct chance){.branch = at};
    if (op->opcode != IR_BRANCH || !is_plain_compare(block, op->arg[0]))
        return false;
    for (u32 i = at + 1; i < block->count && i - at <= LOOK_MAX; i++) {
        if (block->op[i].opcode == IR_LABEL) {
            c->label = i;
            return block->op[i].imm == op->imm && c->written;
        }
        if (!take(c, &block->op[i]))
            return false;
    }
    return false;
}

static ir_value emit(struct choose *x, const struct ir_op *from, u16 guest)
{
    struct ir_op *op = &x->out->op[x->out->count];

    *op = *from;
    op->guest = guest;
    for (u32 i = 0; i < ir_operands((enum ir_opcode)op->opcode); i++)
        op->arg[i] = x->map[op->arg[i]];
    return x->out->count++;
}

/* What is left out otherwise is computed; what it leaves in slots goes to value. */
static void compute(struct choose *x, const struct chance *c, ir_value *value)
{
    const u16 guest = x->from->op[c->branch].guest;
    u32 known = 0;

    for (u32 at = c->branch + 1; at < c->label; at++) {
        const struct ir_op *op = &x->from->op[at];
        if (op->opcode == IR_PUT) {
            value[op->imm] = x->map[op->arg[0]];
            known |= 1u << op->imm;
        } else if (op->opcode == IR_GET && known >> op->imm & 1) {
            x->map[at] = value[op->imm];
        } else {
            x->map[at] = emit(x, op, guest);
        }
    }
}

/* The comparison comes last, right before those who ask for it. */
static void replace(struct choose *x, const struct chance *c)
{
    const struct ir_op *branch = &x->from->op[c->branch];
    const u32 left_out = x->from->op[c->label].guest - branch->guest - 1u;
    ir_value value[IR_FLOW_SLOTS], taken;

    compute(x, c, value);
    x->out->guest = branch->guest;
    taken = emit(x, &x->from->op[branch->arg[0]], branch->guest);
    for (u32 slot = 0; slot < IR_FLOW_SLOTS; slot++) {
        ir_value old;
        if (!(c->written >> slot & 1))
            continue;
        old = ir_get(x->out, slot);
        ir_put(x->out, slot, ir_select(x->out, taken, old, value[slot]));
    }
    ir_control(x->out, IR_SKIP, taken, left_out);
}

void ir_choose(struct ir_flow *flow)
{
    struct choose x = {&flow->before, &flow->out, flow->map};
    struct chance c;
    u32 at = 0;

    while (at < flow->out.count && !find(&flow->out, at, &c))
        at++;
    if (at == flow->out.count)
        return;
    flow->before = flow->out;
    for (u32 i = 0; i < at; i++)
        flow->map[i] = (ir_value)i;
    flow->out.count = (u16)at;
    for (; at < x.from->count; at++) {
        bool room = x.out->count + (x.from->count - at) + GROWTH_MAX <= IR_OPS_MAX;
        if (room && find(x.from, at, &c)) {
            replace(&x, &c);
            at = c.label - 1;
        } else {
            x.map[at] = emit(&x, &x.from->op[at], x.from->op[at].guest);
        }
    }
}
