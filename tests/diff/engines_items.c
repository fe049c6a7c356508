/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The code of each item of a program. How much an item emits depends on its own random numbers and
 * on what lies before it, never on what is yet to come: a few passes find all addresses.
 */
#include "tests/diff/engines.h"

#include "rv/csr.h"

#define ALU(f) f(add) f(sub) f(xor) f(sltu) f(mul) f(and) f(srl) f(addw) f(div) f(mulhu)

static u64 rnd(struct text *t, u64 below)
{
    return engines_rnd(&t->rng, below);
}

static u32 free_reg(struct text *t)
{
    return engines_free_reg(&t->rng);
}

static u32 other_free_reg(struct text *t, u32 than)
{
    u32 reg;

    do
        reg = free_reg(t);
    while (reg == than);
    return reg;
}

static s64 distance(const struct text *t, u32 to)
{
    return (s64)t->program->offset[to] - (s64)t->at;
}

static u32 counter_of(u32 level)
{
    return level == LOOP_FN ? REG_LOOP_FN : REG_LOOP + level;
}

static u32 random_alu(struct text *t)
{
#define OP(id) OP_##id,
    static const u16 ops[] = {ALU(OP)};
#undef OP
    const struct insn_line *line = engines_line((enum op)ops[rnd(t, ARRAY_SIZE(ops))]);
    struct insn_operands o = {.rd = free_reg(t), .rs1 = (u32)rnd(t, 32), .rs2 = (u32)rnd(t, 32)};

    return insn_encode(line, &o);
}

/* ---- control flow ---- */

/* Is the item `to` so near that a compressed jump reaches it, whatever lies between? */
static bool is_near(const struct program *p, u32 from, u32 to)
{
    for (u32 i = from; i < to; i++) {
        if (p->item[i].kind == ITEM_CROSS || p->item[i].kind == ITEM_POOL ||
            p->item[i].kind == ITEM_SWITCH)
            return false;
    }
    return p->compressed && to - from <= 2;
}

static void emit_compressed_jump(struct text *t, const char *name, u32 reg, s64 imm)
{
    struct insn_operands o = {.rs1 = reg, .imm = imm};

    emit_named(t, name, &o);
}

static void emit_branch(struct text *t, const struct program *p, u32 at)
{
    static const u16 ops[] = {OP_beq, OP_bne, OP_blt, OP_bge, OP_bltu, OP_bgeu};
    u32 to = p->item[at].to;
    s64 ahead = distance(t, to);

    if (is_near(p, at, to) && rnd(t, 2)) {
        emit_compressed_jump(t, rnd(t, 2) ? "c.beqz" : "c.bnez", 8 + (u32)rnd(t, 8), ahead);
        return;
    }
    /* Too far for a branch: over a jump. */
    emit_insn(t, (enum op)ops[rnd(t, ARRAY_SIZE(ops))], 0, (u32)rnd(t, 32), (u32)rnd(t, 32),
              ahead < 4000 ? ahead : 8);
    emit_insn(t, OP_jal, 0, 0, 0, ahead < 4000 ? 4 : ahead - 4);
}

static void emit_jump(struct text *t, const struct program *p, u32 at)
{
    u32 to = p->item[at].to;

    if (is_near(p, at, to) && rnd(t, 2))
        emit_compressed_jump(t, "c.j", 0, distance(t, to));
    else
        emit_insn(t, OP_jal, rnd(t, 2) ? 0 : free_reg(t), 0, 0, distance(t, to));
}

/* The address that lies ahead of here. */
static void emit_ahead(struct text *t, u32 rd, s64 ahead)
{
    s64 low = (s64)sext((u64)ahead, 12);

    emit_insn(t, OP_auipc, rd, 0, 0, (ahead - low) >> 12);
    emit_insn(t, OP_addi, rd, rd, 0, low);
}

static void emit_indirect(struct text *t, const struct program *p, u32 at)
{
    u32 reg = free_reg(t);

    emit_ahead(t, reg, distance(t, p->item[at].to));
    if (p->compressed && !rnd(t, 3))
        emit_compressed_jump(t, "c.jr", reg, 0);
    else
        emit_insn(t, OP_jalr, rnd(t, 2) ? 0 : rnd(t, 2) ? reg : free_reg(t), reg, 0, 0);
}

/* One of some places by a register's value: a row of jumps, or a table of distances. */
static void emit_switch(struct text *t)
{
    u32 a = free_reg(t), b = other_free_reg(t, a), c, cases = 2u << rnd(t, 3);
    u32 by = rnd(t, 2) ? REG_LOOP + (u32)rnd(t, 2) : (u32)rnd(t, 32);
    bool table = rnd(t, 2);

    do
        c = other_free_reg(t, a);
    while (c == b);
    emit_insn(t, OP_andi, a, by, 0, cases - 1);
    emit_insn(t, OP_auipc, b, 0, 0, 0); /* all distances are from here */
    emit_insn(t, OP_sh2add, a, a, b, 0);
    if (table) {
        emit_insn(t, OP_addi, c, 0, 0, 24 + 4 * cases); /* if the load faults */
        emit_insn(t, OP_lw, c, a, 0, 24);
        emit_insn(t, OP_add, a, c, b, 0);
    }
    emit_insn(t, OP_jalr, rnd(t, 2) ? 0 : c, a, 0, table ? 0 : 12);
    for (u32 i = 0; table && i < cases; i++)
        emit_raw(t, 24 + 4 * cases + 4 * i, false);
    for (u32 i = 0; !table && i < cases; i++)
        emit_insn(t, OP_jal, 0, 0, 0, 4 * cases);
    for (u32 i = 0; i < cases; i++)
        emit_raw(t, random_alu(t), false);
}

static void emit_call(struct text *t, const struct program *p, u32 at)
{
    const struct item *item = &p->item[at];
    u32 reg;

    if (item->value)
        emit_insn(t, OP_addi, REG_DEPTH, 0, 0, item->value);
    switch (rnd(t, 3)) {
    case 0:
        emit_insn(t, OP_jal, item->level, 0, 0, distance(t, item->to));
        break;
    case 1:
        emit_ahead(t, item->level, distance(t, item->to));
        emit_insn(t, OP_jalr, item->level, item->level, 0, 0);
        break;
    default:
        reg = free_reg(t);
        emit_ahead(t, reg, distance(t, item->to));
        emit_insn(t, OP_jalr, item->level, reg, 0, 0);
    }
}

static void emit_frame(struct text *t, u32 link, bool enter)
{
    emit_insn(t, enter ? OP_addi : OP_ld, enter ? REG_STACK : link, REG_STACK, 0, enter ? -16 : 8);
    emit_insn(t, enter ? OP_sd : OP_addi, REG_STACK, REG_STACK, link, enter ? 8 : 16);
}

static void emit_recurse(struct text *t, u32 out)
{
    emit_insn(t, OP_blt, 0, 0, REG_DEPTH, 8);
    emit_insn(t, OP_jal, 0, 0, 0, distance(t, out));
    emit_insn(t, OP_addi, REG_DEPTH, REG_DEPTH, 0, -1);
}

/* How a loop's begin and end share the work. */
enum { LOOP_BOTTOM, LOOP_TOP, LOOP_FLAG, LOOP_INDIRECT, LOOP_FORMS };

static void emit_loop_begin(struct text *t, const struct program *p, u32 at)
{
    emit_li(t, counter_of(p->item[at].level), (s32)p->item[at].value);
}

static void emit_far_back(struct text *t, enum op unless, u32 a, u32 b, s64 back)
{
    emit_insn(t, unless, 0, a, b, 8);
    emit_insn(t, OP_jal, 0, 0, 0, back - 4);
}

static void emit_loop_end(struct text *t, const struct program *p, u32 at)
{
    u32 counter = counter_of(p->item[at].level), flag = 10 + (u32)rnd(t, 4), reg = free_reg(t);
    s64 back;

    emit_insn(t, OP_addi, counter, counter, 0, -1);
    switch (rnd(t, LOOP_FORMS)) {
    case LOOP_FLAG:
        emit_insn(t, OP_slt, flag, 0, counter, 0);
        back = distance(t, p->item[at].to + 1);
        if (p->compressed && back > -250)
            emit_compressed_jump(t, "c.bnez", flag, back);
        else
            emit_far_back(t, OP_beq, flag, 0, back);
        break;
    case LOOP_INDIRECT:
        emit_insn(t, OP_bge, 0, 0, counter, 16);
        emit_ahead(t, reg, distance(t, p->item[at].to + 1));
        emit_insn(t, OP_jalr, 0, reg, 0, 0);
        break;
    case LOOP_TOP:
        emit_far_back(t, OP_bge, 0, counter, distance(t, p->item[at].to + 1));
        break;
    default:
        back = distance(t, p->item[at].to + 1);
        if (back > -4000)
            emit_insn(t, OP_blt, 0, 0, counter, back);
        else
            emit_far_back(t, OP_bge, 0, counter, back);
    }
}

/* Over the next item but at certain values of a loop's counter. */
static void emit_late(struct text *t, const struct program *p, u32 at)
{
    const struct item *item = &p->item[at];
    u32 counter = counter_of(item->level), reg = free_reg(t);
    enum op over = OP_beq;
    u32 a = counter, b = reg;

    switch (rnd(t, 4)) {
    case 0:
        emit_insn(t, OP_andi, reg, counter, 0, (8 << rnd(t, 7)) - 1);
        a = 0;
        break;
    case 1:
        emit_insn(t, OP_addi, reg, 0, 0, (item->value & 7) + 1);
        over = OP_bge;
        a = reg;
        b = counter;
        break;
    default:
        emit_li(t, reg, (s32)item->value);
    }
    emit_insn(t, over, 0, a, b, 8);
    emit_insn(t, OP_jal, 0, 0, 0, distance(t, item->to));
}

/* ---- changing code ---- */

/* What a PATCHED becomes: mostly something plain, sometimes a jump forward or nothing legal. */
static u32 random_patch(struct text *t, u32 target)
{
    const struct program *p = t->program;
    struct insn_operands o = {0};

    switch (rnd(t, 8)) {
    case 0:
        o.imm = (s64)p->offset[p->item[target].to] - (s64)p->offset[target];
        return insn_encode(engines_line(OP_jal), &o);
    case 1:
        return rnd(t, 4) ? 0x00000013 : 0; /* or illegal */
    case 2:
    case 3:
    case 4:
        return engines_patch_insn(t);
    default:
        return random_alu(t);
    }
}

/* Rewrites an instruction, at once or in parts, then fences. */
static void emit_patch(struct text *t, const struct program *p, u32 at)
{
    u32 a = free_reg(t), b = other_free_reg(t, a), how = (u32)rnd(t, 8), target = p->item[at].to;

    emit_ahead(t, a, distance(t, target));
    emit_li(t, b, (s32)(how < 2 ? random_alu(t) : random_patch(t, target)));
    switch (how) {
    case 0: /* a mixture of two such instructions is harmless, too */
        emit_insn(t, OP_sh, 0, a, b, 0);
        emit_insn(t, OP_srli, b, b, 0, 16);
        emit_insn(t, OP_sh, 0, a, b, 2);
        break;
    case 1:
        emit_insn(t, OP_sh, 0, a, b, 0);
        emit_insn(t, OP_rori, b, b, 0, 16);
        emit_insn(t, OP_addi, a, a, 0, 2);
        emit_insn(t, OP_sh, 0, a, b, 0);
        break;
    case 2:
        emit_insn(t, OP_amoswap_w, rnd(t, 2) ? 0 : b, a, b, 0);
        break;
    case 3:
        emit_insn(t, OP_fmv_w_x, b, b, 0, 0);
        emit_insn(t, OP_fsw, 0, a, b, 0);
        break;
    case 4:
        emit_insn(t, OP_lr_w, 0, a, 0, 0);
        emit_insn(t, OP_sc_w, 0, a, b, 0);
        break;
    default:
        emit_insn(t, OP_sw, 0, a, b, 0);
    }
    emit_insn(t, OP_fence_i, 0, 0, 0, 0);
}

/* Data amid the code: stores near instructions, none of which changes. */
static void emit_pool(struct text *t)
{
    static const u16 stores[] = {OP_sb, OP_sh, OP_sw, OP_sd, OP_fsd},
                     loads[] = {OP_lb, OP_lhu, OP_lw, OP_ld, OP_fld},
                     atomics[] = {OP_amoadd_w, OP_amoxor_d, OP_amomaxu_w, OP_amoswap_d};
    u32 bytes = 8u << rnd(t, 3), a = free_reg(t), n = 1 + (u32)rnd(t, 3);
    u32 after = 4 * n; /* from the end of the pool to the end of the accesses */
    u32 start;

    emit_ahead(t, a, 12);
    emit_insn(t, OP_jal, 0, 0, 0, 4 + (s64)bytes);
    start = t->at;
    while (t->at + 4 <= t->size && t->at < start + bytes)
        emit_raw(t, (u32)insn_random(&t->rng), false);
    for (; after; after -= 4) {
        u64 imm = rnd(t, bytes - 7), which = rnd(t, 5);
        if (!rnd(t, 4))
            emit_insn(t, (enum op)atomics[which % 4], other_free_reg(t, a), a, (u32)rnd(t, 32), 0);
        else if (rnd(t, 2))
            emit_insn(t, (enum op)stores[which], 0, a, (u32)rnd(t, 32), (s64)imm);
        else
            emit_insn(t, (enum op)loads[which], other_free_reg(t, a), a, 0, (s64)imm);
    }
}

/* On to just before the next page. */
static void emit_cross(struct text *t, const struct program *p)
{
    u32 before = p->compressed ? 2 * (u32)rnd(t, 8) : 4 * (u32)rnd(t, 4);
    u32 to = (u32)(t->at / PAGE_SIZE + 1) * (u32)PAGE_SIZE - before;

    if (t->at + 4 > to || to + 256 > t->size)
        return;
    emit_insn(t, OP_jal, 0, 0, 0, (s64)to - t->at);
    t->at = to;
}

/* ---- data ---- */

/* Where no memory is, or where it is only under another name. */
static void emit_wild(struct text *t)
{
    static const u16 loads[] = {OP_lb, OP_lhu, OP_lw, OP_ld, OP_fld, OP_flw},
                     stores[] = {OP_sw, OP_sd};
    static const u8 bits[] = {21, 22, 30, 31, 32, 38, 39, 46, 47, 48, 55, 56, 62, 63, 63};
    u32 reg = free_reg(t), data = free_reg(t);
    bool store = rnd(t, 2);
    s64 imm = (s64)rnd(t, 64) - 32;

    switch (rnd(t, 4)) {
    case 0:
        store = false; /* who knows where */
        break;
    case 1:
        emit_li(t, reg, 0x70000000 + (s32)rnd(t, 8192));
        break;
    case 2:
        emit_insn(t, OP_addi, reg, 0, 0, 0);
        break;
    default:
        emit_insn(t, OP_binvi, reg, REG_MID, 0, bits[rnd(t, sizeof(bits))]);
    }
    if (store)
        emit_insn(t, (enum op)stores[rnd(t, 2)], 0, reg, (u32)rnd(t, 32), imm);
    else
        emit_insn(t, (enum op)loads[rnd(t, ARRAY_SIZE(loads))], data, reg, 0, imm);
}

/* To an address without memory; the handler goes on with the next fragment. */
static void emit_wild_jump(struct text *t)
{
    static const u8 bits[] = {38, 39, 47, 56, 62, 63};
    u32 reg = free_reg(t);

    emit_ahead(t, reg, 0);
    emit_insn(t, OP_binvi, reg, reg, 0, bits[rnd(t, sizeof(bits))]);
    emit_insn(t, OP_jalr, (u32)rnd(t, 2), reg, 0, 0);
}

/* LR and SC as programs use them, with something that may come between. */
static void emit_atomic(struct text *t)
{
    static const u8 bases[] = {REG_MID, REG_MID, REG_SP, REG_WALK, REG_ODD};
    u32 base = bases[rnd(t, t->program->calm ? 3 : 5)], a = free_reg(t);
    u32 b = other_free_reg(t, a), c = other_free_reg(t, a);
    bool wide = rnd(t, 2);

    emit_insn(t, OP_addi, c, base, 0, (s64)rnd(t, 8) * 8);
    emit_insn(t, wide ? OP_lr_d : OP_lr_w, a, c, 0, 0);
    switch (rnd(t, 6)) {
    case 0:
        emit_insn(t, OP_sb, 0, c, a, (s64)rnd(t, 8));
        break;
    case 1:
        emit_insn(t, OP_sd, 0, base, b, (s64)rnd(t, 8) * 8);
        break;
    case 2:
        emit_insn(t, OP_addi, c, c, 0, 8);
        break;
    case 3:
        wide = !wide;
        break;
    default:
        emit_insn(t, OP_addi, a, a, 0, 1);
    }
    emit_insn(t, wide ? OP_sc_d : OP_sc_w, b, c, rnd(t, 4) ? a : (u32)rnd(t, 32), 0);
    if (!rnd(t, 4))
        emit_insn(t, OP_sc_w, b, c, a, 0);
}

static void emit_mmio(struct text *t)
{
    static const u16 ops[] = {OP_lb, OP_lhu, OP_lw, OP_ld, OP_sb, OP_sh, OP_sw, OP_sd};
    u32 which = (u32)rnd(t, 8);
    s64 offset = 32 + 8 * (s64)rnd(t, 8) + (rnd(t, 4) ? 0 : 1 + (s64)rnd(t, 7));

    emit_insn(t, (enum op)ops[which], free_reg(t), REG_MMIO, (u32)rnd(t, 32), offset);
}

/* REG_WALK goes on through all pages of data and begins anew. */
static void emit_walk(struct text *t)
{
    static const s16 steps[] = {1, 4, 8, 8, 8, 16, 24, 63, 64, 72, 256, 1000, 2040, -8, -2000};
    u32 reg = free_reg(t);
    const u32 bits = 15;

    _Static_assert(DATA_PAGES * PAGE_SIZE == 1 << 15, "as bits says");
    emit_insn(t, OP_addi, REG_AT, REG_AT, 0, steps[rnd(t, ARRAY_SIZE(steps))]);
    emit_insn(t, OP_slli, reg, REG_AT, 0, 64 - bits);
    emit_insn(t, OP_srli, reg, reg, 0, 64 - bits);
    emit_insn(t, OP_add, REG_WALK, REG_BASE, reg, 0);
}

static void emit_fset(struct text *t)
{
    static const u16 loads[] = {OP_fld, OP_fld, OP_fld, OP_flw, OP_flh};
    static const u8 few[] = {10, 11, 12, 15, 5, 18, 0};
    u32 a = free_reg(t), b = other_free_reg(t, a), fd = few[rnd(t, sizeof(few))];
    s64 imm = 8 * (s64)rnd(t, 250);

    emit_insn(t, OP_lui, a, 0, 0, PAGE_SPECIALS - PAGE_DATA);
    emit_insn(t, OP_add, a, a, REG_BASE, 0);
    if (rnd(t, 2)) { /* another one each round */
        emit_insn(t, OP_andi, b, REG_LOOP + (u32)rnd(t, 2), 0, 0xff);
        emit_insn(t, OP_sh3add, a, b, a, 0);
    }
    emit_insn(t, (enum op)loads[rnd(t, 5)], fd, a, 0, imm);
}

/* ---- translation and modes ---- */

/* An edit: a PTE of the last level, its value, and what to fence: see handler_pte. */
struct edit {
    u32 offset; /* within the tables of the last level */
    u64 pte;
    u64 va;   /* 0: all */
    u32 asid; /* 0: any */
};

static struct edit random_edit(struct text *t, bool data_only)
{
    u32 table = (u32)rnd(t, LAST_PAGES);
    bool user = table, code = !data_only && !rnd(t, 3);
    u32 page = code ? PAGE_CODE + (u32)rnd(t, 2 * CODE_PAGES) : PAGE_DATA + (u32)rnd(t, DATA_PAGES);
    struct edit e = {.offset = (u32)(table * PAGE_SIZE + 8 * page)};

    e.pte = engines_random_pte(t->program, &t->rng, page, user);
    if (rnd(t, 2))
        e.va = (user ? VIEW_U : RAM_BASE) + page * PAGE_SIZE;
    if (user && rnd(t, 2))
        e.asid = table;
    return e;
}

static void emit_pte(struct text *t)
{
    struct edit e = random_edit(t, false);

    emit_li(t, 10, (s32)e.offset);
    emit_li(t, 11, (s32)e.pte);
    emit_const(t, 12, e.va);
    emit_li(t, 13, (s32)e.asid);
    emit_insn(t, OP_addi, 17, 0, 0, 1);
    emit_insn(t, OP_ecall, 0, 0, 0, 0);
}

/* Without a trap: the tables lie in the supervisor's superpage. Of data only, so that it is no
 * question where between store and fence the next instruction comes from. */
static void emit_pte_local(struct text *t, enum priv priv)
{
    struct edit e = random_edit(t, true);
    u64 tables = (priv == PRIV_M ? RAM_BASE : VIEW_S_2M) + PAGE_LAST * PAGE_SIZE;
    u32 a = free_reg(t), b = other_free_reg(t, a);

    emit_const(t, a, tables + e.offset);
    emit_li(t, b, (s32)e.pte);
    emit_insn(t, OP_sd, 0, a, b, 0);
    emit_const(t, a, e.va);
    emit_li(t, b, (s32)e.asid);
    if (!rnd(t, 4)) {
        emit_insn(t, OP_sfence_w_inval, 0, 0, 0, 0);
        emit_insn(t, OP_sinval_vma, 0, e.va ? a : 0, e.asid ? b : 0, 0);
        emit_insn(t, OP_sfence_inval_ir, 0, 0, 0, 0);
        return;
    }
    emit_insn(t, OP_sfence_vma, 0, e.va ? a : 0, e.asid ? b : 0, 0);
}

/* To the other space, another depth of tables, or none: the supervisor's code stays where it is. */
static void emit_satp(struct text *t)
{
    u32 mode = 8 + (u32)rnd(t, 3), space = (u32)rnd(t, SPACES), reg = free_reg(t);
    u32 root = mode == 8 ? PAGE_ROOT : mode == 9 ? PAGE_ROOT_48 : PAGE_ROOT_57;
    u64 satp = (u64)mode << 60 | (u64)(space + 1) << 44 | (RAM_BASE / PAGE_SIZE + root + space);

    emit_const(t, reg, rnd(t, 16) ? satp : 0);
    emit_insn(t, OP_csrrw, rnd(t, 2) ? 0 : reg, reg, 0, CSR_satp);
}

/* Machine mode only: a range of data or code that U and S reach only so. */
static void emit_pmp(struct text *t)
{
    static const u8 data[] = {0, 1, 3, 7}, code[] = {1, 5, 7, 5};
    bool on_code = !rnd(t, 3);
    u32 page = on_code ? PAGE_CODE + (u32)rnd(t, 4) : PAGE_DATA + (u32)rnd(t, DATA_PAGES);
    u32 reg = free_reg(t), at = (u32)rnd(t, 2) * 64 * (u32)rnd(t, 64);
    u32 cfg = 0x18u | (on_code ? code : data)[rnd(t, 4)];

    emit_li(t, reg, (s32)((RAM_BASE + page * PAGE_SIZE + at) >> 2 | (rnd(t, 2) ? 7 : 511)));
    emit_insn(t, OP_csrrw, 0, reg, 0, CSR_pmpaddr0);
    emit_insn(t, OP_addi, reg, 0, 0, rnd(t, 3) ? cfg : 0);
    emit_insn(t, OP_csrrw, 0, reg, 0, CSR_pmpcfg0);
    emit_insn(t, OP_sfence_vma, 0, 0, 0, 0);
}

static void emit_csr(struct text *t, const struct program *p)
{
    static const u16 reads[] = {CSR_fcsr,    CSR_frm,      CSR_sstatus, CSR_scause, CSR_stval,
                                CSR_mhartid, CSR_misa,     CSR_sepc,    CSR_time,   CSR_mie,
                                CSR_instret, CSR_minstret, CSR_cycle,   CSR_mepc,   CSR_mstatus};
    static const u16 writes[] = {CSR_fflags,     CSR_frm,    CSR_fcsr,         CSR_sscratch,
                                 CSR_scounteren, CSR_scause, CSR_stval,        CSR_mcounteren,
                                 CSR_minstret,   CSR_mcycle, CSR_mcountinhibit};
    static const u16 ops[] = {OP_csrrw, OP_csrrs, OP_csrrc, OP_csrrwi, OP_csrrsi, OP_csrrci};
    u32 reg = free_reg(t);
    u64 bits;

    switch (rnd(t, 4)) {
    case 0:
    case 1: /* what interrupts move comes last */
        emit_insn(t, OP_csrrs, reg, 0, 0, reads[rnd(t, ARRAY_SIZE(reads) - (p->vague ? 5 : 0))]);
        break;
    case 2:
        emit_insn(t, (enum op)ops[rnd(t, 6)], rnd(t, 2) ? 0 : reg, (u32)rnd(t, 32), 0,
                  writes[rnd(t, ARRAY_SIZE(writes) - (p->vague ? 3 : 0))]);
        break;
    default: /* rd 0: other bits are not to be seen */
        bits = insn_random(&t->rng) & (MSTATUS_SUM | MSTATUS_MXR | MSTATUS_MPRV);
        bits |= rnd(t, 4) ? 0 : MSTATUS_FS;
        bits |= rnd(t, 4) ? 0 : BIT(11); /* MPP: S beside U */
        emit_li(t, reg, (s32)bits);
        emit_insn(t, rnd(t, 2) ? OP_csrrs : OP_csrrc, 0, reg, 0,
                  rnd(t, 2) ? CSR_mstatus : CSR_sstatus);
    }
}

/* Rounding modes and flags, as code that uses them does: mostly legal. */
static void emit_fcsr(struct text *t)
{
    u32 reg = free_reg(t), mode = rnd(t, 32) ? (u32)rnd(t, 5) : (u32)rnd(t, 8);

    switch (rnd(t, 6)) {
    case 0:
    case 1:
        emit_insn(t, OP_csrrwi, rnd(t, 2) ? 0 : reg, mode, 0, CSR_frm);
        break;
    case 2:
        emit_insn(t, OP_csrrs, reg, 0, 0, rnd(t, 2) ? CSR_fflags : CSR_fcsr);
        break;
    case 3:
        emit_insn(t, OP_csrrci, reg, (u32)rnd(t, 32), 0, CSR_fflags);
        break;
    case 4:
        emit_insn(t, OP_csrrwi, reg, (u32)rnd(t, 32), 0, CSR_fflags);
        break;
    default:
        emit_insn(t, OP_addi, reg, 0, 0, (s64)(mode << 5 | rnd(t, 32)));
        emit_insn(t, OP_csrrw, rnd(t, 2) ? 0 : reg, reg, 0, CSR_fcsr);
    }
}

/* FS off, initial or clean. */
static void emit_fs(struct text *t)
{
    u32 reg = free_reg(t), csr = rnd(t, 2) ? CSR_sstatus : CSR_mstatus, state = (u32)rnd(t, 3);

    emit_li(t, reg, (s32)MSTATUS_FS);
    emit_insn(t, OP_csrrc, 0, reg, 0, csr);
    emit_li(t, reg, (s32)(state << 13));
    emit_insn(t, OP_csrrs, 0, reg, 0, csr);
}

/* The supervisor's timer, soon. */
static void emit_timer(struct text *t)
{
    u32 reg = free_reg(t);

    emit_insn(t, OP_csrrs, reg, 0, 0, CSR_time);
    emit_insn(t, OP_addi, reg, reg, 0, (s64)rnd(t, rnd(t, 2) ? 40 : 2000) - 4);
    emit_insn(t, OP_csrrw, 0, reg, 0, CSR_stimecmp);
}

/* Both engines look for interrupts at jumps backward at the latest. */
static void emit_irq(struct text *t, const struct program *p)
{
    if (!p->vague && rnd(t, 2)) {
        emit_timer(t);
        return;
    }
    emit_li(t, REG_S, (s32)(insn_random(&t->rng) & WIRES));
    emit_insn(t, OP_sw, 0, REG_MMIO, REG_S, MMIO_RAISE);
    emit_insn(t, OP_addi, REG_S, 0, 0, 2);
    emit_insn(t, OP_addi, REG_S, REG_S, 0, -1);
    emit_insn(t, OP_blt, 0, 0, REG_S, -4);
}

static void emit_fence(struct text *t)
{
    switch (rnd(t, 4)) {
    case 0:
        emit_insn(t, OP_fence_i, 0, 0, 0, 0);
        break;
    case 1:
        emit_insn(t, OP_sfence_vma, 0, 0, 0, 0);
        break;
    case 2:
        emit_insn(t, OP_sfence_vma, 0, rnd(t, 2) ? REG_MID : REG_WALK, 0, 0);
        break;
    default:
        emit_insn(t, OP_fence, 0, 0, 0, (s64)rnd(t, 256));
    }
}

static void emit_bail(struct text *t)
{
    if (!rnd(t, 3)) {
        emit_wild_jump(t);
        return;
    }
    emit_insn(t, OP_addi, 17, 0, 0, 0);
    emit_insn(t, OP_ecall, 0, 0, 0, 0);
}

/* value says which of up to so many instructions; each has random numbers of its own. */
static void emit_several(struct text *t, const struct item *item)
{
    u32 format = (u32)rnd(t, 5);

    for (u32 i = 0; i < 8; i++) {
        t->rng = item->seed + (i + 1) * UINT64_C(0x6a09e667f3bcc909);
        if (!(item->value >> i & 1))
            continue;
        if (item->kind == ITEM_FP)
            engines_emit_fp(t, format < 3 ? format : format - 3);
        else
            engines_emit_plain(t);
    }
}

static void emit_stir(struct text *t, u32 level)
{
    u32 reg = free_reg(t), into = 10 + (u32)rnd(t, 4);

    emit_insn(t, OP_slli, reg, counter_of(level), 0, (s64)rnd(t, 64));
    emit_insn(t, rnd(t, 2) ? OP_add : OP_xor, into, into, reg, 0);
}

/* True: it was one of these. */
static bool emit_data(struct text *t, const struct program *p, const struct item *item)
{
    switch (item->kind) {
    case ITEM_PLAIN:
    case ITEM_FP:
        emit_several(t, item);
        return true;
    case ITEM_ATOMIC:
        emit_atomic(t);
        return true;
    case ITEM_XSET:
        emit_const(t, free_reg(t), engines_special_int(&t->rng));
        return true;
    case ITEM_FSET:
        emit_fset(t);
        return true;
    case ITEM_STIR:
        emit_stir(t, item->level);
        return true;
    case ITEM_WALK:
        emit_walk(t);
        return true;
    case ITEM_POOL:
        emit_pool(t);
        return true;
    case ITEM_WILD:
        emit_wild(t);
        return true;
    case ITEM_MMIO:
        emit_mmio(t);
        return true;
    default:
        return false;
    }
}

static bool emit_system(struct text *t, const struct program *p, const struct item *item)
{
    switch (item->kind) {
    case ITEM_IRQ:
        emit_irq(t, p);
        return true;
    case ITEM_PTE:
        emit_pte(t);
        return true;
    case ITEM_PTE_LOCAL:
        emit_pte_local(t, (enum priv)item->value);
        return true;
    case ITEM_SATP:
        emit_satp(t);
        return true;
    case ITEM_CSR:
        emit_csr(t, p);
        return true;
    case ITEM_PMP:
        emit_pmp(t);
        return true;
    case ITEM_FCSR:
        emit_fcsr(t);
        return true;
    case ITEM_FS:
        emit_fs(t);
        return true;
    case ITEM_FENCE:
        emit_fence(t);
        return true;
    case ITEM_WFI:
        emit_insn(t, OP_wfi, 0, 0, 0, 0);
        return true;
    case ITEM_BAIL:
        emit_bail(t);
        return true;
    default:
        return false;
    }
}

void engines_emit_item(struct text *t, const struct program *p, u32 at)
{
    const struct item *item = &p->item[at];

    t->rng = item->seed;
    if (emit_data(t, p, item) || emit_system(t, p, item))
        return;
    switch (item->kind) {
    case ITEM_BRANCH:
        emit_branch(t, p, at);
        break;
    case ITEM_JUMP:
        emit_jump(t, p, at);
        break;
    case ITEM_INDIRECT:
        emit_indirect(t, p, at);
        break;
    case ITEM_SWITCH:
        emit_switch(t);
        break;
    case ITEM_CALL:
        emit_call(t, p, at);
        break;
    case ITEM_PATCHED:
        emit_raw(t, random_alu(t), false);
        break;
    case ITEM_PATCH:
        emit_patch(t, p, at);
        break;
    case ITEM_CROSS:
        emit_cross(t, p);
        break;
    case ITEM_LATE:
        emit_late(t, p, at);
        break;
    case ITEM_LOOP_BEGIN:
        emit_loop_begin(t, p, at);
        break;
    case ITEM_LOOP_END:
        emit_loop_end(t, p, at);
        break;
    case ITEM_ENTER:
    case ITEM_LEAVE:
        emit_frame(t, item->level, item->kind == ITEM_ENTER);
        break;
    case ITEM_RECURSE:
        emit_recurse(t, item->to);
        break;
    case ITEM_TAIL:
        emit_insn(t, OP_jal, 0, 0, 0, distance(t, item->to));
        break;
    case ITEM_RETURN:
        emit_insn(t, OP_jalr, 0, item->level, 0, 0);
        break;
    case ITEM_END:
        emit_insn(t, OP_addi, 17, 0, 0, 0);
        emit_insn(t, OP_ecall, 0, 0, 0, 0);
        break;
    default:
        break;
    }
}
