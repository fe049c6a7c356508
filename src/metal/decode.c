/* SPDX-License-Identifier: BSD-2-Clause */
/* Decodes loads and stores of RV64I and RV64C. */
#include "metal/decode.h"

#define OPCODE_LOAD  0x03
#define OPCODE_STORE 0x23

static u32 bits(u32 insn, u32 lo, u32 len)
{
    return insn >> lo & ((1u << len) - 1);
}

static bool decode_full(u32 insn, u32 length, struct access *a)
{
    u32 opcode = insn & 0x7f, size = bits(insn, 12, 3);

    a->length = length;
    a->width = 1u << (size & 3);
    a->is_signed = !(size & 4);
    a->write = opcode == OPCODE_STORE;
    a->reg = bits(insn, a->write ? 20 : 7, 5);
    if (opcode == OPCODE_LOAD)
        return size != 7;
    return opcode == OPCODE_STORE && size < 4;
}

/* C.LW, C.LD, C.SW, C.SD and their forms relative to sp. */
static bool decode_compressed(u32 insn, struct access *a)
{
    u32 quadrant = insn & 3, function = bits(insn, 13, 3);

    a->length = 2;
    a->is_signed = true;
    a->width = function & 1 ? 8 : 4;
    a->write = function & 4;
    if ((function & 3) < 2) /* and with 3 = 2: words, 3: doubles; others are FP or no access */
        return false;
    if (quadrant == 0)
        a->reg = 8 + bits(insn, 2, 3);
    else if (quadrant == 2)
        a->reg = bits(insn, a->write ? 2 : 7, 5);
    else
        return false;
    return true;
}

bool decode_access(u32 insn, struct access *access)
{
    if ((insn & 3) == 3)
        return decode_full(insn, 4, access);
    return decode_compressed(insn, access);
}

bool decode_transformed(u32 insn, struct access *access)
{
    return insn & 1 && decode_full(insn | 2, insn & 2 ? 4 : 2, access);
}
