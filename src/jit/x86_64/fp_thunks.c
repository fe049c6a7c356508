/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared code for floating point: registers and exception flags to and from the state, constants.
 */
#include "jit/x86_64/backend.h"

#include "base/assert.h"

#define MXCSR_DEFAULT 0x1f80u
#define MXCSR_FLAGS   0x3f /* bit 1, "denormal operand", is nothing that anyone asks for */
#define MXCSR_ROUND   13   /* where enum jit_fp_round has its place */

static struct rm slot(const struct jit_backend *b, u32 i)
{
    return state_rm(b->layout.slot + 8 * (s32)b->pinned_fp[i]);
}

/* Below the stack pointer, where nothing is and signals do not go. */
static struct rm red_zone(void)
{
    return rm_mem(RSP, -8);
}

void emit_fp_flags(const struct jit_backend *b, struct code *c, enum reg to, enum reg scratch)
{
    emit_stmxcsr(c, red_zone());
    emit_op(c, false, 0x0fb6, to, red_zone()); /* MOVZX */
    emit_alu_imm(c, false, ALU_AND, rm_reg(to), MXCSR_FLAGS);
    emit_lea_near(c, scratch, b->fp_flag_table);
    emit_load_indexed(c, to, scratch, to, 0, 1, false);
}

void emit_fp_clear_unless(struct code *c, enum reg present, enum reg flags)
{
    u8 *skip;

    emit_vex(c, VEX_0F38, 0xf2, flags, present, rm_reg(flags)); /* ANDN */
    skip = emit_jcc_short(c, CC_E);
    emit_alu_imm(c, false, ALU_AND, red_zone(), ~MXCSR_FLAGS);
    emit_ldmxcsr(c, red_zone());
    ASSERT(short_end(c, skip));
}

/* If layout.fp_round is not the default, MXCSR becomes so, or the default again; no exceptions. */
static void emit_fp_round(const struct jit_backend *b, struct code *c, enum reg scratch)
{
    u8 *skip;

    emit_mov32(c, scratch, state_rm(b->layout.fp_round));
    emit_test(c, scratch, scratch);
    skip = emit_jcc_short(c, CC_E);
    emit_shift_imm(c, false, SHIFT_SHL, scratch, MXCSR_ROUND);
    emit_alu_imm(c, false, ALU_OR, rm_reg(scratch), MXCSR_DEFAULT);
    emit_op(c, false, 0x89, scratch, red_zone());
    emit_ldmxcsr(c, red_zone());
    ASSERT(short_end(c, skip));
}

static void emit_fp_unround(const struct jit_backend *b, struct code *c)
{
    u8 *skip;

    emit_alu_imm(c, false, ALU_CMP, state_rm(b->layout.fp_round), JIT_FP_NEAREST);
    skip = emit_jcc_short(c, CC_E);
    emit_ldmxcsr_near(c, fp_constant(b, FP_MXCSR));
    ASSERT(short_end(c, skip));
}

void emit_fp_out(const struct jit_backend *b, struct code *c, enum reg scratch, enum reg other)
{
    u8 *skip;

    emit_alu_imm(c, false, ALU_CMP, state_rm(b->layout.fp_live), 0);
    emit_jcc(c, CC_E, NULL);
    skip = c->at;
    for (u32 i = 0; i < b->pinned_fp_count; i++)
        emit_store(c, slot(b, i), (enum reg)(PINNED_FP_FIRST + i));
    emit_fp_flags(b, c, scratch, other);
    emit_op(c, false, 0x09, scratch, state_rm(b->layout.fp_flags)); /* OR */
    emit_fp_unround(b, c);
    patch_rel(skip, c->at);
}

/* The slots' registers. MXCSR may show no exceptions but those that the state has, too. */
static void load_all(const struct jit_backend *b, struct code *c)
{
    for (u32 i = 0; i < b->pinned_fp_count; i++)
        emit_mov(c, (enum reg)(PINNED_FP_FIRST + i), slot(b, i));
    emit_fp_flags(b, c, RCX, R11);
    emit_mov32(c, R11, state_rm(b->layout.fp_flags));
    emit_fp_clear_unless(c, R11, RCX);
    emit_fp_round(b, c, RCX);
}

void emit_fp_in(const struct jit_backend *b, struct code *c)
{
    u8 *skip;

    emit_alu_imm(c, false, ALU_CMP, state_rm(b->layout.fp_live), 0);
    emit_jcc(c, CC_E, NULL);
    skip = c->at;
    load_all(b, c);
    patch_rel(skip, c->at);
}

static void emit_fp_open(struct jit_backend *b, struct code *c)
{
    u8 *live, *refused;

    b->fp_open = c->at;
    emit_alu_imm(c, false, ALU_CMP, state_rm(b->layout.fp_live), 0);
    emit_jcc(c, CC_NE, NULL);
    live = c->at;
    emit_mov32(c, RAX, state_rm(b->layout.fp_level));
    emit_test(c, RAX, RAX);
    emit_jcc(c, CC_E, NULL);
    refused = c->at;
    emit_op(c, false, 0x89, RAX, state_rm(b->layout.fp_live));
    load_all(b, c);
    patch_rel(live, c->at);
    patch_rel(refused, c->at);
    emit_ret(c);
}

/*
 * Infinity times zero is invalid even if a quiet NaN is added; the host leaves that open (Intel
 * SDM, volume 1, "FMA instruction numeric behavior"). Magnitudes are compared with the sign shifted
 * out.
 */
static const u8 *emit_fma_nan(struct jit_backend *b, struct code *c, u32 shift, u64 infinity)
{
    const u8 *start = c->at;
    u8 *a_infinite, *b_infinite, *not_zero;

    emit_shift_imm(c, true, SHIFT_SHL, RAX, shift);
    emit_shift_imm(c, true, SHIFT_SHL, RCX, shift);
    emit_mov_imm(c, RDX, infinity);
    emit_alu(c, ALU_CMP, RAX, rm_reg(RDX));
    a_infinite = emit_jcc_short(c, CC_E);
    emit_alu(c, ALU_CMP, RCX, rm_reg(RDX));
    b_infinite = emit_jcc_short(c, CC_E);
    emit_ret(c);
    ASSERT(short_end(c, a_infinite));
    emit_mov(c, RAX, rm_reg(RCX));
    ASSERT(short_end(c, b_infinite));
    emit_test(c, RAX, RAX);
    not_zero = emit_jcc_short(c, CC_NE);
    /* Invalid, by an ordered comparison of a NaN. */
    emit_vex_near(c, VEX_F2, 0x10, XMM0, 0, fp_constant(b, FP_NAN64));
    emit_vex(c, VEX_66, 0x2f, XMM0, 0, rm_reg(XMM0));
    ASSERT(short_end(c, not_zero));
    emit_ret(c);
    return start;
}

static void emit_constants(struct jit_backend *b, struct code *c)
{
    static const u64 box = UINT64_C(0xffffffff00000000);
    const u64 constant[FP_CONSTANTS] = {
        [FP_NAN64] = UINT64_C(0x7ff8000000000000),
        [FP_NAN32] = box | 0x7fc00000,
        [FP_SIGN64] = UINT64_C(1) << 63,
        [FP_SIGN32] = UINT64_C(1) << 31,
        [FP_OTHER64] = ~(UINT64_C(1) << 63),
        [FP_OTHER32] = ~(UINT64_C(1) << 31),
        [FP_BOX] = box,
        [FP_MINUS_ONE64] = UINT64_C(0xbff0000000000000),
        [FP_MINUS_ONE32] = 0xbf800000,
        [FP_TWO_32_64] = UINT64_C(0x41f0000000000000),
        [FP_TWO_32_32] = 0x4f800000,
        [FP_TWO_63_64] = UINT64_C(0x43e0000000000000),
        [FP_TWO_63_32] = 0x5f000000,
        [FP_TWO_64_64] = UINT64_C(0x43f0000000000000),
        [FP_TWO_64_32] = 0x5f800000,
        [FP_MXCSR] = MXCSR_DEFAULT,
    };

    while ((uintptr_t)c->at & 15)
        emit8(c, 0xcc);
    b->fp_constants = c->at;
    for (u32 i = 0; i < FP_CONSTANTS; i++) {
        emit64(c, constant[i]);
        emit64(c, 0);
    }
    b->fp_flag_table = c->at;
    for (u32 mxcsr = 0; mxcsr <= MXCSR_FLAGS; mxcsr++) {
        const u8 *flag = b->layout.fp_flag;
        emit8(c, (mxcsr & 1 ? flag[JIT_FP_INVALID] : 0) | (mxcsr & 4 ? flag[JIT_FP_DIVIDE] : 0) |
                     (mxcsr & 8 ? flag[JIT_FP_OVERFLOW] : 0) |
                     (mxcsr & 16 ? flag[JIT_FP_UNDERFLOW] : 0) |
                     (mxcsr & 32 ? flag[JIT_FP_INEXACT] : 0));
    }
}

void fp_thunks_emit(struct jit_backend *b, struct code *c)
{
    emit_constants(b, c);
    emit_fp_open(b, c);
    b->fma_nan64 = emit_fma_nan(b, c, 1, UINT64_C(0x7ff0000000000000) << 1);
    b->fma_nan32 = emit_fma_nan(b, c, 33, UINT64_C(0x7f800000) << 33);
}
