/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes random chunks: what instructions, with what operands, from what state. */
#include "tests/diff/diff.h"

#define CSR_FFLAGS 1
#define CSR_FRM    2
#define CSR_FCSR   3

bool diff_usable[ARRAY_SIZE(insn_lines)];
static u32 weight_sum[ARRAY_SIZE(insn_lines)];
static u64 rng;
static u8 width_of[32]; /* of what the f registers probably hold, so that operands suit */

static u64 rnd(u64 below)
{
    return test_random(&rng) % below;
}

static bool one_in(u64 n)
{
    return rnd(n) == 0;
}

/* What the generator leaves out: traps, waiting, what only privileged code may do. */
static bool left_out(enum op op)
{
    switch (op) {
    case OP_ecall:
    case OP_ebreak:
    case OP_mret:
    case OP_sret:
    case OP_wfi:
    case OP_sfence_vma:
    case OP_sinval_vma:
    case OP_sfence_w_inval:
    case OP_sfence_inval_ir:
    case OP_wrs_nto:
    case OP_wrs_sto:
    case OP_cbo_inval:
        return true;
    default:
        return false;
    }
}

bool diff_gen_knows(const struct insn_line *line)
{
    return !left_out(line->op);
}

static u32 weight(const struct insn_line *line)
{
    if (left_out(line->op))
        return 0;
    if (!strcmp(line->ext, "I") || !strcmp(line->ext, "M"))
        return 6;
    if (line->fmt == FMT_FLOAD || line->fmt == FMT_FSTORE)
        return 6;
    return line->compressed ? 3 : 2;
}

void diff_gen_init(void)
{
    u32 sum = 0;

    for (u32 i = 0; i < ARRAY_SIZE(insn_lines); i++) {
        sum += diff_usable[i] ? weight(&insn_lines[i]) : 0;
        weight_sum[i] = sum;
    }
}

static const struct insn_line *pick_line(void)
{
    u64 at = rnd(weight_sum[ARRAY_SIZE(insn_lines) - 1]);
    u32 i = 0;

    while (weight_sum[i] <= at)
        i++;
    return &insn_lines[i];
}

/* The uncompressed line of op. */
static const struct insn_line *line_of(enum op op)
{
    u32 i = 0;

    while (insn_lines[i].op != op || insn_lines[i].compressed)
        i++;
    return &insn_lines[i];
}

static bool is_reserved(u32 reg)
{
    return reg == REG_SP || reg == REG_MID || reg == REG_ODD || reg == REG_QUAD ||
           reg == REG_WORD || reg == REG_COUNT;
}

static u32 free_reg(void)
{
    u32 reg;

    do
        reg = (u32)rnd(31) + 1;
    while (is_reserved(reg));
    return reg;
}

/* Values. */
static u64 random_float(unsigned width)
{
    const unsigned fraction = width == 64 ? 52 : width == 32 ? 23 : 10;
    const u64 one = BIT(fraction), inf = (GENMASK(width - 2, 0) >> fraction) << fraction;
    const u64 bias = inf >> (fraction + 1);
    u64 sign = one_in(2) ? BIT(width - 1) : 0, r = test_random(&rng);

    switch (rnd(16)) {
    case 0:
        return sign;
    case 1:
        return sign | 1;
    case 2:
        return sign | (one - 1); /* largest subnormal */
    case 3:
        return sign | one;
    case 4:
        return sign | (inf - 1);
    case 5:
        return sign | inf;
    case 6:
        return inf | one >> 1; /* canonical NaN */
    case 7:
        return sign | inf | (r % (one >> 1)) | 1; /* signalling NaN */
    case 8:
        return sign | inf | one >> 1 | r % one;
    case 9:
        return sign | r % one; /* subnormal */
    case 10:
        return sign | bias << fraction;
    case 11: /* about where integers end */
        return sign | (bias + (width == 16 ? 8 : 28) + r % 40) % (inf >> fraction) << fraction |
               (r >> 32 & 3);
    case 12: /* few bits, so that results are exact or ties */
        return sign | (bias - 4 + r % 8) << fraction | (r >> 8 & 7) << (fraction - 3);
    case 13:
    case 14:
        return sign | (bias - 12 + r % 24) % (inf >> fraction) << fraction | (r >> 8) % one;
    default:
        return width == 64 ? r : r & (BIT(width) - 1);
    }
}

/* A boxed value; of width 0: one that boxes nothing. */
static u64 boxed_float(unsigned width)
{
    if (!width)
        return test_random(&rng);
    return random_float(width) | (width == 64 ? 0 : GENMASK(63, width));
}

static unsigned random_width(void)
{
    static const u8 widths[] = {64, 64, 32, 32, 32, 16, 16, 16, 0};

    return widths[rnd(ARRAY_SIZE(widths))];
}

static u64 random_x_register(void)
{
    static const u64 special[] = {0,
                                  1,
                                  2,
                                  31,
                                  32,
                                  63,
                                  64,
                                  0x7f,
                                  0x80,
                                  0xff,
                                  0x7fff,
                                  0x8000,
                                  0xffff,
                                  0x7fffffff,
                                  0x80000000,
                                  0xffffffff,
                                  0x100000000,
                                  INT64_MAX,
                                  UINT64_C(1) << 63,
                                  UINT64_MAX,
                                  UINT64_MAX - 1,
                                  UINT64_C(0xffffffff80000000),
                                  UINT64_C(0xffffffff7fffffff),
                                  UINT64_C(0x5555555555555555)};

    switch (rnd(8)) {
    case 0:
    case 1:
        return special[rnd(ARRAY_SIZE(special))];
    case 2:
        return (u64)(s64)(s32)test_random(&rng);
    case 3:
        return rnd(128) - 64;
    case 4:
        return BIT(rnd(64)) - rnd(2);
    case 5:
        return boxed_float(random_width());
    default:
        return test_random(&rng);
    }
}

static void random_state(struct chunk *chunk)
{
    struct state *in = &chunk->start.in;

    memset(&chunk->start, 0, sizeof(chunk->start));
    for (u32 i = 1; i < 32; i++)
        in->x[i] = random_x_register();
    for (u32 i = 0; i < 32; i++) {
        width_of[i] = (u8)random_width();
        in->f[i] = boxed_float(width_of[i]);
    }
    in->fcsr = rnd(5) << 5 | rnd(32);
    in->x[REG_COUNT] = 1 + rnd(4);
    for (u32 i = 0; i < SCRATCH_SIZE; i += 8) {
        u64 value = one_in(2) ? random_x_register() : boxed_float(random_width());
        memcpy(&chunk->start.scratch[i], &value, 8);
    }
    memset(chunk->bias, 0, sizeof(chunk->bias));
    chunk->bias[REG_SP] = -448;
    chunk->bias[REG_ODD] = one_in(2) ? (s64)rnd(64) - 32 : (s64)rnd(3000) - 1500;
    chunk->bias[REG_QUAD] = ((s64)rnd(56) - 28) * 16;
    chunk->bias[REG_WORD] = ((s64)rnd(220) - 110) * 4;
}

/* Operands. */
static bool is_memory(enum insn_fmt fmt)
{
    return fmt == FMT_LOAD || fmt == FMT_STORE || fmt == FMT_FLOAD || fmt == FMT_FSTORE ||
           (fmt >= FMT_CL4 && fmt <= FMT_CS8F) || (fmt >= FMT_CLSP4 && fmt <= FMT_CSSP8F);
}

static bool is_atomic(enum insn_fmt fmt)
{
    return fmt == FMT_AMO || fmt == FMT_LR || fmt == FMT_CBO;
}

/* Formats whose rd is an integer register. */
static bool writes_integer(const struct insn_line *line)
{
    switch (line->fmt) {
    case FMT_FLOAD:
    case FMT_FR4:
    case FMT_FR_RM:
    case FMT_FR1_RM:
    case FMT_FR:
    case FMT_X2F:
    case FMT_X2F_RM:
    case FMT_FLI:
    case FMT_CL8F:
    case FMT_CLSP8F:
        return false;
    default:
        return insn_bits_have(line, "DBXW");
    }
}

/* A base register, and an immediate that leads into the scratch buffer. */
static void aim(const struct chunk *chunk, const struct insn_line *line, struct insn_operands *o)
{
    static const u32 bases[] = {REG_SP, REG_MID, REG_ODD, REG_QUAD, REG_WORD};
    s64 delta;

    do {
        o->imm = insn_random_imm(line, &rng);
        if (insn_bits_have(line, "Y"))
            o->rs1 = one_in(2) ? REG_MID : REG_ODD;
        else if (insn_bits_have(line, "S"))
            o->rs1 = bases[rnd(ARRAY_SIZE(bases))];
        delta = chunk->bias[o->rs1] + o->imm;
    } while (delta < -SCRATCH_SIZE / 2 || delta > SCRATCH_SIZE / 2 - 8);
}

static u32 atomic_base(const struct insn_line *line)
{
    static const u32 bases[] = {REG_MID, REG_SP, REG_QUAD, REG_WORD};
    bool large = (line->match >> 12 & 7) >= 3; /* doubleword and up */

    return bases[rnd(large ? 3 : 4)];
}

/* Not to x0: QEMU 10.0 then takes the old value for the constant 0 in what follows. */
static bool is_swap_usable(const struct insn_line *line, const struct insn_operands *o)
{
    if (line->op == OP_amocas_q && (((o->rd | o->rs2) & 1) || is_reserved(o->rd + 1)))
        return false;
    return o->rd != 0;
}

static bool is_swap(enum op op)
{
    return op == OP_amocas_b || op == OP_amocas_h || op == OP_amocas_w || op == OP_amocas_d ||
           op == OP_amocas_q;
}

/* A static mode, or the dynamic one; where it stands depends on the format. */
static s64 random_rounding(const struct insn_line *line, s64 imm)
{
    s64 rm = (s64)rnd(6);

    if (rm == 5)
        rm = 7;
    if (line->fmt == FMT_FR4)
        return (imm & 31) | rm << 8;
    if (line->fmt == FMT_FR_RM || line->fmt == FMT_FR1_RM || line->fmt == FMT_F2X_RM ||
        line->fmt == FMT_X2F_RM)
        return rm;
    return imm;
}

/* Widths by the mnemonic's parts: the last is the source's, the first after the name the result's.
 */
static unsigned width_named(const char *part)
{
    return part && part[1] == 'd'   ? 64
           : part && part[1] == 's' ? 32
           : part && part[1] == 'h' ? 16
                                    : 0;
}

static unsigned result_width(const struct insn_line *line)
{
    if (line->fmt == FMT_FLOAD)
        return 8u << (line->match >> 12 & 7);
    if (line->fmt == FMT_CL8F || line->fmt == FMT_CLSP8F || line->op == OP_fmv_d_x)
        return 64;
    return line->op == OP_fmv_w_x ? 32 : width_named(strchr(line->name, '.'));
}

static u32 suitable_f(u32 reg, unsigned width)
{
    for (u32 i = 0; i < 8 && width_of[reg] != width; i++)
        reg = (u32)rnd(32);
    return reg;
}

/* Mostly registers that hold a value of the format which the instruction reads. */
static void suit(const struct insn_line *line, struct insn_operands *o)
{
    bool three = line->fmt == FMT_FR4,
         one = line->fmt == FMT_FR1_RM || line->fmt == FMT_F2X || line->fmt == FMT_F2X_RM;
    bool two = line->fmt == FMT_FR_RM || line->fmt == FMT_FR || line->fmt == FMT_FCMP;
    unsigned width = width_named(strrchr(line->name, '.'));

    if (!(three || two || one) || !width || one_in(6))
        return;
    o->rs1 = suitable_f(o->rs1, width);
    if (two || three)
        o->rs2 = suitable_f(o->rs2, width);
    if (three)
        o->imm = (s64)suitable_f((u32)o->imm & 31, width);
}

static struct insn_operands operands(const struct chunk *chunk, const struct insn_line *line)
{
    struct insn_operands o;

    do
        o = insn_random_operands(line, &rng);
    while ((writes_integer(line) && is_reserved(o.rd)) ||
           (is_swap(line->op) && !is_swap_usable(line, &o)));
    if (is_memory(line->fmt))
        aim(chunk, line, &o);
    if (is_atomic(line->fmt))
        o.rs1 = atomic_base(line);
    suit(line, &o);
    o.imm = random_rounding(line, o.imm);
    if (insn_bits_have(line, "DX") && !writes_integer(line))
        width_of[o.rd] = (u8)result_width(line);
    return o;
}

/* Items. */
static void append(struct item *item, const struct insn_line *line, struct insn_operands o)
{
    item->insn[item->count].line = line;
    item->insn[item->count++].o = o;
}

static void make_branch(struct item *item, const struct chunk *chunk, const struct insn_line *line)
{
    item->kind = ITEM_BRANCH;
    item->skip = (u32)rnd(6);
    append(item, line, operands(chunk, line));
}

static void make_indirect(struct item *item, const struct chunk *chunk,
                          const struct insn_line *line)
{
    struct insn_operands o = operands(chunk, line);

    item->kind = ITEM_INDIRECT;
    item->skip = (u32)rnd(6);
    o.rs1 = free_reg();
    append(item, line_of(OP_auipc), (struct insn_operands){.rd = o.rs1});
    if (line->compressed)
        append(item, line_of(OP_addi), (struct insn_operands){.rd = o.rs1, .rs1 = o.rs1});
    append(item, line, o);
}

/* LR, something, SC to the same place, sometimes to another, where it must fail. */
static void make_reserved(struct item *item, const struct chunk *chunk,
                          const struct insn_line *line)
{
    bool wide = line->op == OP_lr_d || line->op == OP_sc_d;
    const struct insn_line *lr = line_of(wide ? OP_lr_d : OP_lr_w);
    const struct insn_line *sc = line_of(wide ? OP_sc_d : OP_sc_w);
    struct insn_operands o = operands(chunk, lr), c = operands(chunk, sc);

    if (!one_in(8))
        c.rs1 = o.rs1;
    append(item, lr, o);
    if (one_in(2))
        append(item, line_of(OP_add), operands(chunk, line_of(OP_add)));
    append(item, sc, c);
}

/* The floating-point registers; the rounding mode stays valid. */
static void make_csr(struct item *item, const struct chunk *chunk, const struct insn_line *line)
{
    struct insn_operands o = operands(chunk, line);

    o.imm = CSR_FFLAGS;
    if (one_in(3)) { /* read only */
        line = line_of(OP_csrrs);
        o.rs1 = 0;
        o.imm = CSR_FFLAGS + (s64)rnd(3);
    } else if (one_in(3)) {
        line = line_of(OP_csrrwi);
        o.imm = one_in(2) ? CSR_FRM : CSR_FCSR;
        o.rs1 = (u32)rnd(o.imm == CSR_FRM ? 5 : 32);
    }
    append(item, line, o);
}

/* There and back, for sp stays. */
static void make_sp_steps(struct item *item, const struct insn_line *line)
{
    struct insn_operands o = insn_random_operands(line, &rng);

    if (o.imm == -512)
        o.imm = 16;
    append(item, line, o);
    o.imm = -o.imm;
    append(item, line, o);
}

static bool is_round(enum op op)
{
    return op == OP_fround_h || op == OP_fround_s || op == OP_fround_d || op == OP_froundnx_h ||
           op == OP_froundnx_s || op == OP_froundnx_d;
}

/* With a use of the result: QEMU 10.0 forgets the flags of a rounding whose result none uses. */
static void make_round(struct item *item, const struct chunk *chunk, const struct insn_line *line)
{
    struct insn_operands o = operands(chunk, line);
    struct insn_operands store = operands(chunk, line_of(OP_fsd));

    store.rs2 = o.rd;
    append(item, line, o);
    append(item, line_of(OP_fsd), store);
}

static void make_item(struct item *item, const struct chunk *chunk, const struct insn_line *line)
{
    *item = (struct item){.kind = ITEM_PLAIN};
    if (line->op == OP_jalr)
        make_indirect(item, chunk, line);
    else if (line->fmt == FMT_B || line->fmt == FMT_CB || line->op == OP_jal)
        make_branch(item, chunk, line);
    else if (line->op == OP_lr_w || line->op == OP_sc_w || line->op == OP_lr_d ||
             line->op == OP_sc_d)
        make_reserved(item, chunk, line);
    else if (line->fmt == FMT_CSR || line->fmt == FMT_CSRI)
        make_csr(item, chunk, line);
    else if (is_round(line->op))
        make_round(item, chunk, line);
    else if (line->fmt == FMT_C16SP)
        make_sp_steps(item, line);
    else
        append(item, line, operands(chunk, line));
}

void diff_gen_chunk(struct chunk *chunk, u64 seed)
{
    rng = seed;
    chunk->seed = seed;
    random_state(chunk);
    chunk->count = 24 + (u32)rnd(ITEMS_MAX - 24);
    for (u32 i = 0; i < chunk->count; i++)
        make_item(&chunk->item[i], chunk, pick_line());
}

void diff_gen_single(struct chunk *chunk, const struct insn_line *line)
{
    rng = chunk->seed = 1;
    random_state(chunk);
    chunk->count = 1;
    make_item(&chunk->item[0], chunk, line);
}
