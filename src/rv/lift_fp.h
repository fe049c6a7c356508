/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words of floating point in spec/riscv.def for rv/lift.c, which alone includes this.
 *
 * Inline is what the host does as RISC-V does: binary32 and binary64 where rounding is to nearest,
 * and conversions to integers in more modes. The rest is run_insn's. An operand of binary32 must be
 * boxed; that is looked at once a block, and if it is not so, the interpreter does the instruction.
 */
#ifndef COSM_RV_LIFT_FP_H
#define COSM_RV_LIFT_FP_H

#include "rv/softfp.h"

#define FREG_SLOT(n) (SLOT(f) + (n))

/* Operations by the names of rv/softfp.h; IR_OPCODES: none. */
#define LIFT_OP(name, op) \
    LIFT_f16_##name = IR_OPCODES, LIFT_f32_##name = (op), LIFT_f64_##name = (op)
enum {
    LIFT_OP(add, IR_FADD),
    LIFT_OP(sub, IR_FSUB),
    LIFT_OP(mul, IR_FMUL),
    LIFT_OP(div, IR_FDIV),
    LIFT_OP(sqrt, IR_FSQRT),
    LIFT_OP(min, IR_FMIN),
    LIFT_OP(max, IR_FMAX),
    LIFT_OP(minm, IR_OPCODES),
    LIFT_OP(maxm, IR_OPCODES),
    LIFT_OP(round, IR_OPCODES),
    LIFT_OP(roundnx, IR_OPCODES),
    LIFT_OP(eq, IR_FEQ),
    LIFT_OP(lt, IR_FLT),
    LIFT_OP(le, IR_FLE),
    LIFT_OP(ltq, IR_FLTQ),
    LIFT_OP(leq, IR_FLEQ),
    LIFT_OP(to_s32, IR_FTOS32),
    LIFT_OP(to_u32, IR_FTOU32),
    LIFT_OP(to_s64, IR_FTOS64),
    LIFT_OP(to_u64, IR_FTOU64),
    LIFT_OP(from_s32, IR_FFROMS),
    LIFT_OP(from_u32, IR_FFROMS),
    LIFT_OP(from_s64, IR_FFROMS),
    LIFT_OP(from_u64, IR_FFROMU),
    LIFT_f16_to_f32 = IR_OPCODES,
    LIFT_f16_to_f64 = IR_OPCODES,
    LIFT_f32_to_f16 = IR_OPCODES,
    LIFT_f64_to_f16 = IR_OPCODES,
    LIFT_f32_to_f64 = IR_FWIDEN,
    LIFT_f64_to_f32 = IR_FNARROW,
};
#undef LIFT_OP

/* Left to run_insn, which writes a value of that width to f[rd] or, 0, to x[rd]. */
static void lift_fp_call(struct lift *l, u64 insn, u32 width)
{
    l->whole = true;
    l->apart = width != 0;
    if (width)
        l->fp_boxed &= ~(1u << insn_rd(insn));
    if (width && width < 64)
        l->fp_boxed |= 1u << insn_rd(insn);
}

/* Where rounding to nearest is expected anyway, it is asked for at once, so that one guard does. */
static void lift_fp_guard(struct lift *l, enum lift_fp level)
{
    if (level == LIFT_FP_DIRTY && l->nearest)
        level = LIFT_FP_NEAREST;
    if (l->fp_level >= level)
        return;
    ir_fp_guard(&l->ir, level, LIFT_LEAVE_INTERPRET);
    l->fp_level = level;
}

/* An operand; guards come before all operands. */
static ir_value lift_fs(struct lift *l, u32 r, u32 width)
{
    if (width == 32 && !(l->fp_boxed >> r & 1)) {
        ir_value high = BINARY(SAR, ir_get(&l->ir, FREG_SLOT(r)), CONST(32));
        ir_control(&l->ir, IR_LEAVE_IF, BINARY(NE, high, CONST(UINT64_MAX)), LIFT_LEAVE_INTERPRET);
        l->fp_boxed |= 1u << r;
    }
    return ir_get(&l->ir, FREG_SLOT(r));
}

/* Operands have been read, and checked, before: the check may leave. */
static void lift_fd(struct lift *l, u64 insn, u32 width, ir_value v)
{
    ir_put(&l->ir, FREG_SLOT(insn_rd(insn)), v);
    l->fp_boxed &= ~(1u << insn_rd(insn));
    if (width < 64)
        l->fp_boxed |= 1u << insn_rd(insn);
}

/* Two operands; one value if they are one register. */
struct lift_pair {
    ir_value a, b;
};

static struct lift_pair lift_fs_pair(struct lift *l, u64 insn, u32 width)
{
    struct lift_pair p;

    p.a = lift_fs(l, insn_rs1(insn), width);
    p.b = insn_rs2(insn) == insn_rs1(insn) ? p.a : lift_fs(l, insn_rs2(insn), width);
    return p;
}

/* Does an rm field ask for rounding to nearest, ties to even? Then the guard is there. */
static bool lift_is_nearest(struct lift *l, u64 rm)
{
    if ((rm & 7) == FP_RNE)
        lift_fp_guard(l, LIFT_FP_DIRTY);
    else if ((rm & 7) == 7 && l->nearest)
        lift_fp_guard(l, LIFT_FP_NEAREST);
    else
        return false;
    return true;
}

static void lift_fp1(struct lift *l, u64 insn, u32 width, u32 opcode)
{
    if (opcode == IR_OPCODES || !lift_is_nearest(l, (u64)insn_imm(insn))) {
        lift_fp_call(l, insn, width);
        return;
    }
    lift_fd(
        l, insn, width,
        ir_fp(&l->ir, (enum ir_opcode)opcode, width / 8, lift_fs(l, insn_rs1(insn), width), 0, 0));
}

static void lift_fp2(struct lift *l, u64 insn, u32 width, u32 opcode, u64 rm)
{
    struct lift_pair p;

    if (opcode == IR_OPCODES || !lift_is_nearest(l, rm)) {
        lift_fp_call(l, insn, width);
        return;
    }
    p = lift_fs_pair(l, insn, width);
    lift_fd(l, insn, width, ir_fp(&l->ir, (enum ir_opcode)opcode, width / 8, p.a, p.b, 0));
}

static void lift_fma(struct lift *l, u64 insn, u32 width, u32 opcode)
{
    u64 imm = (u64)insn_imm(insn);
    struct lift_pair p;
    ir_value c;

    if (width == 16 || !lift_is_nearest(l, imm >> 8)) {
        lift_fp_call(l, insn, width);
        return;
    }
    p = lift_fs_pair(l, insn, width);
    c = lift_fs(l, imm & 31, width);
    lift_fd(l, insn, width, ir_fp(&l->ir, (enum ir_opcode)opcode, width / 8, p.a, p.b, c));
}

static void lift_fsign(struct lift *l, u64 insn, u32 width, enum ir_opcode opcode)
{
    struct lift_pair p;

    if (width == 16) {
        lift_fp_call(l, insn, width);
        return;
    }
    lift_fp_guard(l, LIFT_FP_DIRTY);
    p = lift_fs_pair(l, insn, width);
    lift_fd(l, insn, width, ir_fp(&l->ir, opcode, width / 8, p.a, p.b, 0));
}

static void lift_rd(struct lift *l, u64 insn, ir_value v);

static void lift_fcompare(struct lift *l, u64 insn, u32 width, u32 opcode)
{
    struct lift_pair p;

    if (opcode == IR_OPCODES) {
        lift_fp_call(l, insn, 0);
        return;
    }
    lift_fp_guard(l, LIFT_FP_DIRTY);
    p = lift_fs_pair(l, insn, width);
    lift_rd(l, insn, ir_fp(&l->ir, (enum ir_opcode)opcode, width / 8, p.a, p.b, 0));
}

static void lift_to_int(struct lift *l, u64 insn, u32 width, u32 opcode)
{
    static const enum ir_round rounds[] = {
        [FP_RTZ] = IR_ROUND_ZERO, [FP_RDN] = IR_ROUND_DOWN, [FP_RUP] = IR_ROUND_UP};
    u32 rm = insn_imm(insn) & 7;
    enum ir_round round = IR_ROUND_NEAREST;
    bool is_signed = opcode == IR_FTOS32 || opcode == IR_FTOS64;

    if (opcode == IR_OPCODES || (!is_signed && rm != FP_RTZ) || rm == FP_RMM ||
        (rm > FP_RMM && !lift_is_nearest(l, rm))) {
        lift_fp_call(l, insn, 0);
        return;
    }
    lift_fp_guard(l, LIFT_FP_DIRTY);
    if (rm < FP_RMM)
        round = rounds[rm];
    lift_rd(l, insn,
            ir_fp_round(&l->ir, (enum ir_opcode)opcode, width / 8,
                        lift_fs(l, insn_rs1(insn), width), round));
}

/* Before the operand, as all guards; false: it is run_insn's, which reads an x register. */
static bool lift_may_convert_int(struct lift *l, u64 insn, u32 width, u32 opcode)
{
    if (opcode != IR_OPCODES && lift_is_nearest(l, (u64)insn_imm(insn)))
        return true;
    lift_fp_call(l, insn, width);
    l->apart = false;
    return false;
}

static void lift_from_int(struct lift *l, u64 insn, u32 width, u32 opcode, ir_value v)
{
    lift_fd(l, insn, width, ir_fp(&l->ir, (enum ir_opcode)opcode, width / 8, v, 0, 0));
}

static void lift_convert(struct lift *l, u64 insn, u32 from, u32 to, u32 opcode)
{
    if (opcode == IR_OPCODES || !lift_is_nearest(l, (u64)insn_imm(insn))) {
        lift_fp_call(l, insn, to);
        return;
    }
    lift_fd(l, insn, to,
            ir_fp(&l->ir, (enum ir_opcode)opcode, 8, lift_fs(l, insn_rs1(insn), from), 0, 0));
}

/* Bits from memory or an integer register. */
static void lift_fbits(struct lift *l, u64 insn, u32 width, ir_value v)
{
    if (width == 32)
        v = ir_fp(&l->ir, IR_FBOX, 4, v, 0, 0);
    else if (width == 16)
        v = BINARY(OR, v, CONST(~UINT64_C(0) << 16));
    lift_fd(l, insn, width, v);
}

/* A CSR instruction on fflags: isless() and its kin save and restore them. */
static enum lift_end lift_fflags(struct lift *l, u64 insn)
{
    enum op op = insn_op(insn);
    bool by_number = op == OP_csrrwi || op == OP_csrrsi || op == OP_csrrci;
    bool swaps = op == OP_csrrw || op == OP_csrrwi;
    ir_value old = 0, v;

    lift_fp_guard(l, swaps || insn_rs1(insn) ? LIFT_FP_DIRTY : LIFT_FP_ON);
    if (!swaps || insn_rd(insn) != REG_SINK)
        old = ir_fp(&l->ir, IR_FXGET, 0, 0, 0, 0);
    if (swaps || insn_rs1(insn)) {
        v = by_number ? CONST(insn_rs1(insn)) : lift_rs(l, insn_rs1(insn));
        if (op == OP_csrrs || op == OP_csrrsi)
            v = BINARY(OR, old, v);
        else if (!swaps)
            v = BINARY(AND, old, UNARY(NOT, v));
        ir_control(&l->ir, IR_FXSET, BINARY(AND, v, CONST(31)), 0);
    }
    if (!swaps || insn_rd(insn) != REG_SINK)
        lift_rd(l, insn, old);
    return LIFT_GOES_ON;
}

#define FP_LOAD(w, addr)                          \
    do {                                          \
        lift_fp_guard(l, LIFT_FP_DIRTY);          \
        lift_fbits(l, insn, w, LOAD(u##w, addr)); \
    } while (0)
#define FP_STORE(w, addr)                                             \
    do {                                                              \
        lift_fp_guard(l, LIFT_FP_ON);                                 \
        STORE(u##w, addr, ir_get(&l->ir, FREG_SLOT(insn_rs2(insn)))); \
    } while (0)
#define FP_MOVE_TO_INT(w)                                          \
    do {                                                           \
        lift_fp_guard(l, LIFT_FP_ON);                              \
        RD(NARROW_##w(ir_get(&l->ir, FREG_SLOT(insn_rs1(insn))))); \
    } while (0)
#define FP_MOVE_FROM_INT(w)                     \
    do {                                        \
        lift_fp_guard(l, LIFT_FP_DIRTY);        \
        lift_fbits(l, insn, w, WIDEN_##w(RS1)); \
    } while (0)
#define NARROW_16(v)    SX16(v)
#define NARROW_32(v)    SX32(v)
#define NARROW_64(v)    (v)
#define WIDEN_16(v)     ZX16(v)
#define WIDEN_32(v)     (v)
#define WIDEN_64(v)     (v)
#define SIGN_COPY       IR_FSIGN
#define SIGN_NEGATE     IR_FSIGNN
#define SIGN_XOR        IR_FSIGNX
#define FP_SIGN(w, how) lift_fsign(l, insn, w, how)
#define FP1_RM(w, fn)   lift_fp1(l, insn, w, LIFT_##fn)
#define FP2_RM(w, fn)   lift_fp2(l, insn, w, LIFT_##fn, (u64)insn_imm(insn))
#define FP2(w, fn)      lift_fp2(l, insn, w, LIFT_##fn, FP_RNE)
#define FP_FMA(w, np, na) \
    lift_fma(l, insn, w, (np) ? (na) ? IR_FNMS : IR_FNMA : (na) ? IR_FMS : IR_FMA)
#define FP_CONVERT(from, to, fn) lift_convert(l, insn, from, to, LIFT_##fn)
#define FP_COMPARE(w, fn)        lift_fcompare(l, insn, w, LIFT_##fn)
#define FP_TO_INT(w, fn)         lift_to_int(l, insn, w, LIFT_##fn)
#define FP_FROM_INT(w, fn, type)                                    \
    do {                                                            \
        if (lift_may_convert_int(l, insn, w, LIFT_##fn))            \
            lift_from_int(l, insn, w, LIFT_##fn, FROM_##type(RS1)); \
    } while (0)
#define FROM_s32(v)     SX32(v)
#define FROM_u32(v)     ZX32(v)
#define FROM_s64(v)     (v)
#define FROM_u64(v)     (v)
#define FP_CLASS(w, fn) lift_fp_call(l, insn, 0)
#define FP_TO_INT_MOD   lift_fp_call(l, insn, 0)
#define FP_CONSTANT(w, fn)                                                                \
    do {                                                                                  \
        lift_fp_guard(l, LIFT_FP_DIRTY);                                                  \
        lift_fd(l, insn, w,                                                               \
                CONST(fn(insn_rs1(insn)) | ((w) < 64 ? ~UINT64_C(0) << ((w) % 64) : 0))); \
    } while (0)

#endif
