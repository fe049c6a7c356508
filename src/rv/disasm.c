/* SPDX-License-Identifier: BSD-2-Clause */
/* Disassembler: mnemonics from spec/riscv.def, operands by a template for each format. */
#include "rv/disasm.h"

#include "base/fmt.h"
#include "base/mem.h"
#include "rv/csr.h"

/*
 * Templates. Operands come from the decoded record, so that both lengths share them:
 *   d s t    integer rd, rs1, rs2          D S T R  floating-point rd, rs1, rs2, rs3
 *   i h u p  imm: decimal, hexadecimal, 20 bits in hexadecimal, relative to pc
 *   c z      imm as a CSR's name, rs1 as a number
 *   f        predecessor and successor sets of a fence
 *   m        a comma and the rounding mode, unless it is dynamic; M: that of a record with rs3
 *   l        the constant of fli
 * A template may open with what the mnemonic ends in:
 *   a        .aq, .rl, .aqrl               1 2 3    the number of mop.r, mop.rr, c.mop
 *   |        ends that part
 * All else stands for itself.
 */
#define FORM_NONE   ""
#define FORM_R      "d,s,t"
#define FORM_R1     "d,s"
#define FORM_I      "d,s,i"
#define FORM_SH6    "d,s,h"
#define FORM_SH5    "d,s,h"
#define FORM_LOAD   "d,i(s)"
#define FORM_STORE  "t,i(s)"
#define FORM_B      "s,t,p"
#define FORM_U      "d,u"
#define FORM_J      "d,p"
#define FORM_JR     "d,i(s)"
#define FORM_CSR    "d,c,s"
#define FORM_CSRI   "d,c,z"
#define FORM_AMO    "a|d,t,(s)"
#define FORM_LR     "a|d,(s)"
#define FORM_FENCE  "f"
#define FORM_FENCEI ""
#define FORM_SFENCE "s,t"
#define FORM_HLV    "d,(s)"
#define FORM_HSV    "t,(s)"
#define FORM_CBO    "(s)"
#define FORM_MOPR   "1|d,s"
#define FORM_MOPRR  "2|d,s,t"
#define FORM_RNUM   "d,s,h"
#define FORM_BS     "d,s,t,h"
#define FORM_FLOAD  "D,i(s)"
#define FORM_FSTORE "T,i(s)"
#define FORM_FR4    "D,S,T,RM"
#define FORM_FR_RM  "D,S,Tm"
#define FORM_FR1_RM "D,Sm"
#define FORM_FR     "D,S,T"
#define FORM_FCMP   "d,S,T"
#define FORM_F2X    "d,S"
#define FORM_F2X_RM "d,Sm"
#define FORM_X2F    "D,s"
#define FORM_X2F_RM "D,sm"
#define FORM_FLI    "D,l"
#define FORM_CIW    "d,s,i"
#define FORM_CL4    "d,i(s)"
#define FORM_CL8    "d,i(s)"
#define FORM_CL8F   "D,i(s)"
#define FORM_CLB    "d,i(s)"
#define FORM_CLH    "d,i(s)"
#define FORM_CSB    "t,i(s)"
#define FORM_CSH    "t,i(s)"
#define FORM_CS4    "t,i(s)"
#define FORM_CS8    "t,i(s)"
#define FORM_CS8F   "T,i(s)"
#define FORM_CNOP   ""
#define FORM_CI     "d,i"
#define FORM_CI_RD  "d,i"
#define FORM_CLI    "d,i"
#define FORM_C16SP  "d,i"
#define FORM_CMOP   "3|"
#define FORM_CLUI   "d,u"
#define FORM_CSHR   "d,h"
#define FORM_CANDI  "d,i"
#define FORM_CA     "d,t"
#define FORM_CU     "d"
#define FORM_CU_255 "d"
#define FORM_CU_NOT "d"
#define FORM_CJ     "p"
#define FORM_CB     "s,p"
#define FORM_CSLL   "d,h"
#define FORM_CLSP4  "d,i(s)"
#define FORM_CLSP8  "d,i(s)"
#define FORM_CLSP8F "D,i(s)"
#define FORM_CSSP4  "t,i(s)"
#define FORM_CSSP8  "t,i(s)"
#define FORM_CSSP8F "T,i(s)"
#define FORM_CJR    "s"
#define FORM_CJALR  "s"
#define FORM_CMV    "d,t"
#define FORM_CADD   "d,t"
#define FORM_CNONE  ""

struct shape {
    const char *name, *form;
};

static const struct shape long_shapes[OP_COUNT] = {
#define INSN(id, name, ext, fmt, ...) [OP_##id] = {name, FORM_##fmt},
#define INSNC(...)                    INSN(__VA_ARGS__)
#define CINSN(...)
#include "spec/riscv.def"
#undef INSN
#undef INSNC
#undef CINSN
};

/* Several compressed lines have one base; the first line that has the base and the bits is it. */
static const struct {
    struct shape shape;
    u16 match, mask, op;
} short_shapes[] = {
#define INSN(...)
#define INSNC(...)
#define CINSN(name, ext, fmt, match, mask, base) {{name, FORM_##fmt}, match, mask, OP_##base},
#include "spec/riscv.def"
#undef INSN
#undef INSNC
#undef CINSN
};

/* A text that grows in a buffer; len counts what did not fit, too. */
struct text {
    char *buf;
    size_t size, len;
};

#define APPEND(t, ...)                                                        \
    ((t)->len += fmt_print((t)->len < (t)->size ? (t)->buf + (t)->len : NULL, \
                           (t)->len < (t)->size ? (t)->size - (t)->len : 0, __VA_ARGS__))

const char *disasm_x_name(unsigned reg)
{
    static const char names[33][5] = {"zero", "ra", "sp", "gp", "tp", "t0",  "t1", "t2", "s0",
                                      "s1",   "a0", "a1", "a2", "a3", "a4",  "a5", "a6", "a7",
                                      "s2",   "s3", "s4", "s5", "s6", "s7",  "s8", "s9", "s10",
                                      "s11",  "t3", "t4", "t5", "t6", "zero"};

    return names[reg % 33]; /* REG_SINK, too */
}

const char *disasm_f_name(unsigned reg)
{
    static const char names[32][5] = {"ft0", "ft1", "ft2",  "ft3",  "ft4", "ft5", "ft6",  "ft7",
                                      "fs0", "fs1", "fa0",  "fa1",  "fa2", "fa3", "fa4",  "fa5",
                                      "fa6", "fa7", "fs2",  "fs3",  "fs4", "fs5", "fs6",  "fs7",
                                      "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11"};

    return names[reg % 32];
}

static void append_rounding(struct text *t, unsigned rm)
{
    static const char names[8][8] = {"rne", "rtz", "rdn", "rup", "rmm", "unknown", "unknown"};

    if (rm != 7)
        APPEND(t, ",%s", names[rm]);
}

static void append_fence(struct text *t, unsigned imm)
{
    for (unsigned part = 0; part < 2; part++) {
        unsigned set = (part ? imm : imm >> 4) & 15;
        if (part)
            APPEND(t, ",");
        for (unsigned i = 0; i < 4; i++) {
            if (set >> (3 - i) & 1)
                APPEND(t, "%c", "iorw"[i]);
        }
        if (!set)
            APPEND(t, "unknown");
    }
}

static void append_csr(struct text *t, u32 number)
{
    const char *name = csr_name(number);

    if (name)
        APPEND(t, "%s", name);
    else
        APPEND(t, "0x%x", number);
}

/* Zfa chapter, table of the values of fli. */
static const char *fli_name(unsigned n)
{
    static const char names[32][8] = {
        "-1.0", "min",    "0x1p-16", "0x1p-15", "0x1p-8", "0x1p-7", "0.0625", "0.125",
        "0.25", "0.3125", "0.375",   "0.4375",  "0.5",    "0.625",  "0.75",   "0.875",
        "1.0",  "1.25",   "1.5",     "1.75",    "2.0",    "2.5",    "3.0",    "4.0",
        "8.0",  "16.0",   "128.0",   "256.0",   "32768",  "65536",  "inf",    "nan"};

    return names[n % 32];
}

static void append_operand(struct text *t, char what, u64 insn, gva_t pc)
{
    s64 imm = insn_imm(insn);

    switch (what) {
    case 'd':
        APPEND(t, "%s", disasm_x_name(insn_rd(insn)));
        break;
    case 's':
        APPEND(t, "%s", disasm_x_name(insn_rs1(insn)));
        break;
    case 't':
        APPEND(t, "%s", disasm_x_name(insn_rs2(insn)));
        break;
    case 'D':
        APPEND(t, "%s", disasm_f_name(insn_rd(insn)));
        break;
    case 'S':
        APPEND(t, "%s", disasm_f_name(insn_rs1(insn)));
        break;
    case 'T':
        APPEND(t, "%s", disasm_f_name(insn_rs2(insn)));
        break;
    case 'R':
        APPEND(t, "%s", disasm_f_name((unsigned)imm & 31));
        break;
    case 'i':
        APPEND(t, "%d", (int)imm);
        break;
    case 'h':
        APPEND(t, "0x%x", (unsigned)imm);
        break;
    case 'u':
        APPEND(t, "0x%x", (unsigned)imm & 0xfffff);
        break;
    case 'p':
        APPEND(t, "0x%llx", (unsigned long long)(pc + (u64)imm));
        break;
    case 'c':
        append_csr(t, (u32)imm & 0xfff);
        break;
    case 'z':
        APPEND(t, "%u", insn_rs1(insn));
        break;
    case 'f':
        append_fence(t, (unsigned)imm);
        break;
    case 'm':
        append_rounding(t, (unsigned)imm & 7);
        break;
    case 'M':
        append_rounding(t, (unsigned)imm >> 8 & 7);
        break;
    case 'l':
        APPEND(t, "%s", fli_name(insn_rs1(insn)));
        break;
    default:
        APPEND(t, "%c", what);
    }
}

/* The end of a mnemonic that depends on bits which a record does not hold. */
static void append_suffix(struct text *t, char what, u32 raw)
{
    static const char order[4][6] = {"", ".rl", ".aq", ".aqrl"};

    switch (what) {
    case 'a':
        APPEND(t, "%s", order[raw >> 25 & 3]);
        break;
    case '1':
        APPEND(t, ".%u", (raw >> 30 & 1) << 4 | (raw >> 26 & 3) << 2 | (raw >> 20 & 3));
        break;
    case '2':
        APPEND(t, ".%u", (raw >> 30 & 1) << 2 | (raw >> 26 & 3));
        break;
    case '3':
        APPEND(t, ".%u", raw >> 7 & 15);
        break;
    default:
        break;
    }
}

static const struct shape *find_shape(u64 insn, u32 raw)
{
    static const struct shape none = {"?", ""};

    if (insn_is_long(raw))
        return &long_shapes[insn_op(insn)];
    for (u32 i = 0; i < ARRAY_SIZE(short_shapes); i++) {
        if ((raw & short_shapes[i].mask) == short_shapes[i].match &&
            insn_op(insn) == short_shapes[i].op)
            return &short_shapes[i].shape;
    }
    return &none;
}

static void append_illegal(struct text *t, u32 raw)
{
    if (insn_is_long(raw))
        APPEND(t, ".4byte 0x%x", raw);
    else if (raw & 0xffff)
        APPEND(t, ".2byte 0x%x", raw & 0xffff);
    else
        APPEND(t, "c.unimp");
}

size_t disasm(const struct isa *isa, u32 raw, gva_t pc, char *buf, size_t size)
{
    u64 insn = decode(isa, raw);
    struct text t = {buf, size, 0};
    const struct shape *shape;
    const char *form;

    if (insn_op(insn) == OP_ILLEGAL) {
        append_illegal(&t, raw);
        return t.len;
    }
    shape = find_shape(insn, raw);
    form = shape->form;
    APPEND(&t, "%s", shape->name);
    if (form[0] && (form[1] == '|')) {
        append_suffix(&t, form[0], raw);
        form += 2;
    }
    if (*form)
        APPEND(&t, " ");
    for (; *form; form++)
        append_operand(&t, *form, insn, pc);
    return t.len;
}
