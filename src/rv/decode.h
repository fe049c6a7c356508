/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Decoder: instruction bits to a record of one 64-bit word, which the interpreter caches, a lifter
 * reads and the disassembler prints. Compressed instructions become their base instruction.
 *
 *   63            40 39   32 31   24 23   16 15        1   0
 *   | imm (signed)  |  rs2  |  rs1  |  rd   | operation | C |
 *
 * imm: the immediate as the format has it: I, S, B, J: sign-extended bytes; U: the 20 upper bits;
 * shifts: the amount; CSR: the number; FENCE: pred << 4 | succ; floating point: the rm field, for
 * the four-operand ones rs3 | rm << 8. An integer rd of x0 becomes REG_SINK. C: compressed.
 * A record of 0 is "not decoded yet".
 */
#ifndef COSM_RV_DECODE_H
#define COSM_RV_DECODE_H

#include "rv/hart.h"

enum op {
    OP_UNDECODED,
    OP_ILLEGAL,    /* bits 47..16: the instruction's bits */
    OP_PAGE_END,   /* past a page's last halfword: continue on the next page */
    OP_CROSS,      /* its second half lies on the next page: fetched and decoded each time */
    OP_BREAKPOINT, /* a debugger's breakpoint may lie here */
#define INSN(id, ...)  OP_##id,
#define INSNC(id, ...) OP_##id,
#define CINSN(...)
#include "spec/riscv.def"
#undef INSN
#undef INSNC
#undef CINSN
    OP_COUNT
};

static inline enum op insn_op(u64 insn)
{
    return (enum op)((insn & 0xffff) >> 1);
}

/* Length in bytes. */
static inline unsigned insn_len(u64 insn)
{
    return insn & 1 ? 2 : 4;
}

static inline unsigned insn_rd(u64 insn)
{
    return insn >> 16 & 0xff;
}

static inline unsigned insn_rs1(u64 insn)
{
    return insn >> 24 & 0xff;
}

static inline unsigned insn_rs2(u64 insn)
{
    return insn >> 32 & 0xff;
}

/* Does a JALR return, as compilers have it? */
static inline bool insn_is_return(u64 insn)
{
    return insn_rd(insn) == REG_SINK && (insn_rs1(insn) == 1 || insn_rs1(insn) == 5);
}

static inline s64 insn_imm(u64 insn)
{
    return (s64)insn >> 40;
}

/* Of a FENCE's immediate: does it order a store before a load, as hosts' accesses alone may not? */
static inline bool insn_orders_all(u64 imm)
{
    return !imm || ((imm >> 4 & 5) && (imm & 10));
}

/* The bits of an OP_ILLEGAL record. */
static inline u32 insn_illegal_bits(u64 insn)
{
    return (u32)(insn >> 16);
}

/* Is raw (its low 16 bits suffice) a 4-byte instruction? */
static inline bool insn_is_long(u32 raw)
{
    return (raw & 3) == 3;
}

/* Decodes raw (upper half ignored if compressed) for a hart with these extensions. */
u64 decode(const struct isa *isa, u32 raw);

#endif
