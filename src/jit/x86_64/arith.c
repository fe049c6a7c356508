/* SPDX-License-Identifier: BSD-2-Clause */
/* Arithmetic: IR operations on values to x86-64. */
#include "jit/x86_64/compile.h"

/* From here on the flags tell whether a register, or its low half, is 0, perhaps negative. */
static void note_flags(struct compile *x, enum reg reg, bool wide, bool have_sign)
{
    x->flags.at = x->c.at;
    x->flags.reg = (u8)reg;
    x->flags.wide = wide;
    x->flags.have_sign = have_sign;
}

static bool flags_tell(const struct compile *x, enum reg reg, bool wide)
{
    return x->flags.at == x->c.at && x->flags.reg == reg && x->flags.wide == wide;
}

static void alu(struct compile *x, enum alu op, bool wide, enum reg to, ir_value v)
{
    u64 constant;

    if (!val_is_const(x, v, &constant))
        emit_op(&x->c, wide, (u32)op | 3, to, val_rm(x, v));
    else if (fits_s32(constant))
        emit_alu_imm(&x->c, wide, op, rm_reg(to), (s32)constant);
    else
        emit_op(&x->c, wide, (u32)op | 3, to, rm_reg(val_reg(x, v)));
    if (op != ALU_CMP)
        note_flags(x, to, wide, op != ALU_ADD && op != ALU_SUB);
}

/* Is the low half of what `at` computes all that is used, so that its upper half may be anything?
 */
static bool is_low_only(const struct compile *x, u32 at)
{
    const struct ir_op *next = &x->block->op[at + 1];

    return x->value[at].uses == 1 && (next->opcode == IR_SX32 || next->opcode == IR_ZX32) &&
           next->arg[0] == at;
}

/* to = a - b, which lies in `to`. */
static void subtract_from(struct compile *x, bool wide, enum reg to, ir_value a)
{
    u64 constant;

    emit_op(&x->c, wide, 0xf7, 3, rm_reg(to)); /* NEG */
    note_flags(x, to, wide, false);
    if (!val_is_const(x, a, &constant) || constant)
        alu(x, ALU_ADD, wide, to, a);
}

/* to = a op b where `to` may be the register of either. */
static void compile_alu(struct compile *x, enum alu op, u32 at, enum reg to, ir_value a, ir_value b)
{
    bool wide = !is_low_only(x, at);
    u64 constant;

    if (val_lies_in(x, b, to) && !val_lies_in(x, a, to)) {
        ir_value swap = a;
        if (op == ALU_SUB) {
            subtract_from(x, wide, to, a);
            return;
        }
        a = b;
        b = swap;
    } else if (op == ALU_SUB && val_is_const(x, a, &constant) && !constant) {
        val_load(x, to, b);
        emit_op(&x->c, wide, 0xf7, 3, rm_reg(to)); /* NEG */
        note_flags(x, to, wide, false);
        return;
    }
    val_load(x, to, a);
    alu(x, op, wide, to, b);
}

static void compile_add(struct compile *x, u32 at, enum reg to, ir_value a, ir_value b)
{
    u64 constant;
    struct rm ra;

    if (val(x, a)->where == IN_CONST) {
        compile_alu(x, ALU_ADD, at, to, a, b);
        return;
    }
    ra = val_rm(x, a);
    if (ra.memory || ra.reg == to) {
        compile_alu(x, ALU_ADD, at, to, a, b);
    } else if (val_is_const(x, b, &constant)) {
        if (fits_s32(constant))
            emit_lea(&x->c, to, ra.reg, NO_REG, (s32)constant);
        else
            compile_alu(x, ALU_ADD, at, to, a, b);
    } else if (!val_rm(x, b).memory && val_rm(x, b).reg != to) {
        emit_lea(&x->c, to, ra.reg, val_rm(x, b).reg, 0);
    } else {
        compile_alu(x, ALU_ADD, at, to, a, b);
    }
}

static void compile_shift(struct compile *x, enum shift op, enum reg to, ir_value a, ir_value b)
{
    u64 constant;

    if (val_is_const(x, b, &constant)) {
        val_load(x, to, a);
        if (constant & 63) {
            emit_shift_imm(&x->c, true, op, to, constant & 63);
            note_flags(x, to, true, false);
        }
        return;
    }
    if (val(x, a)->where == IN_CONST)
        val_settle(x, a);
    emit_shift_reg(&x->c, op, to, val_rm(x, a), val_reg(x, b));
}

/* Rotates by CL: no three-operand form takes a variable amount. */
static void compile_rotate(struct compile *x, bool wide, enum shift op, enum reg to, ir_value a,
                           ir_value b)
{
    u64 constant;
    enum reg t;

    if (val_is_const(x, b, &constant)) {
        u32 bits = wide ? 64 : 32, right = (u32)(op == SHIFT_ROR ? constant : 0 - constant);
        struct rm from = val_is_const(x, a, &constant) ? rm_reg(val_reg(x, a)) : val_rm(x, a);
        emit_rorx_rm(&x->c, wide, to, from, right & (bits - 1));
        return;
    }
    t = reg_take(x, SCRATCH & ~(1u << RCX));
    val_load(x, t, a);
    ASSERT((x->free & 1u << RCX) || to == RCX || val_lies_in(x, b, RCX));
    val_load(x, RCX, b);
    emit_shift_cl(&x->c, wide, op, t);
    emit_mov(&x->c, to, rm_reg(t));
    reg_give(x, t);
}

static void compile_mul(struct compile *x, enum reg to, ir_value a, ir_value b)
{
    u64 constant;

    if (val_lies_in(x, b, to)) {
        ir_value swap = a;
        a = b;
        b = swap;
    }
    if (val_is_const(x, b, &constant))
        val_settle(x, b);
    val_load(x, to, a);
    emit_op(&x->c, true, 0x0faf, to, val_rm(x, b));
}

/* The high half: rdx:rax = rax * r/m. */
static void compile_mul_high(struct compile *x, bool is_signed, enum reg to, ir_value a, ir_value b)
{
    u32 taken = ~x->free & (1u << RAX | 1u << RDX);
    struct rm by;

    taken &= ~(1u << to);
    ASSERT(!taken);
    if (val(x, b)->where == IN_CONST) {
        emit_mov_imm(&x->c, RCX, (u64)x->block->op[b].imm);
        by = rm_reg(RCX);
    } else {
        by = val_rm(x, b);
    }
    val_load(x, RAX, a);
    emit_op(&x->c, true, 0xf7, is_signed ? 5 : 4, by);
    emit_mov(&x->c, to, rm_reg(RDX));
}

static enum cond condition_of(u8 opcode)
{
    switch (opcode) {
    case IR_EQ:
        return CC_E;
    case IR_NE:
        return CC_NE;
    case IR_LTS:
        return CC_L;
    case IR_LTU:
        return CC_B;
    case IR_GES:
        return CC_GE;
    default:
        return CC_AE;
    }
}

/* Is v in a register of which the flags tell what this comparison with 0 asks? */
static bool is_in_flags(struct compile *x, enum cond cc, ir_value v)
{
    struct rm rm = val_rm(x, v);

    if (rm.memory || !flags_tell(x, (enum reg)rm.reg, true))
        return false;
    return cc == CC_E || cc == CC_NE || x->flags.have_sign;
}

static void compare(struct compile *x, enum cond cc, ir_value a, ir_value b)
{
    u64 constant;
    struct rm ra;

    if (val(x, a)->where == IN_CONST) {
        alu(x, ALU_CMP, true, val_settle(x, a), b);
        return;
    }
    ra = val_rm(x, a);
    if (val_is_const(x, b, &constant) && fits_s32(constant)) {
        if (!constant && is_in_flags(x, cc, a))
            return;
        if (!constant && !ra.memory)
            emit_test(&x->c, ra.reg, ra.reg);
        else
            emit_alu_imm(&x->c, true, ALU_CMP, ra, (s32)constant);
    } else if (ra.memory) { /* from the left: no register is needed for it */
        emit_op(&x->c, true, ALU_CMP | 1, val_reg(x, b), ra);
    } else {
        alu(x, ALU_CMP, true, (enum reg)ra.reg, b);
    }
}

/* The condition of b and a for one of a and b. */
static enum cond mirrored(enum cond cc)
{
    switch (cc) {
    case CC_L:
        return CC_G;
    case CC_GE:
        return CC_LE;
    case CC_B:
        return CC_A;
    case CC_AE:
        return CC_BE;
    default:
        return cc;
    }
}

/* Do those who ask for a comparison come right behind it, with nothing but moves in between? */
static bool stays_in_flags(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at + 1];

    for (u32 uses = val(x, (ir_value)at)->uses; uses; op++) {
        switch (op->opcode) {
        case IR_CONST:
        case IR_GET:
            break;
        case IR_PUT:
            if (op->arg[0] == at)
                return false;
            break;
        case IR_SELECT:
            if (op->arg[1] == at || op->arg[2] == at)
                return false;
            /* fall through */
        case IR_BRANCH:
        case IR_LEAVE_IF:
        case IR_SKIP:
            if (op->arg[0] != at)
                return false;
            uses--;
            break;
        default:
            return false;
        }
    }
    return true;
}

void compile_compare(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    bool swaps = val(x, op->arg[0])->where == IN_CONST && val(x, op->arg[1])->where != IN_CONST;
    enum cond cc = condition_of(op->opcode);

    if (swaps)
        cc = mirrored(cc);
    compare(x, cc, op->arg[swaps], op->arg[!swaps]);
    op_release(x, at);
    if (stays_in_flags(x, at)) {
        val(x, (ir_value)at)->where = IN_FLAGS;
        val(x, (ir_value)at)->reg = (u8)cc;
        return;
    }
    /* MOV-free: the result's register may be an operand's, whose last use was above. */
    emit_setcc(&x->c, cc, op_result(x, at));
}

/* The slot that the result goes to is one of the two already. */
static bool select_in_place(struct compile *x, u32 at, enum cond cc)
{
    const struct ir_op *op = &x->block->op[at];
    ir_value other = op->arg[2];
    u32 slot = op_target(x, at);

    if (slot == NO_TARGET)
        return false;
    if (val_lies_in(x, op->arg[1], (enum reg)x->slot_reg[slot])) {
        cc ^= 1;
    } else if (val_lies_in(x, op->arg[2], (enum reg)x->slot_reg[slot])) {
        other = op->arg[1];
    } else {
        return false;
    }
    if (val(x, other)->where == IN_CONST)
        val_settle(x, other);
    emit_cmov(&x->c, cc, (enum reg)x->slot_reg[slot], val_rm(x, other));
    op_release(x, at);
    (void)op_result(x, at);
    return true;
}

/* Nothing here changes flags but the test. */
void compile_select(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    const bool flags = val(x, op->arg[0])->where == IN_FLAGS;
    enum cond cc = flags ? (enum cond)val(x, op->arg[0])->reg : CC_NE;
    enum reg t, c = RAX;

    if (flags && select_in_place(x, at, cc))
        return;
    t = reg_take(x, SCRATCH);
    if (!flags)
        c = val_reg(x, op->arg[0]);
    if (val(x, op->arg[1])->where == IN_CONST)
        val_settle(x, op->arg[1]);
    val_load(x, t, op->arg[2]);
    if (!flags)
        emit_test(&x->c, c, c);
    emit_cmov(&x->c, cc, t, val_rm(x, op->arg[1]));
    op_release(x, at);
    reg_give(x, t);
    emit_mov(&x->c, op_result(x, at), rm_reg(t));
}

void compile_addshl(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    enum reg base = val_reg(x, op->arg[0]), index = val_reg(x, op->arg[1]);

    op_release(x, at);
    emit_lea_scaled(&x->c, op_result(x, at), base, index, (u32)x->block->op[op->arg[2]].imm);
}

void compile_unary(struct compile *x, u32 opcode, enum reg to, ir_value a)
{
    struct code *c = &x->c;
    struct rm ra = val_rm(x, a);
    bool same;

    switch (opcode) {
    case IR_NOT:
        emit_mov(c, to, ra);
        emit_op(c, true, 0xf7, 2, rm_reg(to));
        break;
    case IR_BSWAP:
        emit_mov(c, to, ra);
        emit_rex(c, true, 0, 0, to, false);
        emit8(c, 0x0f);
        emit8(c, 0xc8 | (to & 7));
        break;
    case IR_SX8:
        emit_op(c, true, 0x0fbe, to, ra);
        break;
    case IR_SX16:
        emit_op(c, true, 0x0fbf, to, ra);
        break;
    case IR_SX32:
        same = !ra.memory && flags_tell(x, (enum reg)ra.reg, false);
        emit_op(c, true, 0x63, to, ra);
        if (same)
            note_flags(x, to, true, x->flags.have_sign);
        break;
    case IR_ZX8:
        emit_op(c, true, 0x0fb6, to, ra);
        break;
    case IR_ZX16:
        emit_op(c, true, 0x0fb7, to, ra);
        break;
    case IR_ZX32:
        emit_mov32(c, to, ra);
        break;
    case IR_CLZ:
        emit_op_prefix(c, 0xf3, 0x0fbd, to, ra);
        break;
    case IR_CTZ:
        emit_op_prefix(c, 0xf3, 0x0fbc, to, ra);
        break;
    default:
        ASSERT(opcode == IR_CPOP);
        emit_op_prefix(c, 0xf3, 0x0fb8, to, ra);
    }
}

void compile_binary(struct compile *x, u32 at, enum reg to)
{
    const struct ir_op *op = &x->block->op[at];
    const ir_value a = op->arg[0], b = op->arg[1];
    const u32 opcode = op->opcode;

    switch (opcode) {
    case IR_ADD:
        compile_add(x, at, to, a, b);
        break;
    case IR_SUB:
        compile_alu(x, ALU_SUB, at, to, a, b);
        break;
    case IR_AND:
        compile_alu(x, ALU_AND, at, to, a, b);
        break;
    case IR_OR:
        compile_alu(x, ALU_OR, at, to, a, b);
        break;
    case IR_XOR:
        compile_alu(x, ALU_XOR, at, to, a, b);
        break;
    case IR_SHL:
        compile_shift(x, SHIFT_SHL, to, a, b);
        break;
    case IR_SHR:
        compile_shift(x, SHIFT_SHR, to, a, b);
        break;
    case IR_SAR:
        compile_shift(x, SHIFT_SAR, to, a, b);
        break;
    case IR_ROL:
    case IR_ROL32:
        compile_rotate(x, opcode == IR_ROL, SHIFT_ROL, to, a, b);
        break;
    case IR_ROR:
    case IR_ROR32:
        compile_rotate(x, opcode == IR_ROR, SHIFT_ROR, to, a, b);
        break;
    case IR_MUL:
        compile_mul(x, to, a, b);
        break;
    default:
        compile_mul_high(x, opcode == IR_MULHS, to, a, b);
    }
}

static bool alu_of(u8 opcode, enum alu *op)
{
    switch (opcode) {
    case IR_ADD:
        *op = ALU_ADD;
        return true;
    case IR_SUB:
        *op = ALU_SUB;
        return true;
    case IR_AND:
        *op = ALU_AND;
        return true;
    case IR_OR:
        *op = ALU_OR;
        return true;
    case IR_XOR:
        *op = ALU_XOR;
        return true;
    default:
        return false;
    }
}

bool computes_in_memory(const struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at], *next = op + 1, *get;
    enum alu alu;

    if (!alu_of(op->opcode, &alu) || next->opcode != IR_PUT || next->arg[0] != at ||
        x->value[at].uses != 1 || next->brief || !slot_rm(x, (u32)next->imm).memory)
        return false;
    get = &x->block->op[op->arg[0]];
    return get->opcode == IR_GET && get->imm == next->imm && x->value[op->arg[0]].where == IN_SLOT;
}

void compile_in_memory(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    u32 slot = (u32)op[1].imm;
    enum alu alu = ALU_CMP;
    u64 constant;

    (void)alu_of(op->opcode, &alu);
    slot_protect(x, slot, at);
    if (val_is_const(x, op->arg[1], &constant) && fits_s32(constant))
        emit_alu_imm(&x->c, true, alu, slot_rm(x, slot), (s32)constant);
    else
        emit_op(&x->c, true, (u32)alu | 1, val_reg(x, op->arg[1]), slot_rm(x, slot));
    op_release(x, at);
}

/* Bytes that an extension of a shifted value keeps; 0: it is none. */
static u32 bytes_kept(u8 opcode)
{
    switch (opcode) {
    case IR_SX8:
    case IR_ZX8:
        return 1;
    case IR_SX16:
    case IR_ZX16:
        return 2;
    case IR_SX32:
    case IR_ZX32:
        return 4;
    default:
        return 0;
    }
}

bool names_part(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at], *next = op + 1;
    struct value *value = val(x, (ir_value)at), *of = val(x, op->arg[0]);
    u64 by;

    if ((op->opcode != IR_ROR && op->opcode != IR_SHR) || of->where != IN_SLOT || of->part ||
        x->block->op[op->arg[0]].brief || of->slot == IR_SLOT_PAGE ||
        !slot_rm(x, of->slot).memory || !bytes_kept(next->opcode) || next->arg[0] != at ||
        value->uses != 1 || !val_is_const(x, op->arg[1], &by) || by % 8 ||
        (by & 63) / 8 + bytes_kept(next->opcode) > 8)
        return false;
    *value = (struct value){.where = IN_SLOT, .uses = 1, .part = (by & 63) / 8, .slot = of->slot};
    op_release(x, at);
    return true;
}
