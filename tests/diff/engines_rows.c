/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rows of accesses to bytes, as compilers write them that must not access words misaligned: copies,
 * words put together and taken apart, in order and not, some of them with something amiss.
 *
 * A base changes by a little at times, or becomes a byte, where no memory is, but never any other
 * number: stores by that would hit the handlers in the end, code that changes without a fence.
 */
#include "tests/diff/engines_items.h"

#define ROW_MAX 16

struct row {
    u32 from, to;       /* bases: where it loads and stores */
    s64 from_at, to_at; /* the lowest byte's distance from them */
    u32 count, reg[ROW_MAX];
    bool from_reversed, to_reversed;
};

/* Near the end of half a page, somewhere in the data, or where there is no memory. */
static u32 row_base(struct text *t)
{
    static const u8 bases[] = {REG_MID, REG_MID, REG_WALK, REG_WALK, REG_SP, REG_ODD, REG_BASE};
    u32 reg = bases[rnd(t, sizeof(bases))], own;

    if (!rnd(t, 40))
        return REG_MMIO;
    if (rnd(t, 3))
        return reg;
    own = free_reg(t);
    if (rnd(t, 2))
        emit_insn(t, OP_ori, own, reg, 0, 0x7e0 + (s64)rnd(t, 32));
    else
        emit_insn(t, OP_addi, own, reg, 0, (s64)rnd(t, 16) - 8);
    return own;
}

/* Rows of one item are near each other at times. */
static s64 row_offset(struct text *t, u32 base)
{
    return base == REG_MMIO ? 32 + (s64)rnd(t, 32) : (s64)rnd(t, rnd(t, 3) ? 16 : 64);
}

static bool has(const struct row *r, u32 reg)
{
    for (u32 i = 0; i < r->count; i++) {
        if (r->reg[i] == reg)
            return true;
    }
    return false;
}

static bool is_taken(const struct row *r, u32 reg)
{
    return has(r, reg) || reg == r->from || reg == r->to;
}

static void draw_row(struct text *t, struct row *r)
{
    static const u8 counts[] = {8, 8, 8, 4, 4, 4, 2, 3, 5, 7, 9, 12, 16};
    u32 n = counts[rnd(t, sizeof(counts))], reg;
    bool odd = !rnd(t, 10);

    *r = (struct row){.from = row_base(t)};
    r->to = rnd(t, 8) ? row_base(t) : r->from;
    r->from_at = row_offset(t, r->from);
    r->to_at = row_offset(t, r->to);
    r->from_reversed = !rnd(t, 4);
    r->to_reversed = !rnd(t, 4);
    for (u32 tries = 0; r->count < n && tries < 200; tries++) {
        reg = free_reg(t);
        if (odd || !is_taken(r, reg))
            r->reg[r->count++] = reg;
    }
}

static void keep_bases(struct text *t, const struct row *r)
{
    t->kept |= 1u << r->from | 1u << r->to;
}

/* Is it a register of the row's own? */
static bool is_own(u32 base)
{
    return base != REG_MID && base != REG_SP && base != REG_ODD && base != REG_BASE &&
           base != REG_MMIO && base != REG_WALK;
}

/* Something else, now and then, or a step of a base. */
static void amiss(struct text *t, const struct row *r, u32 rarely)
{
    u32 base;

    if (rnd(t, rarely))
        return;
    base = rnd(t, 2) ? r->from : r->to;
    if (rnd(t, 4) || !is_own(base))
        engines_emit_plain(t);
    else
        emit_insn(t, OP_addi, base, base, 0, (s64)rnd(t, 16) - 8);
}

static void draw_order(struct text *t, const struct row *r, u8 *order)
{
    bool mixed = rnd(t, 2);

    for (u32 i = 0; i < ROW_MAX; i++)
        order[i] = (u8)i;
    for (u32 i = 0; mixed && i < r->count; i++) {
        u32 j = (u32)rnd(t, r->count);
        u8 swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
}

/* Byte k of the row to or from its register. */
static void emit_byte(struct text *t, const struct row *r, u32 k, bool store)
{
    u32 reversed = r->count - 1 - k;

    if (!rnd(t, 60))
        return;
    if (store)
        emit_insn(t, OP_sb, 0, r->to, r->reg[k], r->to_at + (r->to_reversed ? reversed : k));
    else
        emit_insn(t, rnd(t, 20) ? OP_lbu : OP_lb, r->reg[k], r->from, 0,
                  r->from_at + (r->from_reversed ? reversed : k));
}

static void emit_bytes(struct text *t, const struct row *r, bool store)
{
    u8 order[ROW_MAX];

    draw_order(t, r, order);
    for (u32 i = 0; i < r->count; i++) {
        emit_byte(t, r, order[i], store);
        amiss(t, r, 60);
    }
}

static void emit_step(struct text *t, u32 *base, s64 *offset)
{
    if (!is_own(*base) || rnd(t, 3))
        return;
    emit_insn(t, OP_addi, *base, *base, 0, 8);
    *offset -= 8;
}

/* What a compiler makes of memcpy, and the word that is read where it went. */
static void emit_copy(struct text *t)
{
    struct row r, s;
    bool two = !rnd(t, 4);

    draw_row(t, &r);
    draw_row(t, &s);
    keep_bases(t, &r);
    if (two)
        keep_bases(t, &s);
    emit_bytes(t, &r, false);
    if (two)
        emit_bytes(t, &s, false);
    emit_step(t, &r.to, &r.to_at);
    amiss(t, &r, 8);
    emit_bytes(t, &r, true);
    if (rnd(t, 2))
        emit_insn(t, rnd(t, 2) ? OP_ld : OP_lw, free_reg(t), r.to, 0, r.to_at);
    if (two)
        emit_bytes(t, &s, true);
    emit_step(t, &r.from, &r.from_at);
}

/* Each byte is stored before the next one is loaded: they may overlap. */
static void emit_interleaved(struct text *t)
{
    struct row r;

    draw_row(t, &r);
    for (u32 k = 0; k < r.count; k++) {
        emit_byte(t, &r, k, false);
        emit_byte(t, &r, k, true);
    }
}

/* A word from its bytes. */
static void emit_join(struct text *t)
{
    struct row r;
    u8 order[ROW_MAX];
    bool word;
    u32 last;

    draw_row(t, &r);
    keep_bases(t, &r);
    r.count = r.count > 8 ? 8 : r.count;
    word = r.count <= 4 && rnd(t, 2);
    draw_order(t, &r, order);
    last = r.reg[order[0]];
    for (u32 i = 0; i < r.count; i++) {
        u32 k = order[i], reg = r.reg[k], to = rnd(t, 3) ? reg : free_reg(t);
        emit_byte(t, &r, k, false);
        if (k)
            emit_insn(t, word ? OP_slliw : OP_slli, reg, reg, 0, 8 * k);
        if (i)
            emit_insn(t, rnd(t, 8) ? OP_or : OP_add, to, last, reg, 0);
        last = i ? to : last;
        amiss(t, &r, 40);
    }
    if (rnd(t, 2))
        emit_insn(t, OP_addiw, last, last, 0, 0);
    if (rnd(t, 2) && !has(&r, r.to))
        emit_insn(t, OP_sd, 0, r.to, last, r.to_at);
}

/* The bytes of a word, or of a constant. */
static void emit_split(struct text *t)
{
    struct row r;
    u8 order[ROW_MAX];
    u32 kind = (u32)rnd(t, 4), by;

    draw_row(t, &r);
    keep_bases(t, &r);
    by = free_reg(t);
    r.count = kind && r.count > 8 ? 8 : r.count;
    draw_order(t, &r, order);
    if (kind == 1)
        emit_insn(t, OP_addi, by, 0, 0, (s64)rnd(t, 256) - 128);
    for (u32 i = 0; i < r.count; i++) {
        u32 k = order[i];
        bool shifts = kind > 1 && k;
        if (shifts)
            emit_insn(t, k < 4 && rnd(t, 2) ? OP_srliw : OP_srli, by, r.reg[0], 0, 8 * k);
        emit_insn(t, OP_sb, 0, r.to,
                  !kind                 ? 0
                  : shifts || kind == 1 ? by
                                        : r.reg[0],
                  r.to_at + (r.to_reversed ? r.count - 1 - k : k));
        amiss(t, &r, 40);
    }
}

void engines_emit_rows(struct text *t)
{
    switch (rnd(t, 8)) {
    case 0:
        emit_interleaved(t);
        break;
    case 1:
    case 2:
        emit_join(t);
        break;
    case 3:
    case 4:
        emit_split(t);
        break;
    default:
        emit_copy(t);
    }
    t->kept = 0;
}
