/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every line of spec/riscv.def as data, and an encoder: formats as the specification draws them,
 * independent of the decoder's shifts. For tests that make instructions.
 */
#ifndef COSM_TESTS_INSN_H
#define COSM_TESTS_INSN_H

#include "base/assert.h"
#include "base/bits.h"
#include "rv/decode.h"
#include "rv/encoding.h"
#include "tests/random.h"

#include <string.h>

/*
 * How a format lies in the word, highest bit first: '.' fixed; '_' ignored, made 0; '?' free;
 * 0-9a-v: that bit of the immediate; D S T: the five-bit rd, rs1, rs2; B: rd and rs1 alike; X Y Z
 * W: the same in three bits, for x8..x15.
 */
#define FORMATS(F)                                               \
    F(NONE, "................................", 0, 0)            \
    F(R, ".......TTTTTSSSSS...DDDDD.......", 0, 0)               \
    F(R1, "............SSSSS...DDDDD.......", 0, 0)              \
    F(I, "ba9876543210SSSSS...DDDDD.......", 12, 0)              \
    F(SH6, "......543210SSSSS...DDDDD.......", 0, 0)             \
    F(SH5, ".......43210SSSSS...DDDDD.......", 0, 0)             \
    F(LOAD, "ba9876543210SSSSS...DDDDD.......", 12, 0)           \
    F(STORE, "ba98765TTTTTSSSSS...43210.......", 12, 0)          \
    F(B, "ca98765TTTTTSSSSS...4321b.......", 13, 0)              \
    F(U, "jihgfedcba9876543210DDDDD.......", 20, 0)              \
    F(J, "ka987654321bjihgfedcDDDDD.......", 21, 0)              \
    F(JR, "ba9876543210SSSSS...DDDDD.......", 12, 0)             \
    F(CSR, "ba9876543210SSSSS...DDDDD.......", 0, 0)             \
    F(CSRI, "ba9876543210SSSSS...DDDDD.......", 0, 0)            \
    F(AMO, ".....??TTTTTSSSSS...DDDDD.......", 0, 0)             \
    F(LR, ".....??.....SSSSS...DDDDD.......", 0, 0)              \
    F(FENCE, "____76543210_____..._____.......", 0, 0)           \
    F(FENCEI, "_________________..._____.......", 0, 0)          \
    F(SFENCE, ".......TTTTTSSSSS...............", 0, 0)          \
    F(HLV, "............SSSSS...DDDDD.......", 0, 0)             \
    F(HSV, ".......TTTTTSSSSS...............", 0, 0)             \
    F(CBO, "............SSSSS...............", 0, 0)             \
    F(MOPR, ".?..??....??SSSSS...DDDDD.......", 0, 0)            \
    F(MOPRR, ".?..??.TTTTTSSSSS...DDDDD.......", 0, 0)           \
    F(RNUM, "........3210SSSSS...DDDDD.......", 0, 0)            \
    F(BS, "10.....TTTTTSSSSS...DDDDD.......", 0, 0)              \
    F(FLOAD, "ba9876543210SSSSS...DDDDD.......", 12, 0)          \
    F(FSTORE, "ba98765TTTTTSSSSS...43210.......", 12, 0)         \
    F(FR4, "43210..TTTTTSSSSSa98DDDDD.......", 0, 0)             \
    F(FR_RM, ".......TTTTTSSSSS210DDDDD.......", 0, 0)           \
    F(FR1_RM, "............SSSSS210DDDDD.......", 0, 0)          \
    F(FR, ".......TTTTTSSSSS...DDDDD.......", 0, 0)              \
    F(FCMP, ".......TTTTTSSSSS...DDDDD.......", 0, 0)            \
    F(F2X, "............SSSSS...DDDDD.......", 0, 0)             \
    F(F2X_RM, "............SSSSS210DDDDD.......", 0, 0)          \
    F(X2F, "............SSSSS...DDDDD.......", 0, 0)             \
    F(X2F_RM, "............SSSSS210DDDDD.......", 0, 0)          \
    F(FLI, "............SSSSS...DDDDD.......", 0, 0)             \
    F(CIW, "...54987623XXX..", 0, IMM_NOT_0 | RS1_SP)            \
    F(CL4, "...543YYY26XXX..", 0, 0)                             \
    F(CL8, "...543YYY76XXX..", 0, 0)                             \
    F(CL8F, "...543YYY76XXX..", 0, 0)                            \
    F(CLB, "......YYY01XXX..", 0, 0)                             \
    F(CLH, "......YYY.1XXX..", 0, 0)                             \
    F(CSB, "......YYY01ZZZ..", 0, 0)                             \
    F(CSH, "......YYY.1ZZZ..", 0, 0)                             \
    F(CS4, "...543YYY26ZZZ..", 0, 0)                             \
    F(CS8, "...543YYY76ZZZ..", 0, 0)                             \
    F(CS8F, "...543YYY76ZZZ..", 0, 0)                            \
    F(CNOP, "...5.....43210..", 6, 0)                            \
    F(CI, "...5BBBBB43210..", 6, RD_NOT_0)                       \
    F(CI_RD, "...5BBBBB43210..", 6, RD_NOT_0)                    \
    F(CLI, "...5DDDDD43210..", 6, 0)                             \
    F(C16SP, "...9.....46875..", 10, IMM_NOT_0 | RD_SP | RS1_SP) \
    F(CMOP, ".....???........", 0, 0)                            \
    F(CLUI, "...5DDDDD43210..", 6, IMM_NOT_0 | RD_NOT_SP)        \
    F(CSHR, "...5..WWW43210..", 0, 0)                            \
    F(CANDI, "...5..WWW43210..", 6, 0)                           \
    F(CA, "......WWW..ZZZ..", 0, 0)                              \
    F(CU, "......WWW.......", 0, 0)                              \
    F(CU_255, "......WWW.......", 0, 0)                          \
    F(CU_NOT, "......WWW.......", 0, 0)                          \
    F(CJ, "...b498a673215..", 12, 0)                             \
    F(CB, "...843YYY76215..", 9, 0)                              \
    F(CSLL, "...5BBBBB43210..", 0, 0)                            \
    F(CLSP4, "...5DDDDD43276..", 0, RD_NOT_0 | RS1_SP)           \
    F(CLSP8, "...5DDDDD43876..", 0, RD_NOT_0 | RS1_SP)           \
    F(CLSP8F, "...5DDDDD43876..", 0, RS1_SP)                     \
    F(CSSP4, "...543276TTTTT..", 0, RS1_SP)                      \
    F(CSSP8, "...543876TTTTT..", 0, RS1_SP)                      \
    F(CSSP8F, "...543876TTTTT..", 0, RS1_SP)                     \
    F(CJR, "....SSSSS.......", 0, RS1_NOT_0)                     \
    F(CJALR, "....SSSSS.......", 0, RS1_NOT_0 | RD_RA)           \
    F(CMV, "....DDDDDTTTTT..", 0, RS2_NOT_0)                     \
    F(CADD, "....BBBBBTTTTT..", 0, RS2_NOT_0)                    \
    F(CNONE, "................", 0, 0)

/* What a format allows or implies. */
enum {
    IMM_NOT_0 = 1 << 0,
    RD_NOT_0 = 1 << 1,
    RD_NOT_SP = 1 << 2, /* that encoding is another instruction's */
    RS1_NOT_0 = 1 << 3,
    RS2_NOT_0 = 1 << 4,
    RD_SP = 1 << 5,
    RD_RA = 1 << 6,
    RS1_SP = 1 << 7,
};

enum insn_fmt {
#define F(fmt, ...) FMT_##fmt,
    FORMATS(F)
#undef F
};

struct insn_format {
    const char *name, *bits;
    unsigned signed_bits; /* width of a signed immediate; 0: unsigned */
    unsigned rules;
};

static const struct insn_format insn_formats[] = {
#define F(fmt, bits, sign, rules) {#fmt, bits, sign, rules},
    FORMATS(F)
#undef F
};

struct insn_line {
    const char *name, *ext;
    enum op op; /* of a compressed one: of its base */
    enum insn_fmt fmt;
    u32 match, mask;
    bool compressed;
};

static const struct insn_line insn_lines[] = {
#define INSN(id, name, ext, fmt, match, ...) \
    {name, #ext, OP_##id, FMT_##fmt, match, (u32)MASK_##fmt, false},
#define INSNC(...) INSN(__VA_ARGS__)
#define CINSN(name, ext, fmt, match, mask, base) \
    {name, #ext, OP_##base, FMT_##fmt, match, mask, true},
#include "spec/riscv.def"
#undef INSN
#undef INSNC
#undef CINSN
};

struct insn_operands {
    u32 rd, rs1, rs2;
    s64 imm;
    u32 free; /* where '?' stands, in place */
};

static inline const char *insn_bits(const struct insn_line *line)
{
    return insn_formats[line->fmt].bits;
}

static inline unsigned insn_imm_bit(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    return c >= 'a' && c <= 'v' ? (unsigned)(c - 'a' + 10) : 64;
}

/* The bits of the immediate that the format can express. */
static inline u64 insn_imm_mask(const struct insn_line *line)
{
    u64 mask = 0;

    for (const char *p = insn_bits(line); *p; p++) {
        if (insn_imm_bit(*p) < 64)
            mask |= BIT(insn_imm_bit(*p));
    }
    return mask;
}

/* The next bit of a register number, highest first; at counts within the field. */
static inline u32 insn_reg_bit(u32 reg, bool small, u32 at)
{
    return reg >> ((small ? 2 : 4) - at) & 1;
}

static inline u32 insn_encode(const struct insn_line *line, const struct insn_operands *o)
{
    const char *bits = insn_bits(line);
    size_t n = strlen(bits);
    u32 raw = line->match, at = 0;

    for (size_t i = 0; i < n; i++) {
        u32 pos = (u32)(n - 1 - i), bit = 0;
        char c = bits[i];
        at = i && bits[i - 1] == c ? at + 1 : 0;
        if (insn_imm_bit(c) < 64)
            bit = (u32)((u64)o->imm >> insn_imm_bit(c)) & 1;
        else if (c == 'D' || c == 'B' || c == 'X' || c == 'W')
            bit = insn_reg_bit(o->rd, c == 'X' || c == 'W', at);
        else if (c == 'S' || c == 'Y')
            bit = insn_reg_bit(o->rs1, c == 'Y', at);
        else if (c == 'T' || c == 'Z')
            bit = insn_reg_bit(o->rs2, c == 'Z', at);
        else if (c == '?')
            bit = o->free >> pos & 1;
        raw |= bit << pos;
    }
    return raw;
}

static inline bool insn_bits_have(const struct insn_line *line, const char *any)
{
    return strpbrk(insn_bits(line), any) != NULL;
}

static inline u32 insn_random_reg(const struct insn_line *line, const char *small, u64 *state)
{
    u32 n = (u32)test_random(state) & 31;

    return insn_bits_have(line, small) ? 8 + (n & 7) : n;
}

static inline s64 insn_random_imm(const struct insn_line *line, u64 *state)
{
    const struct insn_format *f = &insn_formats[line->fmt];
    u64 imm = test_random(state) & insn_imm_mask(line);

    if (line->fmt == FMT_CU_255)
        return 255;
    if (line->fmt == FMT_CU_NOT)
        return -1;
    if (line->fmt == FMT_RNUM)
        return (s64)(imm % 11);
    return f->signed_bits ? (s64)sext(imm, f->signed_bits) : (s64)imm;
}

/* Operands that the instruction accepts and that do not make it another one. */
static inline struct insn_operands insn_random_operands(const struct insn_line *line, u64 *state)
{
    unsigned rules = insn_formats[line->fmt].rules;
    struct insn_operands o = {.free = (u32)test_random(state)};
    bool again;

    do {
        o.rd = insn_bits_have(line, "DBXW") ? insn_random_reg(line, "XW", state) : 0;
        o.rs1 = insn_bits_have(line, "SY") ? insn_random_reg(line, "Y", state) : 0;
        o.rs2 = insn_bits_have(line, "TZ") ? insn_random_reg(line, "Z", state) : 0;
        o.imm = insn_random_imm(line, state);
        again = (!o.imm && (rules & IMM_NOT_0)) || (!o.rd && (rules & RD_NOT_0)) ||
                (o.rd == 2 && (rules & RD_NOT_SP)) || (!o.rs1 && (rules & RS1_NOT_0)) ||
                (!o.rs2 && (rules & RS2_NOT_0)) ||
                (line->op == OP_fence && o.imm == 0x10) || /* pause */
                (line->op == OP_packw && !o.rs2);          /* zext.h */
    } while (again);
    if (insn_bits_have(line, "BW"))
        o.rs1 = o.rd;
    if (rules & RS1_SP)
        o.rs1 = 2;
    if (rules & RD_SP)
        o.rd = 2;
    if (rules & RD_RA)
        o.rd = 1;
    return o;
}

#endif
