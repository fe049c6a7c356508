/* SPDX-License-Identifier: BSD-2-Clause */
/* Items that jump, call and loop, and those that change code. */
#include "tests/diff/engines_items.h"

#define ALU(f) f(add) f(sub) f(xor) f(sltu) f(mul) f(and) f(srl) f(addw) f(div) f(mulhu)

static u32 random_alu(struct text *t)
{
#define OP(id) OP_##id,
    static const u16 ops[] = {ALU(OP)};
#undef OP
    const struct insn_line *line = engines_line((enum op)ops[rnd(t, ARRAY_SIZE(ops))]);
    struct insn_operands o = {.rd = free_reg(t), .rs1 = (u32)rnd(t, 32), .rs2 = (u32)rnd(t, 32)};

    return insn_encode(line, &o);
}

/* Is the item `to` so near that a compressed jump reaches it, whatever lies between? */
static bool is_near(const struct program *p, u32 from, u32 to)
{
    for (u32 i = from; i < to; i++) {
        if (p->item[i].kind == ITEM_CROSS || p->item[i].kind == ITEM_POOL ||
            p->item[i].kind == ITEM_SWITCH || p->item[i].kind == ITEM_ROWS)
            return false;
    }
    return p->compressed && to - from <= 2;
}

static void emit_compressed_jump(struct text *t, const char *name, u32 reg, s64 imm)
{
    struct insn_operands o = {.rs1 = reg, .imm = imm};

    emit_named(t, name, &o);
}

static const u16 branches[] = {OP_beq, OP_bne, OP_blt, OP_bge, OP_bltu, OP_bgeu};

/* A branch over a little that only computes, on and with the same few registers. */
static void emit_choice(struct text *t)
{
    const u32 n = 1 + (u32)rnd(t, 3), a = free_reg(t), b = other_free_reg(t, a);

    emit_insn(t, (enum op)branches[rnd(t, ARRAY_SIZE(branches))], 0, rnd(t, 2) ? a : b,
              (u32)rnd(t, 32), 4 + 4 * n);
    for (u32 i = 0; i < n; i++) {
        const u32 to = rnd(t, 2) ? a : b, by = rnd(t, 2) ? a : b;
        switch (rnd(t, 5)) {
        case 0:
            emit_insn(t, OP_addi, to, rnd(t, 2) ? by : 0, 0, (s64)rnd(t, 4096) - 2048);
            break;
        case 1:
            emit_insn(t, rnd(t, 2) ? OP_sub : OP_addw, to, by, (u32)rnd(t, 32), 0);
            break;
        case 2:
            emit_insn(t, rnd(t, 2) ? OP_slli : OP_srli, to, by, 0, 48);
            break;
        case 3:
            emit_insn(t, rnd(t, 2) ? OP_sltu : OP_sll, to, (u32)rnd(t, 32), by, 0);
            break;
        default:
            emit_raw(t, random_alu(t), false);
        }
    }
}

static void emit_branch(struct text *t, const struct program *p, u32 at)
{
    u32 to = p->item[at].to;
    s64 ahead = distance(t, to);

    if (is_near(p, at, to) && rnd(t, 2)) {
        emit_compressed_jump(t, rnd(t, 2) ? "c.beqz" : "c.bnez", 8 + (u32)rnd(t, 8), ahead);
        return;
    }
    /* Too far for a branch: over a jump. */
    emit_insn(t, (enum op)branches[rnd(t, ARRAY_SIZE(branches))], 0, (u32)rnd(t, 32),
              (u32)rnd(t, 32), ahead < 4000 ? ahead : 8);
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
        emit_raw(t, (u32)test_random(&t->rng), false);
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

/* To an address without memory; the handler goes on with the next fragment. */
static void emit_wild_jump(struct text *t)
{
    static const u8 bits[] = {38, 39, 47, 56, 62, 63};
    u32 reg = free_reg(t);

    emit_ahead(t, reg, 0);
    emit_insn(t, OP_binvi, reg, reg, 0, bits[rnd(t, sizeof(bits))]);
    emit_insn(t, OP_jalr, (u32)rnd(t, 2), reg, 0, 0);
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

bool engines_emit_flow(struct text *t, const struct program *p, u32 at)
{
    const struct item *item = &p->item[at];

    switch (item->kind) {
    case ITEM_BRANCH:
        if (!rnd(t, 2))
            emit_choice(t);
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
    case ITEM_BAIL:
        emit_bail(t);
        break;
    case ITEM_POOL:
        emit_pool(t);
        break;
    default:
        return false;
    }
    return true;
}
