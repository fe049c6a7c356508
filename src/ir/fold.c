/* SPDX-License-Identifier: BSD-2-Clause */
/* Building pure operations: constants, identities, extensions and shifts that come to less. */
#include "ir/ir.h"

#include "base/assert.h"

static ir_value add(struct ir_block *block, struct ir_op op)
{
    ASSERT(block->count < IR_OPS_MAX);
    op.guest = block->guest;
    block->op[block->count] = op;
    return block->count++;
}

/* How many bits an extension keeps; 0: it is none. */
static u32 zero_extends(u8 opcode)
{
    return opcode == IR_ZX8 ? 8 : opcode == IR_ZX16 ? 16 : opcode == IR_ZX32 ? 32 : 0;
}

static u32 sign_extends(u8 opcode)
{
    return opcode == IR_SX8 ? 8 : opcode == IR_SX16 ? 16 : opcode == IR_SX32 ? 32 : 0;
}

static bool is_zero_extended_32(u8 opcode)
{
    return opcode == IR_ROL32 || opcode == IR_ROR32 || (opcode >= IR_DIVS32 && opcode <= IR_REMU32);
}

/* Looks only so deep: a guest may make chains of any length. */
#define DEPTH 4

static bool is_below(const struct ir_block *block, ir_value value, u32 bits, u32 depth)
{
    const struct ir_op *op = &block->op[value];
    u32 kept = zero_extends(op->opcode);
    u64 n;

    if (bits >= 64)
        return true;
    if (ir_is_const(block, value, &n))
        return !(n >> bits);
    if (op->opcode == IR_LOAD)
        return !op->extends && op->size * 8u <= bits;
    if (is_zero_extended_32(op->opcode))
        return bits >= 32;
    if (op->opcode >= IR_EQ && op->opcode <= IR_GEU)
        return bits >= 1;
    if (kept && kept <= bits)
        return true;
    if (!depth)
        return false;
    if (kept)
        return is_below(block, op->arg[0], bits, depth - 1);
    if (op->opcode == IR_SHR && ir_is_const(block, op->arg[1], &n))
        return is_below(block, op->arg[0], bits + (n & 63), depth - 1);
    return op->opcode == IR_AND && (is_below(block, op->arg[1], bits, depth - 1) ||
                                    is_below(block, op->arg[0], bits, depth - 1));
}

bool ir_is_below(const struct ir_block *block, ir_value value, u32 bits)
{
    return is_below(block, value, bits, DEPTH);
}

static bool is_signed(const struct ir_block *block, ir_value value, u32 bits, u32 depth)
{
    const struct ir_op *op = &block->op[value];
    u32 kept = sign_extends(op->opcode);
    u64 n;

    if (kept && kept <= bits)
        return true;
    if (ir_is_const(block, value, &n))
        return (u64)((s64)(n << (64 - bits)) >> (64 - bits)) == n;
    if (op->opcode == IR_LOAD && op->extends)
        return op->size * 8u <= bits;
    if (op->opcode == IR_SAR && ir_is_const(block, op->arg[1], &n))
        return (n & 63) >= 64 - bits || (depth && is_signed(block, op->arg[0], bits, depth - 1));
    return is_below(block, value, bits - 1, depth);
}

bool ir_is_signed(const struct ir_block *block, ir_value value, u32 bits)
{
    return is_signed(block, value, bits, DEPTH);
}

/* What is extended from more bits, or as many, than the next extension keeps need not be. */
static ir_value under_extensions(const struct ir_block *block, ir_value a, u32 bits)
{
    for (;;) {
        const struct ir_op *op = &block->op[a];
        u32 kept = zero_extends(op->opcode) | sign_extends(op->opcode);
        if (kept < bits)
            return a;
        a = op->arg[0];
    }
}

ir_value ir_unary(struct ir_block *block, enum ir_opcode opcode, ir_value a)
{
    u32 zero = zero_extends(opcode), sign = sign_extends(opcode);
    u64 x, r;

    if (ir_is_const(block, a, &x) && ir_evaluate(opcode, x, 0, 0, &r))
        return ir_const(block, r);
    if ((zero && ir_is_below(block, a, zero)) || (sign && ir_is_signed(block, a, sign)))
        return a;
    if (zero | sign)
        a = under_extensions(block, a, zero | sign);
    return add(block, (struct ir_op){.opcode = (u8)opcode, .arg = {a}});
}

static bool commutes(enum ir_opcode opcode)
{
    switch (opcode) {
    case IR_ADD:
    case IR_AND:
    case IR_OR:
    case IR_XOR:
    case IR_MUL:
    case IR_MULHU:
    case IR_MULHS:
    case IR_CLMUL:
    case IR_CLMULH:
    case IR_EQ:
    case IR_NE:
        return true;
    default:
        return false;
    }
}

/* x op 0 == x */
static bool zero_is_neutral(enum ir_opcode opcode)
{
    switch (opcode) {
    case IR_ADD:
    case IR_SUB:
    case IR_OR:
    case IR_XOR:
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
    case IR_ROL:
    case IR_ROR:
        return true;
    default:
        return false;
    }
}

static ir_value extend(struct ir_block *block, bool with_sign, ir_value a, u32 bits)
{
    if (bits == 32)
        return ir_unary(block, with_sign ? IR_SX32 : IR_ZX32, a);
    if (bits == 16)
        return ir_unary(block, with_sign ? IR_SX16 : IR_ZX16, a);
    return ir_unary(block, with_sign ? IR_SX8 : IR_ZX8, a);
}

/* A shift to the left and back by constants is an extension and the rest of the shift. */
static bool fold_shifts(struct ir_block *block, enum ir_opcode opcode, ir_value a, u64 right,
                        ir_value *folded)
{
    const struct ir_op *op = &block->op[a];
    ir_value inner = op->arg[0];
    u64 left;

    if (op->opcode != IR_SHL || (opcode != IR_SHR && opcode != IR_SAR) ||
        !ir_is_const(block, op->arg[1], &left))
        return false;
    left &= 63;
    right &= 63;
    if (left != 32 && left != 48 && left != 56)
        return false;
    inner = extend(block, opcode == IR_SAR, inner, 64 - (u32)left);
    if (left > right)
        inner = ir_binary(block, IR_SHL, inner, ir_const(block, left - right));
    else
        inner = ir_binary(block, opcode, inner, ir_const(block, right - left));
    *folded = inner;
    return true;
}

/* x op y for a constant y. */
static bool fold_constant(struct ir_block *block, enum ir_opcode opcode, ir_value a, u64 y,
                          ir_value *folded)
{
    const struct ir_op *op = &block->op[a];
    u64 x;

    *folded = a;
    if ((y == 0 && zero_is_neutral(opcode)) || (y == UINT64_MAX && opcode == IR_AND))
        return true;
    if (opcode == IR_AND && (y == UINT8_MAX || y == UINT16_MAX || y == UINT32_MAX)) {
        *folded = extend(block, false, a, y == UINT8_MAX ? 8 : y == UINT16_MAX ? 16 : 32);
        return true;
    }
    if (opcode == IR_ADD && op->opcode == IR_ADD && ir_is_const(block, op->arg[1], &x)) {
        ir_value inner = op->arg[0];
        *folded = ir_binary(block, IR_ADD, inner, ir_const(block, x + y));
        return true;
    }
    return fold_shifts(block, opcode, a, y, folded);
}

/* Is v shifted to the left by 1, 2 or 3? */
static bool is_scaled(const struct ir_block *block, ir_value v)
{
    const struct ir_op *op = &block->op[v];
    u64 n;

    return op->opcode == IR_SHL && ir_is_const(block, op->arg[1], &n) && n >= 1 && n <= 3;
}

static ir_value add_scaled(struct ir_block *block, ir_value a, ir_value shifted)
{
    const struct ir_op *op = &block->op[shifted];

    return add(block, (struct ir_op){.opcode = IR_ADDSHL, .arg = {a, op->arg[0], op->arg[1]}});
}

/* Below 1, or above 0, without a sign: a comparison with 0. */
static bool fold_compare(struct ir_block *block, enum ir_opcode opcode, ir_value a, ir_value b,
                         ir_value *folded)
{
    u64 x, y;
    bool above = ir_is_const(block, a, &x) && !x, below = ir_is_const(block, b, &y) && y == 1;
    bool less = opcode == IR_LTU;

    if ((opcode != IR_LTU && opcode != IR_GEU) || above == below)
        return false;
    *folded = ir_binary(block, less == above ? IR_NE : IR_EQ, above ? b : a, ir_const(block, 0));
    return true;
}

ir_value ir_binary(struct ir_block *block, enum ir_opcode opcode, ir_value a, ir_value b)
{
    u64 x, y, r;
    bool a_const = ir_is_const(block, a, &x), b_const = ir_is_const(block, b, &y);
    ir_value folded;

    if (a_const && b_const && ir_evaluate(opcode, x, y, 0, &r))
        return ir_const(block, r);
    if (a_const && !b_const && commutes(opcode)) {
        ir_value swap = a;
        a = b;
        b = swap;
        b_const = true;
        y = x;
    }
    if (b_const && fold_constant(block, opcode, a, y, &folded))
        return folded;
    if (fold_compare(block, opcode, a, b, &folded))
        return folded;
    if (opcode == IR_ADD && !b_const && is_scaled(block, b))
        return add_scaled(block, a, b);
    if (opcode == IR_ADD && !b_const && is_scaled(block, a))
        return add_scaled(block, b, a);
    return add(block, (struct ir_op){.opcode = (u8)opcode, .arg = {a, b}});
}
