/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Floating point: IR operations to scalar AVX and FMA instructions.
 *
 * MXCSR rounds as the guest wants, and has its exception flags.
 * What the processor answers otherwise than the IR asks (NaNs, equal zeros in FMIN, conversions out
 * of range) is found by a compare and a jump to a stub, which must raise nothing that the IR does
 * not: where an instruction would, the operand is looked at before.
 */
#include "jit/x86_64/compile.h"

/* One of a pair of constants, of 64 and 32 bits. */
static const u8 *constant(const struct compile *x, u32 which, u32 size)
{
    return fp_constant(x->b, which + (size == 4));
}

static u32 scalar(u32 size)
{
    return size == 8 ? VEX_F2 : VEX_F3;
}

/* VUCOMISD or VUCOMISS; ordered: VCOMISD or VCOMISS, for which quiet NaNs are invalid, too. */
static void emit_compare(struct code *c, u32 size, bool ordered, enum reg a, struct rm b)
{
    emit_vex(c, size == 8 ? VEX_66 : VEX_NONE, ordered ? 0x2f : 0x2e, a, 0, b);
}

static void emit_compare_constant(struct compile *x, u32 size, bool ordered, enum reg a, u32 which)
{
    emit_vex_near(&x->c, size == 8 ? VEX_66 : VEX_NONE, ordered ? 0x2f : 0x2e, a, 0,
                  constant(x, which, size));
}

static struct stub *jump_to_stub(struct compile *x, u32 at, enum cond cc, enum stub_kind kind,
                                 enum reg data)
{
    struct stub *stub;

    emit_jcc(&x->c, cc, NULL);
    stub = stub_add(x, kind, &x->block->op[at]);
    stub->at = at;
    stub->data = (u8)data;
    return stub;
}

/* A result that nobody wants was computed for its exceptions. */
static void done(struct compile *x, u32 at, enum reg result)
{
    if (!val(x, (ir_value)at)->uses)
        reg_give(x, result);
}

static struct stub *check_nan(struct compile *x, u32 at, enum stub_kind kind, enum reg result)
{
    struct stub *stub;

    emit_compare(&x->c, x->block->op[at].size, false, result, rm_reg(result));
    stub = jump_to_stub(x, at, CC_P, kind, result);
    stub->back = x->c.at;
    return stub;
}

static void compile_arithmetic(struct compile *x, u32 at, u32 opcode)
{
    const struct ir_op *op = &x->block->op[at];
    enum reg a = val_xmm(x, op->arg[0]), to;
    struct rm b = op->opcode == IR_FSQRT ? rm_reg(a) : val_xmm_rm(x, op->arg[1]);

    op_release(x, at);
    to = op_result(x, at);
    emit_vex(&x->c, scalar(op->size), opcode, to, a, b);
    check_nan(x, at, STUB_NAN, to);
    done(x, at, to);
}

/* The opcode of the form 213; that of 231 is 16 greater. */
static u32 fma_opcode(u8 opcode)
{
    return opcode == IR_FMA ? 0xa9 : opcode == IR_FMS ? 0xab : opcode == IR_FNMA ? 0xad : 0xaf;
}

static enum reg keep(struct compile *x, enum reg reg)
{
    enum reg copy = reg_take(x, SCRATCH_XMM);

    emit_mov(&x->c, copy, rm_reg(reg));
    reg_give(x, copy); /* soon enough: only a stub at once behind reads it */
    return copy;
}

/* The stub looks at both factors, which therefore outlive the result. */
static void compile_fma(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    enum reg a = val_xmm(x, op->arg[0]), b = val_xmm(x, op->arg[1]), to, a_kept = a, b_kept = b;
    struct rm addend = val_xmm_rm(x, op->arg[2]);
    u32 vex = VEX_66 | VEX_0F38 | (op->size == 8 ? VEX_W : 0), opcode = fma_opcode(op->opcode);
    bool early = op_target(x, at) == NO_TARGET;
    struct stub *stub;

    if (early) /* there may be no register left but the addend's */
        val_release(x, op->arg[2]);
    to = op_result(x, at);
    if (a == to)
        a_kept = keep(x, a);
    if (b == to)
        b_kept = a == b ? a_kept : keep(x, b);
    if ((a == to || b == to) && (addend.memory || addend.reg != to)) {
        emit_vex(&x->c, vex, opcode, to, a == to ? b : a, addend);
    } else {
        emit_mov(&x->c, to, addend);
        emit_vex(&x->c, vex, opcode + 0x10, to, a, rm_reg(b));
    }
    ASSERT((x->free & SCRATCH) == SCRATCH);
    stub = check_nan(x, at, STUB_FMA_NAN, to);
    stub->address = (u8)a_kept;
    stub->value = rm_reg(b_kept);
    val_release(x, op->arg[0]);
    val_release(x, op->arg[1]);
    if (!early)
        val_release(x, op->arg[2]);
    done(x, at, to);
}

static void compile_min_max(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    enum reg a = val_xmm(x, op->arg[0]), b = val_xmm(x, op->arg[1]), to = op_result(x, at);
    struct stub *unordered, *equal;

    emit_compare(&x->c, op->size, false, a, rm_reg(b));
    unordered = jump_to_stub(x, at, CC_P, STUB_CHOOSE, to);
    equal = jump_to_stub(x, at, CC_E, STUB_EQUAL, to);
    emit_vex(&x->c, scalar(op->size), op->opcode == IR_FMIN ? 0x5d : 0x5f, to, a, rm_reg(b));
    unordered->address = equal->address = (u8)a;
    unordered->value = equal->value = rm_reg(b);
    unordered->back = equal->back = x->c.at;
    op_release(x, at);
    done(x, at, to);
}

enum { ANDPS = 0x54, ANDNPS = 0x55, ORPS = 0x56, XORPS = 0x57 };

/* The bits of b's sign go through a register of their own, b's if nobody else wants that. */
static void compile_signs(struct compile *x, const struct ir_op *op, enum reg to, enum reg a,
                          enum reg b)
{
    const u8 *sign = constant(x, FP_SIGN64, op->size), *other = constant(x, FP_OTHER64, op->size);
    const struct value *vb = val(x, op->arg[1]);
    bool own = !(vb->where == IN_SCRATCH && vb->uses == 1);
    enum reg t = own ? reg_take(x, SCRATCH_XMM) : b;
    struct code *c = &x->c;

    emit_vex_near(c, VEX_NONE, op->opcode == IR_FSIGNN ? ANDNPS : ANDPS, t, b, sign);
    if (op->opcode == IR_FSIGNX) {
        emit_vex(c, VEX_NONE, XORPS, to, a, rm_reg(t));
    } else {
        emit_vex_near(c, VEX_NONE, ANDPS, to, a, other);
        emit_vex(c, VEX_NONE, ORPS, to, to, rm_reg(t));
    }
    if (own)
        reg_give(x, t);
}

static void compile_sign(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    enum reg a = val_xmm(x, op->arg[0]), b = val_xmm(x, op->arg[1]), to = op_result(x, at);

    if (op->arg[0] != op->arg[1])
        compile_signs(x, op, to, a, b);
    else if (op->opcode == IR_FSIGN)
        emit_mov(&x->c, to, rm_reg(a));
    else if (op->opcode == IR_FSIGNN)
        emit_vex_near(&x->c, VEX_NONE, XORPS, to, a, constant(x, FP_SIGN64, op->size));
    else
        emit_vex_near(&x->c, VEX_NONE, ANDPS, to, a, constant(x, FP_OTHER64, op->size));
    op_release(x, at);
}

static void emit_ones(struct code *c, enum reg to)
{
    emit_vex(c, VEX_66, 0x76, to, to, rm_reg(to)); /* VPCMPEQD */
}

static void emit_zero(struct code *c, enum reg to)
{
    emit_vex(c, VEX_NONE, XORPS, to, to, rm_reg(to));
}

/* What a scalar result of this size is merged into: all ones where it is to be boxed. */
static void emit_base(struct code *c, u32 size, enum reg to)
{
    if (size == 4)
        emit_ones(c, to);
    else
        emit_zero(c, to);
}

static void compile_width(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    enum reg a = val_xmm(x, op->arg[0]), to = op_result(x, at), t = to;
    struct stub *stub;

    if (op->opcode == IR_FBOX) {
        emit_vex_near(&x->c, VEX_NONE, ORPS, to, a, fp_constant(x->b, FP_BOX));
        op_release(x, at);
        return;
    }
    if (op->opcode == IR_FWIDEN) {
        emit_vex(&x->c, VEX_F3, 0x5a, to, a, rm_reg(a));
        emit_compare(&x->c, 8, false, to, rm_reg(to));
    } else {
        if (a == to)
            t = reg_take(x, SCRATCH_XMM);
        emit_ones(&x->c, t);
        emit_vex(&x->c, VEX_F2, 0x5a, to, t, rm_reg(a));
        emit_compare(&x->c, 4, false, to, rm_reg(to));
        if (t != to)
            reg_give(x, t);
    }
    stub = jump_to_stub(x, at, CC_P, STUB_NAN, to);
    stub->back = x->c.at; /* behind the jump */
    op_release(x, at);
    done(x, at, to);
}

static void emit_from_int(struct compile *x, u32 size, enum reg to, struct rm from)
{
    emit_vex(&x->c, scalar(size) | VEX_W, 0x2a, to, to, from);
}

static void compile_from_int(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    enum reg a = val_reg(x, op->arg[0]), to = op_result(x, at);

    emit_base(&x->c, op->size, to);
    if (op->opcode == IR_FFROMU) {
        struct stub *stub;
        enum reg t = reg_take(x, SCRATCH);
        emit_test(&x->c, a, a);
        stub = jump_to_stub(x, at, CC_S, STUB_FROM_U64, to);
        stub->address = (u8)a;
        stub->value = rm_reg(t);
        emit_from_int(x, op->size, to, rm_reg(a));
        stub->back = x->c.at;
        reg_give(x, t);
    } else {
        emit_from_int(x, op->size, to, rm_reg(a));
    }
    op_release(x, at);
    done(x, at, to);
}

static void compile_equal(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    enum reg a = val_xmm(x, op->arg[0]), t, to;
    struct rm b = val_xmm_rm(x, op->arg[1]);

    t = reg_take(x, SCRATCH_XMM);
    emit_vex(&x->c, scalar(op->size), 0xc2, t, a, b); /* VCMPSD: all ones or 0 */
    emit8(&x->c, 0);
    reg_give(x, t);
    op_release(x, at);
    to = op_result(x, at);
    emit_vex(&x->c, VEX_66, 0x7e, t, 0, rm_reg(to)); /* VMOVD */
    emit_alu_imm(&x->c, false, ALU_AND, rm_reg(to), 1);
    done(x, at, to);
}

/* a < b is b > a, which no NaN satisfies by the flags of the compare. */
static void compile_less(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    bool strict = op->opcode == IR_FLT || op->opcode == IR_FLTQ;
    enum reg b = val_xmm(x, op->arg[1]), to;
    struct rm a = val_xmm_rm(x, op->arg[0]);

    emit_compare(&x->c, op->size, op->opcode == IR_FLT || op->opcode == IR_FLE, b, a);
    op_release(x, at);
    to = op_result(x, at);
    emit_setcc(&x->c, strict ? CC_A : CC_AE, to);
    done(x, at, to);
}

enum { TO_INT_TRUNCATE = 0x2c, TO_INT = 0x2d };

static void emit_to_int(struct compile *x, u32 size, bool wide, u32 opcode, enum reg to,
                        enum reg from)
{
    emit_vex(&x->c, scalar(size) | (wide ? VEX_W : 0), opcode, to, 0, rm_reg(from));
}

enum { ROUND_TRUNCATE = 3, ROUND_QUIETLY = 8 };

static void emit_round(struct compile *x, u32 size, enum reg to, enum reg from, u32 how)
{
    emit_vex(&x->c, VEX_66 | VEX_0F3A, size == 8 ? 0x0b : 0x0a, to, from, rm_reg(from));
    emit8(&x->c, how);
}

static void saturate_if(struct compile *x, u32 at, enum cond cc, enum reg a, enum reg to)
{
    jump_to_stub(x, at, cc, STUB_SATURATE, to)->address = (u8)a;
}

/* Out of range and NaNs give the least integer, which alone makes x - 1 overflow. */
static void jump_if_least(struct compile *x, u32 at, bool wide, enum reg a, enum reg to)
{
    emit_alu_imm(&x->c, wide, ALU_CMP, rm_reg(to), 1);
    saturate_if(x, at, CC_O, a, to);
}

/*
 * t: a as an integer, ties away from zero; never inexact. What truncation leaves is exact, and so
 * is the double of it, which is truncated to what is to be added.
 */
static void round_away(struct compile *x, const struct ir_op *op, enum reg t, enum reg a)
{
    enum reg rest = reg_take(x, SCRATCH_XMM);

    emit_round(x, op->size, t, a, ROUND_TRUNCATE | ROUND_QUIETLY);
    emit_vex(&x->c, scalar(op->size), 0x5c, rest, a, rm_reg(t));
    emit_vex(&x->c, scalar(op->size), 0x58, rest, rest, rm_reg(rest));
    emit_round(x, op->size, rest, rest, ROUND_TRUNCATE | ROUND_QUIETLY);
    emit_vex(&x->c, scalar(op->size), 0x58, t, t, rm_reg(rest));
    reg_give(x, rest);
}

/* Down, up, or away from zero: inexact only if the result fits. What does not fit into 64 bits is
 * an integer before it is rounded. */
static void to_signed_directed(struct compile *x, u32 at, enum reg a, enum reg to)
{
    const struct ir_op *op = &x->block->op[at];
    bool wide = op->opcode == IR_FTOS64, late = !wide || op->imm == IR_ROUND_AWAY;
    enum reg t = reg_take(x, SCRATCH_XMM), low;

    if (op->imm == IR_ROUND_AWAY)
        round_away(x, op, t, a);
    else
        emit_round(x, op->size, t, a,
                   (op->imm == IR_ROUND_DOWN ? 1 : 2) | (late ? ROUND_QUIETLY : 0));
    emit_to_int(x, op->size, true, TO_INT_TRUNCATE, to, t);
    if (wide) {
        jump_if_least(x, at, true, a, to);
    } else {
        low = reg_take(x, SCRATCH);
        emit_op(&x->c, true, 0x63, low, rm_reg(to)); /* MOVSXD */
        emit_alu(&x->c, ALU_CMP, low, rm_reg(to));
        saturate_if(x, at, CC_NE, a, to);
        reg_give(x, low);
    }
    if (late)
        emit_round(x, op->size, t, a, ROUND_TRUNCATE);
    reg_give(x, t);
}

static void to_signed(struct compile *x, u32 at, enum reg a, enum reg to)
{
    const struct ir_op *op = &x->block->op[at];
    bool wide = op->opcode == IR_FTOS64;

    if (op->imm == IR_ROUND_CURRENT || op->imm == IR_ROUND_ZERO) {
        emit_to_int(x, op->size, wide, op->imm == IR_ROUND_ZERO ? TO_INT_TRUNCATE : TO_INT, to, a);
        jump_if_least(x, at, wide, a, to);
        if (!wide)
            emit_op(&x->c, true, 0x63, to, rm_reg(to));
    } else {
        to_signed_directed(x, at, a, to);
    }
}

/* Greater than -1 and less than the limit, else to a stub; NaNs too. */
static void to_unsigned(struct compile *x, u32 at, enum reg a, enum reg to)
{
    const struct ir_op *op = &x->block->op[at];
    bool wide = op->opcode == IR_FTOU64;
    enum stub_kind kind = wide ? STUB_TO_U64 : STUB_SATURATE;
    enum reg t = reg_take(x, SCRATCH_XMM);
    struct stub *high, *low;

    emit_compare_constant(x, op->size, false, a, wide ? FP_TWO_63_64 : FP_TWO_32_64);
    high = jump_to_stub(x, at, CC_AE, kind, to);
    emit_compare_constant(x, op->size, false, a, FP_MINUS_ONE64);
    low = jump_to_stub(x, at, CC_BE, kind, to);
    emit_to_int(x, op->size, true, TO_INT_TRUNCATE, to, a);
    if (!wide)
        emit_op(&x->c, true, 0x63, to, rm_reg(to));
    high->address = low->address = (u8)a;
    high->value = low->value = rm_reg(t);
    reg_give(x, t);
}

static void compile_to_int(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    enum reg a = val_xmm(x, op->arg[0]), to = op_result(x, at);
    u32 first = x->stub_count;

    if (op->opcode == IR_FTOS32 || op->opcode == IR_FTOS64)
        to_signed(x, at, a, to);
    else
        to_unsigned(x, at, a, to);
    while (first < x->stub_count)
        x->stub[first++].back = x->c.at;
    op_release(x, at);
    done(x, at, to);
}

/* Integers, but in these registers. */
void compile_clmul(struct compile *x, u32 opcode, enum reg to, ir_value a, ir_value b)
{
    enum reg product = reg_take(x, SCRATCH_XMM), factor = reg_take(x, SCRATCH_XMM);
    struct code *c = &x->c;

    emit_mov(c, product, rm_reg(val_reg(x, a)));
    emit_mov(c, factor, rm_reg(val_reg(x, b)));
    emit_vex(c, VEX_66 | VEX_0F3A, 0x44, product, product, rm_reg(factor)); /* VPCLMULQDQ */
    emit8(c, 0);
    if (opcode == IR_CLMUL) {
        emit_mov(c, to, rm_reg(product));
    } else {
        emit_vex(c, VEX_66 | VEX_0F3A | VEX_W, 0x16, product, 0, rm_reg(to)); /* VPEXTRQ */
        emit8(c, 1);
    }
    reg_give(x, product);
    reg_give(x, factor);
}

void compile_fp(struct compile *x, u32 at)
{
    static const u8 arithmetic[IR_OPCODES] = {
        [IR_FADD] = 0x58, [IR_FSUB] = 0x5c, [IR_FMUL] = 0x59, [IR_FDIV] = 0x5e, [IR_FSQRT] = 0x51};
    u8 opcode = x->block->op[at].opcode;

    if (arithmetic[opcode])
        compile_arithmetic(x, at, arithmetic[opcode]);
    else if (opcode == IR_FMIN || opcode == IR_FMAX)
        compile_min_max(x, at);
    else if (opcode >= IR_FMA && opcode <= IR_FNMS)
        compile_fma(x, at);
    else if (opcode >= IR_FSIGN && opcode <= IR_FSIGNX)
        compile_sign(x, at);
    else if (opcode == IR_FWIDEN || opcode == IR_FNARROW || opcode == IR_FBOX)
        compile_width(x, at);
    else if (opcode == IR_FFROMS || opcode == IR_FFROMU)
        compile_from_int(x, at);
    else if (opcode == IR_FEQ)
        compile_equal(x, at);
    else if (opcode >= IR_FLT && opcode <= IR_FLEQ)
        compile_less(x, at);
    else
        compile_to_int(x, at);
}

void compile_fp_flags(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    const struct rm flags = state_rm(x->b->layout.fp_flags);
    enum reg to, v, t;

    if (op->opcode == IR_FXGET) {
        to = op_result(x, at);
        t = reg_take(x, SCRATCH);
        emit_fp_flags(x->b, &x->c, to, t);
        emit_op(&x->c, false, 0x0b, to, flags); /* OR */
        reg_give(x, t);
        return;
    }
    v = val_reg(x, op->arg[0]);
    to = reg_take(x, SCRATCH);
    t = reg_take(x, SCRATCH);
    emit_fp_flags(x->b, &x->c, to, t);
    emit_op(&x->c, false, 0x89, v, flags);
    emit_fp_clear_unless(&x->c, v, to);
    reg_give(x, t);
    reg_give(x, to);
    op_release(x, at);
}

/* ---- stubs ---- */

static void load_nan(struct compile *x, u32 size, enum reg to)
{
    emit_vex_near(&x->c, VEX_F2, 0x10, to, 0, constant(x, FP_NAN64, size));
}

static void stub_fma_nan(struct compile *x, const struct stub *s, u32 size)
{
    emit_mov(&x->c, RAX, rm_reg(s->address));
    emit_mov(&x->c, RCX, s->value);
    emit_call(&x->c, size == 8 ? x->b->fma_nan64 : x->b->fma_nan32);
    load_nan(x, size, s->data);
}

/* The one that is a number, if any is; the compare has raised what there is to raise. */
static void stub_choose(struct compile *x, const struct stub *s, u32 size)
{
    struct code *c = &x->c;
    enum reg a = s->address, b = s->value.reg;
    u8 *b_nan, *a_nan, *end[2];

    emit_compare(c, size, false, b, rm_reg(b));
    b_nan = emit_jcc_short(c, CC_P);
    emit_mov(c, s->data, rm_reg(b));
    end[0] = emit_jmp_short(c);
    ASSERT(short_end(c, b_nan));
    emit_compare(c, size, false, a, rm_reg(a));
    a_nan = emit_jcc_short(c, CC_P);
    emit_mov(c, s->data, rm_reg(a));
    end[1] = emit_jmp_short(c);
    ASSERT(short_end(c, a_nan));
    load_nan(x, size, s->data);
    ASSERT(short_end(c, end[0]) && short_end(c, end[1]));
}

/* By the operand's sign; a NaN is positive. Where the processor has not raised it, invalid is. */
static void stub_saturate(struct compile *x, const struct stub *s, const struct ir_op *op)
{
    struct code *c = &x->c;
    enum reg to = s->data;
    bool raised = op->opcode == IR_FTOS64 || (op->opcode == IR_FTOS32 && op->imm < IR_ROUND_DOWN);
    u8 *number;

    if (!raised)
        emit_compare_constant(x, op->size, true, s->address, FP_NAN64);
    emit_mov(c, to, rm_reg(s->address));
    if (op->size == 4)
        emit_shift_imm(c, true, SHIFT_SHL, to, 32);
    emit_shift_imm(c, true, SHIFT_SAR, to, 63);
    emit_compare(c, op->size, false, s->address, rm_reg(s->address));
    number = emit_jcc_short(c, CC_NP);
    emit_mov_imm(c, to, 0);
    ASSERT(short_end(c, number));
    if (op->opcode == IR_FTOS32) {
        emit_alu_imm(c, true, ALU_XOR, rm_reg(to), INT32_MAX);
        return;
    }
    if (op->opcode == IR_FTOS64)
        emit_complement_bit(c, to, 63);
    emit_op(c, true, 0xf7, 2, rm_reg(to)); /* NOT */
}

static void stub_to_u64(struct compile *x, const struct stub *s, const struct ir_op *op)
{
    struct code *c = &x->c;
    u8 *less, *greater;

    emit_compare_constant(x, op->size, false, s->address, FP_TWO_63_64);
    less = emit_jcc_short(c, CC_B);
    emit_compare_constant(x, op->size, false, s->address, FP_TWO_64_64);
    greater = emit_jcc_short(c, CC_AE);
    emit_vex_near(c, scalar(op->size), 0x5c, s->value.reg, s->address,
                  constant(x, FP_TWO_63_64, op->size)); /* exact */
    emit_to_int(x, op->size, true, TO_INT_TRUNCATE, s->data, s->value.reg);
    emit_complement_bit(c, s->data, 63);
    emit_jmp(c, s->back);
    ASSERT(short_end(c, less) && short_end(c, greater));
    stub_saturate(x, s, op);
}

/* Half of it, with the bit that is lost kept in the lowest, rounds in the same way. */
static void stub_from_u64(struct compile *x, const struct stub *s, u32 size)
{
    struct code *c = &x->c;
    enum reg t = s->value.reg;
    u8 *even;

    emit_mov(c, t, rm_reg(s->address));
    emit_shift_imm(c, true, SHIFT_SHR, t, 1);
    even = emit_jcc_short(c, CC_AE);
    emit_alu_imm(c, true, ALU_OR, rm_reg(t), 1);
    ASSERT(short_end(c, even));
    emit_from_int(x, size, s->data, rm_reg(t));
    emit_vex(c, scalar(size), 0x58, s->data, s->data, rm_reg(s->data));
}

void stub_fp(struct compile *x, const struct stub *s)
{
    const struct ir_op *op = &x->block->op[s->at];

    switch (s->kind) {
    case STUB_NAN:
        load_nan(x, op->opcode == IR_FWIDEN ? 8 : op->opcode == IR_FNARROW ? 4 : op->size, s->data);
        break;
    case STUB_FMA_NAN:
        stub_fma_nan(x, s, op->size);
        break;
    case STUB_CHOOSE:
        stub_choose(x, s, op->size);
        break;
    case STUB_EQUAL: /* -0 is less than +0: in FMIN one sign is enough */
        emit_vex(&x->c, VEX_NONE, op->opcode == IR_FMIN ? ORPS : ANDPS, s->data, s->address,
                 s->value);
        break;
    case STUB_SATURATE:
        stub_saturate(x, s, op);
        break;
    case STUB_TO_U64:
        stub_to_u64(x, s, op);
        break;
    default:
        ASSERT(s->kind == STUB_FROM_U64);
        stub_from_u64(x, s, op->size);
    }
    emit_jmp(&x->c, s->back);
}
