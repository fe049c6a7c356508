/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Division. The host's traps where the IR's gives a result, so what it cannot do is sorted out by
 * comparisons, and done behind the code. 64-bit operands that are both below 2^32, as most are,
 * take the division of 32 bits, several times faster on older processors.
 */
#include "jit/x86_64/compile.h"

enum { DIV = 6, IDIV = 7 }; /* of opcode F7: rdx:rax by r/m; quotient in rax, remainder in rdx */

static bool is_signed(u32 opcode)
{
    return opcode == IR_DIVS || opcode == IR_REMS || opcode == IR_DIVS32 || opcode == IR_REMS32;
}

static bool is_remainder(u32 opcode)
{
    return opcode == IR_REMS || opcode == IR_REMU || opcode == IR_REMS32 || opcode == IR_REMU32;
}

static bool is_wide(u32 opcode)
{
    return opcode <= IR_REMU;
}

static void emit_divide(struct code *c, bool wide, bool with_sign, enum reg by)
{
    if (with_sign) {
        emit_rex(c, wide, 0, 0, 0, false);
        emit8(c, 0x99); /* CDQ, CQO */
    } else {
        emit_alu32(c, ALU_XOR, RDX, rm_reg(RDX));
    }
    emit_op(c, wide, 0xf7, with_sign ? IDIV : DIV, rm_reg(by));
}

/* The divisor, in a register that the division leaves alone. */
static enum reg divisor(struct compile *x, ir_value b, bool *taken)
{
    u64 constant;
    enum reg by;

    *taken = val_is_const(x, b, &constant) || val_rm(x, b).memory || val_lies_in(x, b, RAX) ||
             val_lies_in(x, b, RDX);
    if (!*taken)
        return (enum reg)val_rm(x, b).reg;
    by = reg_take(x, 1u << RCX | 1u << R11);
    val_load(x, by, b);
    return by;
}

static void jump_to_stub(struct compile *x, enum cond cc, u32 at, enum reg by)
{
    struct stub *stub;

    emit_jcc(&x->c, cc, NULL);
    stub = stub_add(x, STUB_DIVIDE, &x->block->op[at]);
    stub->at = at;
    stub->address = (u8)by;
}

void compile_divide(struct compile *x, u32 at, enum reg to, ir_value a, ir_value b)
{
    u32 opcode = x->block->op[at].opcode, taken = ~x->free & (1u << RAX | 1u << RDX);
    struct code *c = &x->c;
    bool by_is_taken;
    enum reg by;

    taken &= ~(1u << to);
    ASSERT(!taken);
    by = divisor(x, b, &by_is_taken);
    val_load(x, RAX, a);
    if (is_wide(opcode)) {
        emit_mov(c, RDX, rm_reg(RAX));
        emit_alu(c, ALU_OR, RDX, rm_reg(by));
        emit_shift_imm(c, true, SHIFT_SHR, RDX, 32);
        jump_to_stub(x, CC_NE, at, by);
    }
    if (is_wide(opcode) || !is_signed(opcode)) {
        emit_test32(c, by, by);
        jump_to_stub(x, CC_E, at, by);
        emit_divide(c, false, false, by);
    } else { /* 0 and -1 apart */
        emit_lea32(c, RDX, by, 1);
        emit_alu_imm(c, false, ALU_CMP, rm_reg(RDX), 1);
        jump_to_stub(x, CC_BE, at, by);
        emit_divide(c, false, true, by);
    }
    for (u32 i = x->stub_count; i-- > 0 && x->stub[i].at == at && x->stub[i].kind == STUB_DIVIDE;)
        x->stub[i].back = c->at;
    emit_mov(c, to, rm_reg(is_remainder(opcode) ? RDX : RAX));
    if (by_is_taken)
        reg_give(x, by);
}

/* The divisor is 0: all ones or the dividend. */
static void divide_by_zero(struct code *c, u32 opcode)
{
    if (is_remainder(opcode) && is_wide(opcode))
        emit_mov(c, RDX, rm_reg(RAX));
    else if (is_remainder(opcode))
        emit_mov32(c, RDX, rm_reg(RAX));
    else
        emit_mov_imm(c, RAX, is_wide(opcode) ? UINT64_MAX : UINT32_MAX);
}

/* It is -1: the dividend's negative, remainder 0. */
static void divide_by_minus_one(struct code *c, u32 opcode)
{
    if (is_remainder(opcode))
        emit_alu32(c, ALU_XOR, RDX, rm_reg(RDX));
    else
        emit_op(c, is_wide(opcode), 0xf7, 3, rm_reg(RAX)); /* NEG */
}

/* Sorts out what the code before could not do at once; the dividend is in rax still. */
void stub_divide(struct compile *x, const struct stub *s)
{
    u32 opcode = x->block->op[s->at].opcode;
    bool wide = is_wide(opcode);
    enum reg by = s->address;
    struct code *c = &x->c;
    u8 *not_zero, *regular;

    if (wide)
        emit_test(c, by, by);
    else
        emit_test32(c, by, by);
    emit_jcc(c, CC_NE, NULL);
    not_zero = c->at;
    divide_by_zero(c, opcode);
    emit_jmp(c, s->back);
    patch_rel(not_zero, c->at);
    if (!is_signed(opcode)) {
        emit_divide(c, wide, false, by);
        emit_jmp(c, s->back);
        return;
    }
    emit_alu_imm(c, wide, ALU_CMP, rm_reg(by), -1);
    emit_jcc(c, CC_NE, NULL);
    regular = c->at;
    divide_by_minus_one(c, opcode);
    emit_jmp(c, s->back);
    patch_rel(regular, c->at);
    emit_divide(c, wide, true, by);
    emit_jmp(c, s->back);
}
