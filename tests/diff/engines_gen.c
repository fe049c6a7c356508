/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes random programs for engines.c: their rows of items, and random single instructions. */
#include "tests/diff/engines.h"

#include "rv/csr.h"

static bool usable[ARRAY_SIZE(insn_lines)];
static bool compressed;

u64 engines_rnd(u64 *rng, u64 below)
{
    return insn_random(rng) % below;
}

const struct insn_line *engines_line(enum op op)
{
    u32 i = 0;

    while (insn_lines[i].op != op || insn_lines[i].compressed)
        i++;
    return &insn_lines[i];
}

/* Control flow has items of its own; what returns from traps goes who knows where. */
static bool is_left_out(const struct insn_line *line)
{
    switch (line->op) {
    case OP_jal:
    case OP_jalr:
    case OP_ecall:
    case OP_mret:
    case OP_sret:
    case OP_amocas_q:
        return true;
    default:
        return line->fmt == FMT_B || line->fmt == FMT_CB || line->fmt == FMT_CSR ||
               line->fmt == FMT_CSRI || line->fmt == FMT_C16SP;
    }
}

void engines_gen_init(const struct isa *isa)
{
    compressed = isa_has(isa, ISA_C);
    for (u32 i = 0; i < ARRAY_SIZE(insn_lines); i++)
        usable[i] = !is_left_out(&insn_lines[i]) && (compressed || !insn_lines[i].compressed);
}

const struct insn_line *engines_pick(u64 *rng)
{
    for (;;) {
        const struct insn_line *line = &insn_lines[engines_rnd(rng, ARRAY_SIZE(insn_lines))];
        bool common = !strcmp(line->ext, "I") || !strcmp(line->ext, "M") || line->compressed;
        bool crypto = !strncmp(line->ext, "ZK", 2);
        if (usable[line - insn_lines] && (common || !engines_rnd(rng, crypto ? 6 : 3)))
            return line;
    }
}

static bool is_reserved(u32 reg)
{
    return reg == REG_RA || reg == REG_SP || reg == REG_MID || reg == REG_ODD ||
           (reg >= REG_MMIO && reg <= REG_LOOP + 1);
}

u32 engines_free_reg(u64 *rng)
{
    u32 reg;

    do
        reg = (u32)engines_rnd(rng, 31) + 1;
    while (is_reserved(reg));
    return reg;
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

/* Few registers, so that instructions meet each other's results. */
static u32 near_reg(u32 reg, u64 *rng)
{
    static const u8 few[] = {10, 11, 12, 15, 5, 18, 0};

    return engines_rnd(rng, 3) ? few[engines_rnd(rng, sizeof(few))] : reg;
}

static struct insn_operands operands(const struct insn_line *line, u64 *rng)
{
    static const u8 bases[] = {REG_MID, REG_MID, REG_ODD, REG_SP};
    struct insn_operands o;
    const char *bits = insn_bits(line);

    do {
        o = insn_random_operands(line, rng);
        if (strchr(bits, 'D') && strchr(bits, 'S') && !line->compressed) {
            o.rd = near_reg(o.rd, rng);
            o.rs1 = near_reg(o.rs1, rng);
            o.rs2 = strchr(bits, 'T') ? near_reg(o.rs2, rng) : 0;
        }
    } while ((insn_bits_have(line, "DBXW") && is_reserved(o.rd)) ||
             (line->op == OP_fence && o.imm == 0x10) || (line->op == OP_packw && !o.rs2));
    if (is_memory(line->fmt) && insn_bits_have(line, "Y"))
        o.rs1 = engines_rnd(rng, 2) ? REG_MID : REG_ODD;
    else if ((is_memory(line->fmt) && insn_bits_have(line, "S")) || is_atomic(line->fmt))
        o.rs1 = bases[engines_rnd(rng, sizeof(bases))];
    if (is_memory(line->fmt) && !line->compressed && engines_rnd(rng, 2))
        o.imm = (s64)engines_rnd(rng, 48) - 24;
    return o;
}

void engines_emit_plain(struct text *t)
{
    const struct insn_line *line = engines_pick(&t->rng);
    struct insn_operands o;

    /* The supervisor's handler takes all instructions that may fault for four bytes long. */
    while (t->program->delegates && line->compressed && is_memory(line->fmt))
        line = engines_pick(&t->rng);
    o = operands(line, &t->rng);
    emit_raw(t, insn_encode(line, &o), line->compressed);
}

/* ---- rows of items ---- */

static struct item *add(struct program *p, enum item_kind kind, u64 *rng)
{
    struct item *item = &p->item[p->count < ITEMS_MAX - 1 ? p->count++ : p->count];

    *item = (struct item){.kind = kind, .seed = insn_random(rng)};
    return item;
}

static enum item_kind random_kind(const struct program *p, u64 *rng)
{
    static const u8 kinds[] = {
        ITEM_BRANCH,  ITEM_BRANCH, ITEM_JUMP,  ITEM_INDIRECT, ITEM_CALL, ITEM_CALL,
        ITEM_PATCHED, ITEM_PATCH,  ITEM_WILD,  ITEM_MMIO,     ITEM_IRQ,  ITEM_PTE,
        ITEM_CSR,     ITEM_CSR,    ITEM_FENCE, ITEM_CROSS,
    };
    enum item_kind kind;

    if (engines_rnd(rng, 5) < 3)
        return ITEM_PLAIN;
    kind = kinds[engines_rnd(rng, sizeof(kinds))];
    if ((kind == ITEM_IRQ && !p->interrupts) || (kind == ITEM_PTE && !p->translated))
        return ITEM_PLAIN;
    return kind;
}

static void add_items(struct program *p, u32 count, u32 level, u64 *rng)
{
    while (count--) {
        u32 begin;
        if (level < 2 && !engines_rnd(rng, 12)) {
            begin = p->count;
            add(p, ITEM_LOOP_BEGIN, rng)->level = level;
            add_items(p, 2 + (u32)engines_rnd(rng, 8), level + 1, rng);
            add(p, ITEM_LOOP_END, rng)->level = level;
            p->item[p->count - 1].to = begin + 1;
            continue;
        }
        add(p, random_kind(p, rng), rng);
    }
}

/* Jumps lead a little forward, not beyond the end of their fragment or function. */
static void aim_jumps(struct program *p, u32 first, u32 end, u64 *rng)
{
    for (u32 i = first; i < end; i++) {
        struct item *item = &p->item[i];
        u32 to = i + 1 + (u32)engines_rnd(rng, 6);
        if (item->kind == ITEM_BRANCH || item->kind == ITEM_JUMP || item->kind == ITEM_INDIRECT)
            item->to = to < end ? to : end;
    }
}

static u32 find_kind(const struct program *p, enum item_kind kind, u32 at)
{
    for (u32 n = 0; n < p->count; n++, at++) {
        if (p->item[at % p->count].kind == kind)
            return at % p->count;
    }
    return p->count;
}

/* Calls go to what follows a RETURN, patches to a PATCHED. */
static void aim_calls(struct program *p, u32 functions, u64 *rng)
{
    for (u32 i = 0; i < p->count; i++) {
        struct item *item = &p->item[i];
        u32 to;
        if (item->kind == ITEM_CALL && i < functions) {
            to = find_kind(p, ITEM_RETURN, functions + (u32)engines_rnd(rng, p->count - functions));
            item->to = to + 2 < p->count ? to + 1 : functions;
        } else if (item->kind == ITEM_CALL) {
            item->kind = ITEM_PLAIN;
        } else if (item->kind == ITEM_PATCH) {
            item->to = find_kind(p, ITEM_PATCHED, (u32)engines_rnd(rng, p->count));
            if (item->to == p->count)
                item->kind = ITEM_PLAIN;
        }
    }
}

static void gen_fragment(struct program *p, struct fragment *f, u64 *rng)
{
    static const u64 u_views[] = {VIEW_U, VIEW_U, VIEW_U_2M},
                     s_views[] = {RAM_BASE, RAM_BASE, VIEW_S_2M};
    u64 mode = engines_rnd(rng, 3);

    f->priv = mode == 0 ? PRIV_M : mode == 1 ? PRIV_S : PRIV_U;
    f->copy = engines_rnd(rng, 2);
    f->view = f->data_view = RAM_BASE;
    f->mmio = MMIO_BASE;
    f->mstatus = (u64)f->priv << 11 | (engines_rnd(rng, 10) ? MSTATUS_FS : 0) | MSTATUS_MPIE |
                 (insn_random(rng) & (MSTATUS_SUM | MSTATUS_MXR));
    if (!p->translated || f->priv == PRIV_M)
        return;
    f->view = f->priv == PRIV_U ? u_views[engines_rnd(rng, 3)] : s_views[engines_rnd(rng, 3)];
    f->data_view = f->priv == PRIV_U ? u_views[engines_rnd(rng, 3)] : s_views[engines_rnd(rng, 3)];
    if (f->priv == PRIV_S && !engines_rnd(rng, 4)) {
        f->data_view = VIEW_U;
        f->mstatus |= MSTATUS_SUM;
    }
    f->mmio = f->priv == PRIV_U ? VIEW_U_MMIO : VIEW_S_MMIO;
}

bool engines_gen(struct program *p, u64 seed)
{
    u64 rng = seed;
    u32 functions;

    memset(p, 0, sizeof(*p));
    p->seed = seed;
    p->translated = engines_rnd(&rng, 4);
    p->interrupts = !engines_rnd(&rng, 3);
    p->delegates = !engines_rnd(&rng, 3);
    p->s_update = engines_rnd(&rng, 2);
    p->compressed = compressed;
    p->fragments = 1 + (u32)engines_rnd(&rng, FRAGMENTS_MAX);
    for (u32 i = 0; i < p->fragments; i++) {
        u32 first = p->count;
        p->fragment[i].item = first;
        gen_fragment(p, &p->fragment[i], &rng);
        add_items(p, 4 + (u32)engines_rnd(&rng, 16), 0, &rng);
        aim_jumps(p, first, p->count, &rng);
        add(p, ITEM_END, &rng);
    }
    functions = p->count;
    for (u32 i = 0; i < 3; i++) {
        u32 first = p->count;
        add_items(p, 2 + (u32)engines_rnd(&rng, 4), 2, &rng);
        aim_jumps(p, first, p->count, &rng);
        add(p, ITEM_RETURN, &rng);
    }
    add(p, ITEM_END, &rng);
    if (p->count == ITEMS_MAX - 1)
        return false;
    aim_calls(p, functions, &rng);
    return true;
}
