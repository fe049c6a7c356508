/* SPDX-License-Identifier: BSD-2-Clause */
/* Decoder: a comparison with each line of spec/riscv.def, grouped by major opcode at compile time.
 */
#include "rv/decode.h"

#include "rv/encoding.h"

/* Extensions that a line of riscv.def joins by _: either has the instruction, or both must be. */
enum { EXT_ZBB_ZBKB = ISA_COUNT, EXT_ZBC_ZBKC, EXT_ZABHA_ZACAS };
#define ISA_ZBB_ZBKB    EXT_ZBB_ZBKB
#define ISA_ZBC_ZBKC    EXT_ZBC_ZBKC
#define ISA_ZABHA_ZACAS EXT_ZABHA_ZACAS

static ALWAYS_INLINE bool has(const struct isa *isa, unsigned ext)
{
    switch (ext) {
    case EXT_ZBB_ZBKB:
        return isa_has(isa, ISA_ZBB) || isa_has(isa, ISA_ZBKB);
    case EXT_ZBC_ZBKC:
        return isa_has(isa, ISA_ZBC) || isa_has(isa, ISA_ZBKC);
    case EXT_ZABHA_ZACAS:
        return isa_has(isa, ISA_ZABHA) && isa_has(isa, ISA_ZACAS);
    default:
        return isa_has(isa, (enum isa_ext)ext);
    }
}

static ALWAYS_INLINE u64 record(enum op op, unsigned rd, unsigned rs1, unsigned rs2, s64 imm)
{
    return (u64)op << 1 | (u64)rd << 16 | (u64)rs1 << 24 | (u64)rs2 << 32 | (u64)imm << 40;
}

static ALWAYS_INLINE u32 field(u32 raw, unsigned lo, unsigned len)
{
    return raw >> lo & ((1u << len) - 1);
}

#define RAW_RD  field(raw, 7, 5)
#define RAW_RS1 field(raw, 15, 5)
#define RAW_RS2 field(raw, 20, 5)
#define RAW_RM  field(raw, 12, 3)
#define SINK_RD (RAW_RD ? RAW_RD : REG_SINK)

static ALWAYS_INLINE s64 imm_i(u32 raw)
{
    return (s32)raw >> 20;
}

static ALWAYS_INLINE s64 imm_s(u32 raw)
{
    return ((s32)raw >> 25) * 32 + (s32)RAW_RD;
}

static ALWAYS_INLINE s64 imm_b(u32 raw)
{
    u32 v = field(raw, 8, 4) << 1 | field(raw, 25, 6) << 5 | field(raw, 7, 1) << 11 |
            field(raw, 31, 1) << 12;

    return (s64)sext(v, 13);
}

static ALWAYS_INLINE s64 imm_j(u32 raw)
{
    u32 v = field(raw, 21, 10) << 1 | field(raw, 20, 1) << 11 | field(raw, 12, 8) << 12 |
            field(raw, 31, 1) << 20;

    return (s64)sext(v, 21);
}

/* One packer a format; 0: reserved, i.e. illegal. */
#define PACK(fmt, rd, rs1, rs2, imm)                         \
    static ALWAYS_INLINE u64 pack_##fmt(enum op op, u32 raw) \
    {                                                        \
        (void)raw;                                           \
        return record(op, rd, rs1, rs2, (s64)(imm));         \
    }

PACK(NONE, 0, 0, 0, 0)
PACK(R, SINK_RD, RAW_RS1, RAW_RS2, 0)
PACK(R1, SINK_RD, RAW_RS1, 0, 0)
PACK(I, SINK_RD, RAW_RS1, 0, imm_i(raw))
PACK(SH6, SINK_RD, RAW_RS1, 0, field(raw, 20, 6))
PACK(SH5, SINK_RD, RAW_RS1, 0, field(raw, 20, 5))
PACK(LOAD, SINK_RD, RAW_RS1, 0, imm_i(raw))
PACK(STORE, 0, RAW_RS1, RAW_RS2, imm_s(raw))
PACK(B, 0, RAW_RS1, RAW_RS2, imm_b(raw))
PACK(U, SINK_RD, 0, 0, (s32)raw >> 12)
PACK(J, SINK_RD, 0, 0, imm_j(raw))
PACK(JR, SINK_RD, RAW_RS1, 0, imm_i(raw))
PACK(CSR, SINK_RD, RAW_RS1, 0, field(raw, 20, 12))
PACK(CSRI, SINK_RD, RAW_RS1, 0, field(raw, 20, 12))
PACK(AMO, SINK_RD, RAW_RS1, RAW_RS2, 0)
PACK(LR, SINK_RD, RAW_RS1, 0, 0)
PACK(FENCE, 0, 0, 0, field(raw, 20, 8))
PACK(FENCEI, 0, 0, 0, 0)
PACK(SFENCE, 0, RAW_RS1, RAW_RS2, 0)
PACK(HLV, SINK_RD, RAW_RS1, 0, 0)
PACK(HSV, 0, RAW_RS1, RAW_RS2, 0)
PACK(CBO, 0, RAW_RS1, 0, 0)
PACK(MOPR, SINK_RD, RAW_RS1, 0, 0)
PACK(MOPRR, SINK_RD, RAW_RS1, RAW_RS2, 0)
PACK(BS, SINK_RD, RAW_RS1, RAW_RS2, field(raw, 30, 2))
PACK(FLOAD, RAW_RD, RAW_RS1, 0, imm_i(raw))
PACK(FSTORE, 0, RAW_RS1, RAW_RS2, imm_s(raw))
PACK(FR4, RAW_RD, RAW_RS1, RAW_RS2, field(raw, 27, 5) | RAW_RM << 8)
PACK(FR_RM, RAW_RD, RAW_RS1, RAW_RS2, RAW_RM)
PACK(FR1_RM, RAW_RD, RAW_RS1, 0, RAW_RM)
PACK(FR, RAW_RD, RAW_RS1, RAW_RS2, 0)
PACK(FCMP, SINK_RD, RAW_RS1, RAW_RS2, 0)
PACK(F2X, SINK_RD, RAW_RS1, 0, 0)
PACK(F2X_RM, SINK_RD, RAW_RS1, 0, RAW_RM)
PACK(X2F, RAW_RD, RAW_RS1, 0, 0)
PACK(X2F_RM, RAW_RD, RAW_RS1, 0, RAW_RM)
PACK(FLI, RAW_RD, RAW_RS1, 0, 0)

static ALWAYS_INLINE u64 pack_RNUM(enum op op, u32 raw)
{
    u32 rnum = field(raw, 20, 4);

    return rnum > 10 ? 0 : record(op, SINK_RD, RAW_RS1, 0, rnum);
}

/* Compressed operands: x8..x15 in three bits. */
#define C_RDP  (8 + field(raw, 2, 3))
#define C_RS1P (8 + field(raw, 7, 3))

static ALWAYS_INLINE unsigned sink(unsigned rd)
{
    return rd ? rd : REG_SINK;
}

static ALWAYS_INLINE s64 c_imm6(u32 raw)
{
    return (s64)sext(field(raw, 2, 5) | field(raw, 12, 1) << 5, 6);
}

static ALWAYS_INLINE u32 c_uimm6(u32 raw)
{
    return field(raw, 2, 5) | field(raw, 12, 1) << 5;
}

static ALWAYS_INLINE u32 c_off4(u32 raw)
{
    return field(raw, 6, 1) << 2 | field(raw, 10, 3) << 3 | field(raw, 5, 1) << 6;
}

static ALWAYS_INLINE u32 c_off8(u32 raw)
{
    return field(raw, 10, 3) << 3 | field(raw, 5, 2) << 6;
}

static ALWAYS_INLINE u32 c_off_byte(u32 raw)
{
    return field(raw, 6, 1) | field(raw, 5, 1) << 1;
}

static ALWAYS_INLINE u32 c_load_sp4(u32 raw)
{
    return field(raw, 4, 3) << 2 | field(raw, 12, 1) << 5 | field(raw, 2, 2) << 6;
}

static ALWAYS_INLINE u32 c_load_sp8(u32 raw)
{
    return field(raw, 5, 2) << 3 | field(raw, 12, 1) << 5 | field(raw, 2, 3) << 6;
}

static ALWAYS_INLINE u32 c_store_sp4(u32 raw)
{
    return field(raw, 9, 4) << 2 | field(raw, 7, 2) << 6;
}

static ALWAYS_INLINE u32 c_store_sp8(u32 raw)
{
    return field(raw, 10, 3) << 3 | field(raw, 7, 3) << 6;
}

static ALWAYS_INLINE s64 c_branch(u32 raw)
{
    u32 v = field(raw, 3, 2) << 1 | field(raw, 10, 2) << 3 | field(raw, 2, 1) << 5 |
            field(raw, 5, 2) << 6 | field(raw, 12, 1) << 8;

    return (s64)sext(v, 9);
}

static ALWAYS_INLINE s64 c_jump(u32 raw)
{
    u32 v = field(raw, 3, 3) << 1 | field(raw, 11, 1) << 4 | field(raw, 2, 1) << 5 |
            field(raw, 7, 1) << 6 | field(raw, 6, 1) << 7 | field(raw, 9, 2) << 8 |
            field(raw, 8, 1) << 10 | field(raw, 12, 1) << 11;

    return (s64)sext(v, 12);
}

/* A compressed format: valid says which operands are not reserved. */
#define CPACK(fmt, valid, rd, rs1, rs2, imm)                       \
    static ALWAYS_INLINE u64 pack_##fmt(enum op op, u32 raw)       \
    {                                                              \
        (void)raw;                                                 \
        return (valid) ? record(op, rd, rs1, rs2, (s64)(imm)) : 0; \
    }
#define C_ADDI4SPN \
    (field(raw, 6, 1) << 2 | field(raw, 5, 1) << 3 | field(raw, 11, 2) << 4 | field(raw, 7, 4) << 6)
#define C_ADDI16SP                                                                     \
    ((s64)sext(field(raw, 6, 1) << 4 | field(raw, 2, 1) << 5 | field(raw, 5, 1) << 6 | \
                   field(raw, 3, 2) << 7 | field(raw, 12, 1) << 9,                     \
               10))
#define C_RS2 field(raw, 2, 5)

CPACK(CIW, C_ADDI4SPN != 0, C_RDP, 2, 0, C_ADDI4SPN)
CPACK(CL4, true, C_RDP, C_RS1P, 0, c_off4(raw))
CPACK(CL8, true, C_RDP, C_RS1P, 0, c_off8(raw))
CPACK(CL8F, true, C_RDP, C_RS1P, 0, c_off8(raw))
CPACK(CLB, true, C_RDP, C_RS1P, 0, c_off_byte(raw))
CPACK(CLH, true, C_RDP, C_RS1P, 0, field(raw, 5, 1) << 1)
CPACK(CSB, true, 0, C_RS1P, C_RDP, c_off_byte(raw))
CPACK(CSH, true, 0, C_RS1P, C_RDP, field(raw, 5, 1) << 1)
CPACK(CS4, true, 0, C_RS1P, C_RDP, c_off4(raw))
CPACK(CS8, true, 0, C_RS1P, C_RDP, c_off8(raw))
CPACK(CS8F, true, 0, C_RS1P, C_RDP, c_off8(raw))
CPACK(CNOP, true, REG_SINK, 0, 0, c_imm6(raw))
CPACK(CI, true, sink(RAW_RD), RAW_RD, 0, c_imm6(raw))
CPACK(CI_RD, RAW_RD != 0, RAW_RD, RAW_RD, 0, c_imm6(raw))
CPACK(CLI, true, sink(RAW_RD), 0, 0, c_imm6(raw))
CPACK(C16SP, C_ADDI16SP != 0, 2, 2, 0, C_ADDI16SP)
CPACK(CMOP, true, REG_SINK, 0, 0, 0)
CPACK(CLUI, c_uimm6(raw) != 0, sink(RAW_RD), 0, 0, c_imm6(raw))
CPACK(CSHR, true, C_RS1P, C_RS1P, 0, c_uimm6(raw))
CPACK(CANDI, true, C_RS1P, C_RS1P, 0, c_imm6(raw))
CPACK(CA, true, C_RS1P, C_RS1P, C_RDP, 0)
CPACK(CU, true, C_RS1P, C_RS1P, 0, 0)
CPACK(CU_255, true, C_RS1P, C_RS1P, 0, 255)
CPACK(CU_NOT, true, C_RS1P, C_RS1P, 0, -1)
CPACK(CJ, true, REG_SINK, 0, 0, c_jump(raw))
CPACK(CB, true, 0, C_RS1P, 0, c_branch(raw))
CPACK(CSLL, true, sink(RAW_RD), RAW_RD, 0, c_uimm6(raw))
CPACK(CLSP4, RAW_RD != 0, RAW_RD, 2, 0, c_load_sp4(raw))
CPACK(CLSP8, RAW_RD != 0, RAW_RD, 2, 0, c_load_sp8(raw))
CPACK(CLSP8F, true, RAW_RD, 2, 0, c_load_sp8(raw))
CPACK(CSSP4, true, 0, 2, C_RS2, c_store_sp4(raw))
CPACK(CSSP8, true, 0, 2, C_RS2, c_store_sp8(raw))
CPACK(CSSP8F, true, 0, 2, C_RS2, c_store_sp8(raw))
CPACK(CJR, RAW_RD != 0, REG_SINK, RAW_RD, 0, 0)
CPACK(CJALR, true, 1, RAW_RD, 0, 0)
CPACK(CMV, true, sink(RAW_RD), 0, C_RS2, 0)
CPACK(CADD, true, sink(RAW_RD), RAW_RD, C_RS2, 0)
CPACK(CNONE, true, 0, 0, 0, 0)

/* NOLINTNEXTLINE(readability-function-size): an instruction each; few are left of a case. */
static ALWAYS_INLINE u64 decode_major(const struct isa *isa, u32 raw, const u32 major)
{
#define INSN(id, name, extension, fmt, match, ...)                            \
    if (((match)&0x7f) == major && (raw & (u32)MASK_##fmt) == (u32)(match) && \
        has(isa, ISA_##extension))                                            \
        return pack_##fmt(OP_##id, raw);
#define INSNC(...) INSN(__VA_ARGS__)
#define CINSN(...)
#include "spec/riscv.def"
#undef INSN
#undef INSNC
#undef CINSN
    return 0;
}

static ALWAYS_INLINE u64 decode_quadrant(const struct isa *isa, u32 raw, const u32 key)
{
#define INSN(...)
#define INSNC(...)
#define CINSN(name, extension, fmt, match, mask, base)                                     \
    if (((match)&0xe003) == key && (raw & (mask)) == (match) && has(isa, ISA_##extension)) \
        return pack_##fmt(OP_##base, raw);
#include "spec/riscv.def"
#undef INSN
#undef INSNC
#undef CINSN
    return 0;
}

static u64 decode_long(const struct isa *isa, u32 raw)
{
    switch (raw & 0x7f) {
#define MAJOR(op) \
    case op:      \
        return decode_major(isa, raw, op);
        MAJOR(0x03)
        MAJOR(0x07)
        MAJOR(0x0f)
        MAJOR(0x13)
        MAJOR(0x17)
        MAJOR(0x1b)
        MAJOR(0x23)
        MAJOR(0x27)
        MAJOR(0x2f)
        MAJOR(0x33)
        MAJOR(0x37)
        MAJOR(0x3b)
        MAJOR(0x43)
        MAJOR(0x47)
        MAJOR(0x4b)
        MAJOR(0x4f)
        MAJOR(0x53)
        MAJOR(0x63)
        MAJOR(0x67)
        MAJOR(0x6f)
        MAJOR(0x73)
#undef MAJOR
    default:
        return 0;
    }
}

static u64 decode_compressed(const struct isa *isa, u32 raw)
{
    switch (raw & 0xe003) {
#define QUADRANT(key) \
    case key:         \
        return decode_quadrant(isa, raw, key);
#define QUADRANTS(q)       \
    QUADRANT(0x0000 | (q)) \
    QUADRANT(0x2000 | (q)) \
    QUADRANT(0x4000 | (q)) \
    QUADRANT(0x6000 | (q)) \
    QUADRANT(0x8000 | (q)) \
    QUADRANT(0xa000 | (q)) \
    QUADRANT(0xc000 | (q)) \
    QUADRANT(0xe000 | (q))
        QUADRANTS(0)
        QUADRANTS(1)
        QUADRANTS(2)
#undef QUADRANTS
#undef QUADRANT
    default:
        return 0;
    }
}

u64 decode(const struct isa *isa, u32 raw)
{
    u64 insn, short_form = 0;

    if (insn_is_long(raw)) {
        insn = decode_long(isa, raw);
    } else {
        raw &= 0xffff;
        short_form = 1;
        insn = decode_compressed(isa, raw);
    }
    if (!insn)
        insn = (u64)OP_ILLEGAL << 1 | (u64)raw << 16;
    return insn | short_form;
}
