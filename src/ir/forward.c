/* SPDX-License-Identifier: BSD-2-Clause */
/* Shifts that meet in a later instruction: what it computes from the slot that they shifted. */
#include "ir/flow.h"

#include "base/assert.h"

#include <string.h>

struct forward {
    struct ir_flow *flow;
    struct ir_block *out;
    u16 version[IR_FLOW_SLOTS]; /* how often each was written */
    ir_value made[IR_FLOW_SLOTS];
    u32 known; /* bit s: slot s holds the value made[s] */
};

/* A value that is a slot's and constant shifts of it. */
struct shifted {
    u32 slot;
    u8 opcode; /* SHL or SHR */
    bool low;  /* of the low half: SHL's result sign-extended, SHR's operand zero-extended */
    u32 amount;
};

static bool is_current(const struct forward *f, ir_value v, u32 *slot)
{
    const struct ir_op *op = &f->out->op[v];

    if (op->opcode != IR_GET || op->imm >= IR_FLOW_SLOTS)
        return false;
    *slot = (u32)op->imm;
    return f->flow->version[v] == f->version[*slot];
}

/* What v reads from a slot, if its operations are at hand. */
static ir_value through_slot(const struct forward *f, ir_value v)
{
    u32 slot;

    return is_current(f, v, &slot) && f->known >> slot & 1 ? f->made[slot] : v;
}

/* Is v a shift by a constant of what a slot still holds? */
static bool is_shifted(const struct forward *f, ir_value v, struct shifted *s)
{
    const struct ir_op *op = &f->out->op[through_slot(f, v)];
    u64 amount;
    u8 under;

    s->low = op->opcode == IR_SX32;
    if (s->low)
        op = &f->out->op[op->arg[0]];
    if ((op->opcode != IR_SHL && op->opcode != IR_SHR) || !ir_is_const(f->out, op->arg[1], &amount))
        return false;
    s->opcode = op->opcode;
    s->amount = (u32)amount & 63;
    if (op->opcode == IR_SHL)
        return is_current(f, op->arg[0], &s->slot);
    if (s->low)
        return false;
    v = op->arg[0];
    under = f->out->op[v].opcode;
    s->low = under == IR_ZX32;
    return is_current(f, s->low ? f->out->op[v].arg[0] : v, &s->slot);
}

static ir_value get(struct forward *f, u32 slot)
{
    ir_value v = ir_get(f->out, slot);

    f->flow->version[v] = f->version[slot];
    return v;
}

/* Two shifts of one slot whose results have no bit in common make a rotate, if they cover it. */
static bool make_rotate(struct forward *f, ir_value a, ir_value b, ir_value *made)
{
    struct shifted left, right;
    ir_value v, amount;

    if (!is_shifted(f, a, &left) || !is_shifted(f, b, &right))
        return false;
    if (left.opcode == IR_SHR) {
        struct shifted swap = left;
        left = right;
        right = swap;
    }
    if (left.opcode != IR_SHL || right.opcode != IR_SHR || left.slot != right.slot ||
        left.low != right.low || left.amount + right.amount != (left.low ? 32 : 64) ||
        !left.amount || !right.amount)
        return false;
    amount = ir_const(f->out, right.amount);
    v = get(f, left.slot);
    *made = ir_binary(f->out, left.low ? IR_ROR32 : IR_ROR, v, amount);
    if (left.low)
        *made = ir_unary(f->out, IR_SX32, *made);
    return true;
}

/* A shift back of what another instruction shifted by half: an extension, perhaps shifted. */
static bool make_extension(struct forward *f, enum ir_opcode opcode, ir_value a, ir_value b,
                           ir_value *made)
{
    struct shifted left;
    ir_value v, amount;
    u64 right;

    if (through_slot(f, a) == a || !ir_is_const(f->out, b, &right) || !is_shifted(f, a, &left) ||
        left.opcode != IR_SHL || left.low ||
        (left.amount != 32 && left.amount != 48 && left.amount != 56))
        return false;
    v = get(f, left.slot);
    amount = ir_const(f->out, left.amount);
    v = ir_binary(f->out, IR_SHL, v, amount);
    amount = ir_const(f->out, right);
    *made = ir_binary(f->out, opcode, v, amount);
    return true;
}

static bool match(struct forward *f, const struct ir_op *op, ir_value *made)
{
    switch (op->opcode) {
    case IR_ADD:
    case IR_OR:
    case IR_XOR:
        return make_rotate(f, op->arg[0], op->arg[1], made);
    case IR_SHR:
    case IR_SAR:
        return make_extension(f, (enum ir_opcode)op->opcode, op->arg[0], op->arg[1], made);
    default:
        return false;
    }
}

/* Can it not write a slot, but for PUT? */
static bool keeps_slots(u8 opcode)
{
    switch (opcode) {
    case IR_LOAD:
    case IR_STORE:
    case IR_GUARD:
    case IR_FENCE:
    case IR_FGUARD:
    case IR_BRANCH:
    case IR_LEAVE_IF:
        return true;
    default:
        return opcode <= IR_BSWAP || ir_is_fp(opcode);
    }
}

static void forget(struct forward *f)
{
    for (u32 i = 0; i < IR_FLOW_SLOTS; i++)
        f->version[i]++;
    f->known = 0;
}

static void note(struct forward *f, ir_value at)
{
    const struct ir_op *op = &f->out->op[at];

    if (!keeps_slots(op->opcode))
        forget(f);
    if ((u64)op->imm >= IR_FLOW_SLOTS)
        return;
    if (op->opcode == IR_GET)
        f->flow->version[at] = f->version[op->imm];
    if (op->opcode != IR_PUT)
        return;
    f->version[op->imm]++;
    f->made[op->imm] = op->arg[0];
    f->known |= 1u << op->imm;
}

#define GROWTH 8 /* operations, at most, that one becomes */

void ir_forward(struct ir_flow *flow, const struct ir_block *block)
{
    struct forward f = {.flow = flow, .out = &flow->out};

    ir_init(f.out);
    for (u32 at = 0; at < block->count; at++) {
        struct ir_op op = block->op[at];
        bool room = f.out->count + (block->count - at) + GROWTH <= IR_OPS_MAX;

        for (u32 i = 0; i < ir_operands((enum ir_opcode)op.opcode); i++)
            op.arg[i] = flow->map[op.arg[i]];
        f.out->guest = op.guest;
        if (room && match(&f, &op, &flow->map[at]))
            continue;
        flow->map[at] = f.out->count;
        f.out->op[f.out->count++] = op;
        note(&f, flow->map[at]);
    }
}
