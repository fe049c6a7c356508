/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words of floating point in spec/riscv.def for rv/lift.c, and what rv/lift_fp.c does of them.
 *
 * Inline is what the host does as RISC-V does: binary32 and binary64 where the mode of rounding is
 * frm's and the host has it, and conversions to integers in any mode. The rest is run_insn's. An
 * operand of binary32 must be boxed; that is looked at once a block, and if it is not so, the
 * interpreter does the instruction.
 */
#ifndef COSM_RV_LIFT_FP_H
#define COSM_RV_LIFT_FP_H

#include "rv/csr.h"
#include "rv/lift.h"
#include "rv/softfp.h"

/* State beyond the x registers, by its distance from them. */
#define SLOT(member) ((u32)((offsetof(struct hart, member) - offsetof(struct hart, x)) / 8))

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

/* lift.c: an operand in an x register; a result. */
ir_value lift_rs(struct lift *l, unsigned r);
void lift_rd(struct lift *l, u64 insn, ir_value v);

/* Guards come before all operands. */
void lift_fp_call(struct lift *l, u64 insn, u32 width);
void lift_fp_guard(struct lift *l, enum lift_fp level);
void lift_fd(struct lift *l, u64 insn, u32 width, ir_value v);
void lift_fp1(struct lift *l, u64 insn, u32 width, u32 opcode);
void lift_fp2(struct lift *l, u64 insn, u32 width, u32 opcode);
void lift_fp2_exact(struct lift *l, u64 insn, u32 width, u32 opcode);
void lift_fma(struct lift *l, u64 insn, u32 width, u32 opcode);
void lift_fsign(struct lift *l, u64 insn, u32 width, enum ir_opcode opcode);
void lift_fcompare(struct lift *l, u64 insn, u32 width, u32 opcode);
void lift_fclass(struct lift *l, u64 insn, u32 width);
void lift_to_int(struct lift *l, u64 insn, u32 width, u32 opcode);
bool lift_may_convert_int(struct lift *l, u64 insn, u32 width, u32 opcode);
void lift_from_int(struct lift *l, u64 insn, u32 width, u32 opcode, ir_value v);
void lift_convert(struct lift *l, u64 insn, u32 from, u32 to, u32 opcode);
void lift_fbits(struct lift *l, u64 insn, u32 width, ir_value v);
enum lift_end lift_fflags(struct lift *l, u64 insn);

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
#define FP2_RM(w, fn)   lift_fp2(l, insn, w, LIFT_##fn)
#define FP2(w, fn)      lift_fp2_exact(l, insn, w, LIFT_##fn)
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
#define FP_CLASS(w, fn) lift_fclass(l, insn, w)
#define FP_TO_INT_MOD   lift_fp_call(l, insn, 0)
#define FP_CONSTANT(w, fn)                                                                \
    do {                                                                                  \
        lift_fp_guard(l, LIFT_FP_DIRTY);                                                  \
        lift_fd(l, insn, w,                                                               \
                CONST(fn(insn_rs1(insn)) | ((w) < 64 ? ~UINT64_C(0) << ((w) % 64) : 0))); \
    } while (0)

#endif
