/* SPDX-License-Identifier: BSD-2-Clause */
/* Random single instructions and numbers of note, for the programs of engines.h. */
#include "tests/diff/engines.h"

#define LINES ARRAY_SIZE(insn_lines)

/* The lines of each class, and of floating point by format. */
struct lines {
    u16 line[LINES];
    u32 count;
};

static struct lines by_class[CLASSES], by_format[3];
static bool compressed, guests;

/* Control flow has items of its own; what returns from traps goes who knows where. */
static bool is_left_out(const struct insn_line *line)
{
    switch (line->op) {
    case OP_jal:
    case OP_jalr:
    case OP_ecall:
    case OP_mret:
    case OP_sret:
        return true;
    default:
        return line->fmt == FMT_B || line->fmt == FMT_CB || line->fmt == FMT_CSR ||
               line->fmt == FMT_CSRI || line->fmt == FMT_C16SP;
    }
}

static bool is_memory(enum insn_fmt fmt)
{
    return fmt == FMT_LOAD || fmt == FMT_STORE || fmt == FMT_FLOAD || fmt == FMT_FSTORE ||
           (fmt >= FMT_CL4 && fmt <= FMT_CS8F) || (fmt >= FMT_CLSP4 && fmt <= FMT_CSSP8F);
}

static bool is_atomic(enum insn_fmt fmt)
{
    return fmt == FMT_AMO || fmt == FMT_LR || fmt == FMT_CBO;
}

/* HLV and HSV, whose base is the address. */
static bool is_as_guest(enum insn_fmt fmt)
{
    return fmt == FMT_HLV || fmt == FMT_HSV;
}

static bool is_fp(const struct insn_line *line)
{
    return line->ext[0] == 'F' || line->ext[0] == 'D' || !strncmp(line->ext, "ZF", 2) ||
           line->fmt == FMT_CL8F || line->fmt == FMT_CS8F || line->fmt == FMT_CLSP8F ||
           line->fmt == FMT_CSSP8F;
}

static bool has_rounding(enum insn_fmt fmt)
{
    return fmt == FMT_FR4 || fmt == FMT_FR_RM || fmt == FMT_FR1_RM || fmt == FMT_F2X_RM ||
           fmt == FMT_X2F_RM;
}

static enum insn_class class_of(const struct insn_line *line)
{
    if (is_fp(line))
        return is_memory(line->fmt) ? CLASS_FP_MEM : CLASS_FP;
    if (is_memory(line->fmt))
        return CLASS_MEM;
    if (line->fmt == FMT_CBO || is_as_guest(line->fmt))
        return CLASS_CACHE;
    if (is_atomic(line->fmt))
        return CLASS_ATOMIC;
    if (!strncmp(line->ext, "ZK", 2))
        return CLASS_CRYPTO;
    if (!insn_bits_have(line, "DBXW") || !strcmp(line->ext, "ZIMOP"))
        return CLASS_HINT;
    return CLASS_INT;
}

void engines_insn_init(const struct isa *isa)
{
    compressed = isa_has(isa, ISA_C);
    guests = isa_has(isa, ISA_H);
    for (u32 i = 0; i < LINES; i++) {
        const struct insn_line *line = &insn_lines[i];
        enum insn_class class = class_of(line);
        if (is_left_out(line) || (line->compressed && !compressed) ||
            (!strcmp(line->ext, "H") && !guests))
            continue;
        by_class[class].line[by_class[class].count++] = (u16)i;
        if (class == CLASS_FP && (line->match >> 25 & 3) != 3) {
            struct lines *l = &by_format[(line->match >> 25 & 3)];
            l->line[l->count++] = (u16)i;
        }
    }
}

bool engines_compressed(void)
{
    return compressed;
}

bool engines_guests(void)
{
    return guests;
}

static bool is_reserved(u32 reg)
{
    return reg == REG_RA || reg == REG_SP || reg == REG_DEPTH || reg == REG_MID || reg == REG_ODD ||
           (reg >= REG_BASE && reg <= REG_LOOP + 1);
}

u32 engines_free_reg(u64 *rng)
{
    u32 reg;

    do
        reg = (u32)engines_rnd(rng, 31) + 1;
    while (is_reserved(reg) || reg == REG_TRAPPED || reg == REG_TRAPPED_PINNED);
    return reg;
}

static const struct insn_line *pick(const struct program *p, u64 *rng)
{
    u32 sum = 0, at;
    const struct lines *l;

    for (u32 i = 0; i < CLASSES; i++)
        sum += p->class_weight[i];
    at = (u32)engines_rnd(rng, sum);
    for (l = by_class; at >= p->class_weight[l - by_class]; l++)
        at -= p->class_weight[l - by_class];
    return &insn_lines[l->line[engines_rnd(rng, l->count)]];
}

/* Few registers, so that instructions meet each other's results. */
static u32 near_reg(u32 reg, u64 *rng)
{
    static const u8 few[] = {10, 11, 12, 15, 5, 18, 0};

    return engines_rnd(rng, 3) ? few[engines_rnd(rng, sizeof(few))] : reg;
}

/* Mostly legal: of eight codes, two are not, and would end most sequences. */
static s64 rounding(u64 *rng)
{
    static const u8 modes[] = {0, 1, 2, 3, 4, 7, 7, 7};

    return engines_rnd(rng, 64) ? modes[engines_rnd(rng, 8)] : 5 + (s64)engines_rnd(rng, 2);
}

static void choose_base(const struct program *p, const struct insn_line *line,
                        struct insn_operands *o, u64 *rng)
{
    static const u8 bases[] = {REG_MID, REG_SP, REG_WALK, REG_ODD, REG_WALK};
    bool aligned = is_atomic(line->fmt) && p->calm;

    if (is_memory(line->fmt) && insn_bits_have(line, "Y"))
        o->rs1 = engines_rnd(rng, 2) ? REG_MID : REG_ODD;
    else if ((is_memory(line->fmt) && insn_bits_have(line, "S")) || is_atomic(line->fmt) ||
             is_as_guest(line->fmt))
        o->rs1 = bases[engines_rnd(rng, aligned ? 2 : sizeof(bases))];
    if (is_memory(line->fmt) && !line->compressed && (o->rs1 == REG_WALK || engines_rnd(rng, 2)))
        o->imm = (s64)engines_rnd(rng, 48) - 24;
}

/* What it must not, kept and reserved registers: an address is not to be any number. */
static bool changes(const struct insn_line *line, const struct insn_operands *o, u32 kept)
{
    u32 pair = line->op == OP_amocas_q ? 3 : 1;

    return insn_bits_have(line, "DBXW") && (is_reserved(o->rd) || kept & pair << o->rd);
}

static struct insn_operands operands(struct text *t, const struct insn_line *line)
{
    static const u8 pairs[] = {0, 10, 12, 16, 28, 30, 11};
    const struct program *p = t->program;
    const char *bits = insn_bits(line);
    struct insn_operands o;
    u64 *rng = &t->rng;

    do {
        o = insn_random_operands(line, rng);
        if (strchr(bits, 'D') && strchr(bits, 'S') && !line->compressed) {
            o.rd = near_reg(o.rd, rng);
            o.rs1 = near_reg(o.rs1, rng);
            o.rs2 = strchr(bits, 'T') ? near_reg(o.rs2, rng) : 0;
        }
        if (line->op == OP_amocas_q)
            o.rd = pairs[engines_rnd(rng, sizeof(pairs))];
    } while (changes(line, &o, t->kept) || (line->op == OP_fence && o.imm == 0x10) ||
             (line->op == OP_packw && !o.rs2));
    if (line->fmt == FMT_FR4)
        o.imm = (s64)near_reg((u32)engines_rnd(rng, 32), rng) | rounding(rng) << 8;
    else if (has_rounding(line->fmt))
        o.imm = rounding(rng);
    if (line->op == OP_amocas_q)
        o.rs2 = o.rs2 & ~(engines_rnd(rng, 8) ? 1u : 0u);
    choose_base(p, line, &o, rng);
    return o;
}

void engines_emit_plain(struct text *t)
{
    const struct insn_line *line = pick(t->program, &t->rng);
    struct insn_operands o;

    /* The supervisor's handler takes all instructions that may fault for four bytes long. */
    while (t->program->delegates && line->compressed && is_memory(line->fmt))
        line = pick(t->program, &t->rng);
    o = operands(t, line);
    emit_raw(t, insn_encode(line, &o), line->compressed);
}

void engines_emit_fp(struct text *t, u32 format)
{
    const struct lines *l = &by_format[format];
    const struct insn_line *line = &insn_lines[l->line[engines_rnd(&t->rng, l->count)]];
    struct insn_operands o = operands(t, line);

    emit_raw(t, insn_encode(line, &o), false);
}

u32 engines_patch_insn(struct text *t)
{
    const struct insn_line *line;
    struct insn_operands o;

    do
        line = pick(t->program, &t->rng);
    while (line->compressed);
    o = operands(t, line);
    return insn_encode(line, &o);
}

u64 engines_special_int(u64 *rng)
{
    u64 v = engines_rnd(rng, 2) ? BIT(engines_rnd(rng, 64)) : engines_rnd(rng, 5) * 2;

    v += engines_rnd(rng, 5) - 2;
    return engines_rnd(rng, 3) ? v : 0 - v;
}

/* width bits: sign, exponent and mantissa each from those that matter. */
static u64 special_fp(u64 *rng, u32 width, u32 mantissa)
{
    const u64 max = BIT(width - 1 - mantissa) - 1, bias = max >> 1, top = BIT(mantissa - 1);
    const u64 exponents[] = {0,         0,         1,         max,       max,
                             max - 1,   bias,      bias,      bias - 1,  bias + 1,
                             bias + 7,  bias + 31, bias + 32, bias + 62, bias + 63,
                             bias + 64, bias - 24, bias + 52, mantissa,  engines_rnd(rng, max)};
    const u64 mantissas[] = {
        0,       0,       0,       1,           top * 2 - 1,      top,
        top | 1, top - 1, top / 2, top * 3 / 2, test_random(rng), test_random(rng)};
    u64 exponent = exponents[engines_rnd(rng, ARRAY_SIZE(exponents))] & max;
    u64 m = mantissas[engines_rnd(rng, ARRAY_SIZE(mantissas))] & (top * 2 - 1);

    return engines_rnd(rng, 2) << (width - 1) | exponent << mantissa | m;
}

u64 engines_special_fp(u64 *rng)
{
    bool boxed = engines_rnd(rng, 8);

    switch (engines_rnd(rng, 8)) {
    case 0:
        return engines_special_int(rng);
    case 1:
        return special_fp(rng, 16, 10) | (boxed ? ~UINT64_C(0) << 16 : test_random(rng) << 16);
    case 2:
    case 3:
    case 4:
        return special_fp(rng, 32, 23) | (boxed ? ~UINT64_C(0) << 32 : test_random(rng) << 32);
    default:
        return special_fp(rng, 64, 52);
    }
}
