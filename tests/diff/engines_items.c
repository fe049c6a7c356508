/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The code of each item of a program. How much an item emits depends on its own random numbers and
 * on what lies before it, never on what is yet to come: a few passes find all addresses.
 */
#include "tests/diff/engines_items.h"

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

static bool emit_data(struct text *t, const struct item *item)
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
    case ITEM_ROWS:
        engines_emit_rows(t);
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

void engines_emit_item(struct text *t, const struct program *p, u32 at)
{
    t->rng = p->item[at].seed;
    if (!emit_data(t, &p->item[at]) && !engines_emit_system(t, p, at))
        (void)engines_emit_flow(t, p, at);
}
