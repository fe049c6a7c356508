/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Integer loads and stores of RV64I, RV64C and Zcb, as far as a guest may use them on emulated
 * registers. Inline: every emulated access goes through here.
 */
#ifndef COSM_METAL_DECODE_H
#define COSM_METAL_DECODE_H

#include "base/types.h"

struct access {
    u32 width;  /* bytes: 1, 2, 4, 8 */
    u32 reg;    /* x register that is stored or loaded */
    u32 length; /* of the instruction, bytes: 2 or 4 */
    bool write;
    bool is_signed;
};

#define DECODE_LOAD  0x03
#define DECODE_STORE 0x23

static inline u32 decode_bits(u32 insn, u32 lo, u32 len)
{
    return insn >> lo & ((1u << len) - 1);
}

static inline bool decode_full(u32 insn, u32 length, struct access *a)
{
    u32 opcode = insn & 0x7f, size = decode_bits(insn, 12, 3);

    a->length = length;
    a->width = 1u << (size & 3);
    a->is_signed = !(size & 4);
    a->write = opcode == DECODE_STORE;
    a->reg = decode_bits(insn, a->write ? 20 : 7, 5);
    if (opcode == DECODE_LOAD)
        return size != 7;
    return opcode == DECODE_STORE && size < 4;
}

/* C.LBU, C.LHU, C.LH, C.SB, C.SH (Zcb). */
static inline bool decode_short(u32 insn, struct access *a)
{
    u32 function = decode_bits(insn, 10, 3);
    bool is_half = function & 1, bit6 = insn & 0x40;

    a->length = 2;
    a->width = is_half ? 2 : 1;
    a->write = function & 2;
    a->is_signed = is_half && bit6;
    a->reg = 8 + decode_bits(insn, 2, 3);
    return function < 4 && !(a->write && a->is_signed);
}

/* C.LW, C.LD, C.SW, C.SD and their forms relative to sp. */
static inline bool decode_compressed(u32 insn, struct access *a)
{
    u32 quadrant = insn & 3, function = decode_bits(insn, 13, 3);

    a->length = 2;
    a->is_signed = true;
    a->width = function & 1 ? 8 : 4;
    a->write = function & 4;
    if ((function & 3) < 2) /* and with 3 = 2: words, 3: doubles; others are FP or no access */
        return function == 4 && quadrant == 0 && decode_short(insn, a);
    if (quadrant == 0)
        a->reg = 8 + decode_bits(insn, 2, 3);
    else if (quadrant == 2)
        a->reg = decode_bits(insn, a->write ? 2 : 7, 5);
    else
        return false;
    return true;
}

/* Of an instruction's bits, 16-bit ones in the low half of which the high one may hold anything.
 * False: it is no plain load or store. */
static inline bool decode_access(u32 insn, struct access *access)
{
    if ((insn & 3) == 3)
        return decode_full(insn, 4, access);
    return decode_compressed(insn, access);
}

/*
 * Of htinst when it is not 0: a load or store made 32 bits long, whose bit 1 is 0 if it was a
 * compressed one (Privileged Architecture, "Transformed Standard Instruction"). False: another
 * instruction, or an access of the walk of page tables.
 */
static inline bool decode_transformed(u32 insn, struct access *access)
{
    return insn & 1 && decode_full(insn | 2, insn & 2 ? 4 : 2, access);
}

/*
 * LW and C.LW alone, the loads of most drivers, but into x0: the register, and the instruction's
 * length. 0: another one. insn is as for decode_transformed if it is transformed, else as for
 * decode_access.
 */
static inline u64 decode_word_load(u32 insn, bool transformed, u32 *length)
{
    *length = 4;
    if ((insn & 0x707f) == 0x2003)
        return decode_bits(insn, 7, 5);
    *length = 2;
    if (transformed)
        return (insn & 0x707f) == 0x2001 ? decode_bits(insn, 7, 5) : 0;
    return (insn & 0xe003) == 0x4000 ? 8 + decode_bits(insn, 2, 3) : 0;
}

#endif
