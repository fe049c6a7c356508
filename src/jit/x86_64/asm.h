/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * x86-64 instruction encoding: the forms that the back end uses, one function a form.
 * Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2.
 */
#ifndef COSM_JIT_X86_64_ASM_H
#define COSM_JIT_X86_64_ASM_H

#include "base/endian.h"

#include <string.h>

enum reg {
    RAX,
    RCX,
    RDX,
    RBX,
    RSP,
    RBP,
    RSI,
    RDI,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
    XMM0, /* in VEX-encoded instructions of SSE kind; emit_mov and its kin take both kinds */
    XMM1,
    XMM2,
    XMM3,
    XMM15 = XMM0 + 15,
    NO_REG = 0xff,
};

static inline bool is_xmm(u32 reg)
{
    return reg >= XMM0 && reg <= XMM15;
}

/* Condition codes as in Jcc, SETcc and CMOVcc. */
enum cond {
    CC_O = 0,
    CC_B = 2,
    CC_AE = 3,
    CC_E = 4,
    CC_NE = 5,
    CC_BE = 6,
    CC_A = 7,
    CC_S = 8,
    CC_NS = 9,
    CC_P = 10,
    CC_NP = 11,
    CC_L = 12,
    CC_GE = 13,
    CC_LE = 14,
    CC_G = 15
};

/* Opcodes of the ALU group: reg op= r/m is op | 3; the immediate forms take op >> 3. */
enum alu {
    ALU_ADD = 0x00,
    ALU_OR = 0x08,
    ALU_AND = 0x20,
    ALU_SUB = 0x28,
    ALU_XOR = 0x30,
    ALU_CMP = 0x38
};

/* /n of the shift group. */
enum shift { SHIFT_ROL = 0, SHIFT_ROR = 1, SHIFT_SHL = 4, SHIFT_SHR = 5, SHIFT_SAR = 7 };

/* Where code goes. The caller keeps room: no instruction is longer than 15 bytes. */
struct code {
    u8 *at;
};

static inline void emit8(struct code *c, u32 v)
{
    *c->at++ = (u8)v;
}

static inline void emit32(struct code *c, u32 v)
{
    le32_store(c->at, v);
    c->at += 4;
}

static inline void emit64(struct code *c, u64 v)
{
    le64_store(c->at, v);
    c->at += 8;
}

/* An operand in a register or in memory at [base + disp]. */
struct rm {
    bool memory;
    u8 reg; /* or base */
    s32 disp;
};

static inline struct rm rm_reg(enum reg reg)
{
    return (struct rm){false, (u8)reg, 0};
}

static inline struct rm rm_mem(enum reg base, s32 disp)
{
    return (struct rm){true, (u8)base, disp};
}

static inline void emit_modrm(struct code *c, u32 reg, struct rm rm)
{
    if (!rm.memory) {
        emit8(c, 0xc0 | (reg & 7) << 3 | (rm.reg & 7));
        return;
    }
    if (rm.disp >= -128 && rm.disp < 128) {
        emit8(c, 0x40 | (reg & 7) << 3 | (rm.reg & 7));
        if ((rm.reg & 7) == RSP)
            emit8(c, 0x24);
        emit8(c, (u8)rm.disp);
        return;
    }
    emit8(c, 0x80 | (reg & 7) << 3 | (rm.reg & 7));
    if ((rm.reg & 7) == RSP)
        emit8(c, 0x24);
    emit32(c, (u32)rm.disp);
}

static inline void emit_rex(struct code *c, bool wide, u32 reg, u32 index, u32 base, bool always)
{
    u32 rex = 0x40 | (wide ? 8 : 0) | (reg >> 3 & 1) << 2 | (index >> 3 & 1) << 1 | (base >> 3 & 1);

    if (rex != 0x40 || always)
        emit8(c, rex);
}

/* opcode (up to three bytes, 0x0f.. escapes included) reg, r/m. */
static inline void emit_op(struct code *c, bool wide, u32 opcode, u32 reg, struct rm rm)
{
    emit_rex(c, wide, reg, 0, rm.reg, false);
    if (opcode > 0xffff)
        emit8(c, opcode >> 16);
    if (opcode > 0xff)
        emit8(c, opcode >> 8 & 0xff);
    emit8(c, opcode & 0xff);
    emit_modrm(c, reg, rm);
}

/* The same with a mandatory prefix (F3 for POPCNT, LZCNT, TZCNT). */
static inline void emit_op_prefix(struct code *c, u32 prefix, u32 opcode, u32 reg, struct rm rm)
{
    emit8(c, prefix);
    emit_op(c, true, opcode, reg, rm);
}

/* What stands before a VEX-encoded opcode: implied prefix, opcode map, W. */
enum vex {
    VEX_NONE = 0,
    VEX_66 = 1,
    VEX_F3 = 2,
    VEX_F2 = 3,
    VEX_PP = 3,
    VEX_0F38 = 1 << 2, /* else 0F */
    VEX_0F3A = 2 << 2,
    VEX_W = 1 << 4,
};

static inline void emit_vex_prefix(struct code *c, u32 vex, u32 reg, u32 second, u32 index,
                                   u32 base)
{
    u32 r = ~reg >> 3 & 1, x = ~index >> 3 & 1, b = ~base >> 3 & 1, vvvv = ~second & 15;

    if (x && b && !(vex & ~(u32)VEX_PP)) {
        emit8(c, 0xc5);
        emit8(c, r << 7 | vvvv << 3 | vex);
        return;
    }
    emit8(c, 0xc4);
    emit8(c, r << 7 | x << 6 | b << 5 | ((vex >> 2 & 3) + 1));
    emit8(c, (vex & VEX_W ? 0x80 : 0) | vvvv << 3 | (vex & VEX_PP));
}

/* reg = second op r/m; no second operand: 0. */
static inline void emit_vex(struct code *c, u32 vex, u32 opcode, u32 reg, u32 second, struct rm rm)
{
    emit_vex_prefix(c, vex, reg, second, 0, rm.reg);
    emit8(c, opcode);
    emit_modrm(c, reg, rm);
}

/* The same with an operand in memory at `from`, in the buffer. */
static inline void emit_vex_near(struct code *c, u32 vex, u32 opcode, u32 reg, u32 second,
                                 const u8 *from)
{
    emit_vex_prefix(c, vex, reg, second, 0, 0);
    emit8(c, opcode);
    emit8(c, (reg & 7) << 3 | 5);
    emit32(c, (u32)(from - (c->at + 4)));
}

/* 64 bits from or to an XMM register. */
static inline void emit_mov_xmm(struct code *c, enum reg to, struct rm from)
{
    if (!is_xmm(to))
        emit_vex(c, VEX_66 | VEX_W, 0x7e, from.reg, 0, rm_reg(to)); /* VMOVQ */
    else if (from.memory)
        emit_vex(c, VEX_F2, 0x10, to, 0, from); /* VMOVSD */
    else if (is_xmm(from.reg))
        emit_vex(c, VEX_NONE, 0x28, to, 0, from); /* VMOVAPS */
    else
        emit_vex(c, VEX_66 | VEX_W, 0x6e, to, 0, from);
}

static inline void emit_mov(struct code *c, enum reg to, struct rm from)
{
    if (!from.memory && from.reg == to)
        return;
    if (is_xmm(to) || (!from.memory && is_xmm(from.reg)))
        emit_mov_xmm(c, to, from);
    else
        emit_op(c, true, 0x8b, to, from);
}

static inline void emit_mov32(struct code *c, enum reg to, struct rm from)
{
    emit_op(c, false, 0x8b, to, from);
}

static inline void emit_store(struct code *c, struct rm to, enum reg from)
{
    if (is_xmm(from))
        emit_vex(c, VEX_F2, 0x11, from, 0, to); /* VMOVSD */
    else
        emit_op(c, true, 0x89, from, to);
}

static inline bool fits_s32(u64 v)
{
    return (s64)v == (s32)v;
}

/* Leaves the flags alone. */
static inline void emit_mov_imm(struct code *c, enum reg to, u64 v)
{
    if (v <= UINT32_MAX) {
        emit_rex(c, false, 0, 0, to, false);
        emit8(c, 0xb8 | (to & 7));
        emit32(c, (u32)v);
    } else if (fits_s32(v)) {
        emit_op(c, true, 0xc7, 0, rm_reg(to));
        emit32(c, (u32)v);
    } else {
        emit_rex(c, true, 0, 0, to, false);
        emit8(c, 0xb8 | (to & 7));
        emit64(c, v);
    }
}

/* Stores a sign-extended 32-bit constant as 64 bits. */
static inline void emit_store_imm(struct code *c, struct rm to, s32 v)
{
    emit_op(c, true, 0xc7, 0, to);
    emit32(c, (u32)v);
}

static inline void emit_alu(struct code *c, enum alu op, enum reg to, struct rm from)
{
    emit_op(c, true, (u32)op | 3, to, from);
}

static inline void emit_alu32(struct code *c, enum alu op, enum reg to, struct rm from)
{
    emit_op(c, false, (u32)op | 3, to, from);
}

static inline void emit_alu_imm(struct code *c, bool wide, enum alu op, struct rm to, s32 v)
{
    if (v >= -128 && v < 128) {
        emit_op(c, wide, 0x83, (u32)op >> 3, to);
        emit8(c, (u8)v);
    } else {
        emit_op(c, wide, 0x81, (u32)op >> 3, to);
        emit32(c, (u32)v);
    }
}

static inline void emit_test(struct code *c, enum reg a, enum reg b)
{
    emit_op(c, true, 0x85, a, rm_reg(b));
}

static inline void emit_test32(struct code *c, enum reg a, enum reg b)
{
    emit_op(c, false, 0x85, a, rm_reg(b));
}

static inline void emit_shift_imm(struct code *c, bool wide, enum shift op, enum reg reg, u32 n)
{
    emit_op(c, wide, 0xc1, (u32)op, rm_reg(reg));
    emit8(c, n);
}

/* By CL. */
static inline void emit_shift_cl(struct code *c, bool wide, enum shift op, enum reg reg)
{
    emit_op(c, wide, 0xd3, (u32)op, rm_reg(reg));
}

/* BTC */
static inline void emit_complement_bit(struct code *c, enum reg reg, u32 bit)
{
    emit_op(c, true, 0x0fba, 7, rm_reg(reg));
    emit8(c, bit);
}

/* BMI2: SHLX, SHRX, SARX to, from, amount. */
static inline void emit_shift_reg(struct code *c, enum shift op, enum reg to, struct rm from,
                                  enum reg amount)
{
    u32 pp = op == SHIFT_SHL ? 1 : op == SHIFT_SAR ? 2 : 3;

    emit8(c, 0xc4);
    emit8(c, (~(u32)to >> 3 & 1) << 7 | 0x40 | (~(u32)from.reg >> 3 & 1) << 5 | 2);
    emit8(c, 0x80 | (~(u32)amount & 15) << 3 | pp);
    emit8(c, 0xf7);
    emit_modrm(c, to, from);
}

/* BMI2: to = from, of 64 bits or 32, rotated right by n; the flags stay. */
static inline void emit_rorx_rm(struct code *c, bool wide, enum reg to, struct rm from, u32 n)
{
    emit8(c, 0xc4);
    emit8(c, (~(u32)to >> 3 & 1) << 7 | 0x40 | (~(u32)from.reg >> 3 & 1) << 5 | 3);
    emit8(c, wide ? 0xfb : 0x7b); /* no vvvv, F2 */
    emit8(c, 0xf0);
    emit_modrm(c, to, from);
    emit8(c, n);
}

static inline void emit_rorx(struct code *c, enum reg to, enum reg from, u32 n)
{
    emit_rorx_rm(c, true, to, rm_reg(from), n);
}

/* to = base + index, or base + disp if index is NO_REG. */
static inline void emit_lea(struct code *c, enum reg to, enum reg base, enum reg index, s32 disp)
{
    if (index == NO_REG) {
        emit_op(c, true, 0x8d, to, rm_mem(base, disp));
        return;
    }
    emit_rex(c, true, to, index, base, false);
    emit8(c, 0x8d);
    emit8(c, 0x44 | (to & 7) << 3);
    emit8(c, (index & 7) << 3 | (base & 7));
    emit8(c, (u8)disp);
}

/* to = base + (index << scale) */
static inline void emit_lea_scaled(struct code *c, enum reg to, enum reg base, enum reg index,
                                   u32 scale)
{
    emit_rex(c, true, to, index, base, false);
    emit8(c, 0x8d);
    emit8(c, 0x44 | (to & 7) << 3);
    emit8(c, scale << 6 | (index & 7) << 3 | (base & 7));
    emit8(c, 0);
}

/* to = base + disp, 32 bits of it. */
static inline void emit_lea32(struct code *c, enum reg to, enum reg base, s32 disp)
{
    emit_op(c, false, 0x8d, to, rm_mem(base, disp));
}

/* The operand [base + index + disp], reg beside it. */
static inline void emit_indexed(struct code *c, u32 reg, enum reg base, enum reg index, s32 disp)
{
    bool near = disp >= -128 && disp < 128;

    emit8(c, (near ? 0x44 : 0x84) | (reg & 7) << 3);
    emit8(c, (index & 7) << 3 | (base & 7));
    if (near)
        emit8(c, (u8)disp);
    else
        emit32(c, (u32)disp);
}

/* opcode reg, [base + (index << scale) + disp]; disp is less than 128. */
static inline void emit_op_scaled(struct code *c, bool wide, u32 opcode, u32 reg, enum reg base,
                                  enum reg index, u32 scale, s32 disp)
{
    emit_rex(c, wide, reg, index, base, false);
    emit8(c, opcode);
    emit8(c, 0x44 | (reg & 7) << 3);
    emit8(c, scale << 6 | (index & 7) << 3 | (base & 7));
    emit8(c, (u8)disp);
}

/* The same, or [base + disp] if index is NO_REG. */
static inline void emit_place(struct code *c, u32 reg, enum reg base, enum reg index, s32 disp)
{
    if (index == NO_REG)
        emit_modrm(c, reg, rm_mem(base, disp));
    else
        emit_indexed(c, reg, base, index, disp);
}

/* NO_REG adds nothing to a prefix. */
static inline enum reg prefix_reg(enum reg index)
{
    return index == NO_REG ? RAX : index;
}

/* What follows accesses memory at GS's base beyond what it says. */
static inline void emit_gs(struct code *c)
{
    emit8(c, 0x65);
}

/* VMOVSS or VMOVSD at [base + index + disp]; a load clears the rest of the register. */
static inline void emit_xmm_indexed(struct code *c, u32 opcode, enum reg reg, enum reg base,
                                    enum reg index, s32 disp, u32 size)
{
    emit_vex_prefix(c, size == 8 ? VEX_F2 : VEX_F3, reg, 0, prefix_reg(index), base);
    emit8(c, opcode);
    emit_place(c, reg, base, index, disp);
}

/* MOV, MOVZX or MOVSX of size bytes at [base + index + disp], index NO_REG for none; an XMM
 * register takes 4 or 8. */
static inline void emit_load_indexed(struct code *c, enum reg to, enum reg base, enum reg index,
                                     s32 disp, u32 size, bool extends)
{
    bool wide = size == 8 || extends;

    if (is_xmm(to)) {
        emit_xmm_indexed(c, 0x10, to, base, index, disp, size);
        return;
    }
    emit_rex(c, wide, to, prefix_reg(index), base, false);
    if (size <= 2)
        emit8(c, 0x0f);
    if (size == 1)
        emit8(c, extends ? 0xbe : 0xb6);
    else if (size == 2)
        emit8(c, extends ? 0xbf : 0xb7);
    else
        emit8(c, size == 4 && extends ? 0x63 : 0x8b);
    emit_place(c, to, base, index, disp);
}

static inline void emit_store_indexed(struct code *c, enum reg from, enum reg base, enum reg index,
                                      s32 disp, u32 size)
{
    if (is_xmm(from) && size >= 4) {
        emit_xmm_indexed(c, 0x11, from, base, index, disp, size);
        return;
    }
    if (is_xmm(from)) { /* VPEXTRB, VPEXTRW of the lowest */
        emit_vex_prefix(c, VEX_66 | VEX_0F3A, from, 0, prefix_reg(index), base);
        emit8(c, size == 2 ? 0x15 : 0x14);
        emit_place(c, from, base, index, disp);
        emit8(c, 0);
        return;
    }
    if (size == 2)
        emit8(c, 0x66);
    emit_rex(c, size == 8, from, prefix_reg(index), base, size == 1);
    emit8(c, size == 1 ? 0x88 : 0x89);
    emit_place(c, from, base, index, disp);
}

/* A read-modify-write of 4 or 8 bytes in memory, opcode as for emit_op, sequentially consistent. */
static inline void emit_locked(struct code *c, u32 size, u32 opcode, u32 reg, struct rm rm)
{
    emit8(c, 0xf0);
    emit_op(c, size == 8, opcode, reg, rm);
}

/* 0 or 1 into the whole register; the flags are read first. */
static inline void emit_setcc(struct code *c, enum cond cc, enum reg to)
{
    emit_rex(c, false, 0, 0, to, true);
    emit8(c, 0x0f);
    emit8(c, 0x90 | cc);
    emit8(c, 0xc0 | (to & 7));
    emit_rex(c, false, to, 0, to, true);
    emit8(c, 0x0f);
    emit8(c, 0xb6);
    emit8(c, 0xc0 | (to & 7) << 3 | (to & 7));
}

static inline void emit_cmov(struct code *c, enum cond cc, enum reg to, struct rm from)
{
    emit_op(c, true, 0x0f40 | (u32)cc, to, from);
}

/* Jumps and calls within the buffer: the displacement is 4 bytes and ends the instruction. */
static inline void emit_rel(struct code *c, const u8 *target)
{
    emit32(c, target ? (u32)(target - (c->at + 4)) : 0);
}

static inline void emit_jmp(struct code *c, const u8 *target)
{
    emit8(c, 0xe9);
    emit_rel(c, target);
}

/*
 * A jump whose displacement may change under those who execute it: the displacement is aligned, so
 * that it is written and fetched at once.
 */
static inline void emit_jmp_patched(struct code *c)
{
    while (((uintptr_t)c->at + 1) & 3)
        emit8(c, 0x90);
    emit_jmp(c, NULL);
}

/* One instruction of five bytes, as long as a jump. */
#define NOP5 UINT64_C(0x0000441f0f) /* its bytes, the first one lowest */

static inline void emit_nop5(struct code *c)
{
    emit8(c, NOP5 & 0xff);
    emit32(c, (u32)(NOP5 >> 8));
}

static inline void emit_jcc(struct code *c, enum cond cc, const u8 *target)
{
    emit8(c, 0x0f);
    emit8(c, 0x80 | cc);
    emit_rel(c, target);
}

static inline void emit_call(struct code *c, const u8 *target)
{
    emit8(c, 0xe8);
    emit_rel(c, target);
}

/* Makes the displacement that ends at `after` lead to target. */
static inline void patch_rel(u8 *after, const u8 *target)
{
    le32_store(after - 4, (u32)(target - after));
}

static inline void emit_push(struct code *c, enum reg reg)
{
    emit_rex(c, false, 0, 0, reg, false);
    emit8(c, 0x50 | (reg & 7));
}

static inline void emit_pop(struct code *c, enum reg reg)
{
    emit_rex(c, false, 0, 0, reg, false);
    emit8(c, 0x58 | (reg & 7));
}

static inline void emit_ret(struct code *c)
{
    emit8(c, 0xc3);
}

static inline void emit_jmp_rm(struct code *c, struct rm rm)
{
    emit_op(c, false, 0xff, 4, rm);
}

static inline void emit_call_rm(struct code *c, struct rm rm)
{
    emit_op(c, false, 0xff, 2, rm);
}

/* Conditional jumps forward by less than 128 bytes: short_end makes the jump lead to here. */
static inline u8 *emit_jcc_short(struct code *c, enum cond cc)
{
    emit8(c, 0x70 | cc);
    emit8(c, 0);
    return c->at;
}

static inline u8 *emit_jmp_short(struct code *c)
{
    emit8(c, 0xeb);
    emit8(c, 0);
    return c->at;
}

/* False: it is too far. */
static inline bool short_end(const struct code *c, u8 *after)
{
    after[-1] = (u8)(c->at - after);
    return c->at - after < 128;
}

/* The address of something in the buffer. */
static inline void emit_lea_near(struct code *c, enum reg to, const u8 *at)
{
    emit_rex(c, true, to, 0, 0, false);
    emit8(c, 0x8d);
    emit8(c, ((u32)to & 7) << 3 | 5);
    emit_rel(c, at);
}

static inline void emit_stmxcsr(struct code *c, struct rm to)
{
    emit_op(c, false, 0x0fae, 3, to);
}

static inline void emit_ldmxcsr(struct code *c, struct rm from)
{
    emit_op(c, false, 0x0fae, 2, from);
}

static inline void emit_ldmxcsr_near(struct code *c, const u8 *from)
{
    emit8(c, 0x0f);
    emit8(c, 0xae);
    emit8(c, 2 << 3 | 5);
    emit_rel(c, from);
}

#endif
