/* SPDX-License-Identifier: BSD-2-Clause */
/* Emits instructions, constants and labels for the machine programs of engines.h. */
#include "tests/diff/engines.h"

#include "base/endian.h"

u64 engines_rnd(u64 *rng, u64 below)
{
    return test_random(rng) % below;
}

const struct insn_line *engines_line(enum op op)
{
    u32 i = 0;

    while (insn_lines[i].op != op || insn_lines[i].compressed)
        i++;
    return &insn_lines[i];
}

void emit_raw(struct text *t, u32 raw, bool compressed)
{
    if (t->at + 4 > t->size)
        return;
    le16_store(t->bytes + t->at, (u16)raw);
    if (!compressed)
        le16_store(t->bytes + t->at + 2, (u16)(raw >> 16));
    t->at += compressed ? 2 : 4;
}

void emit_insn(struct text *t, enum op op, u32 rd, u32 rs1, u32 rs2, s64 imm)
{
    struct insn_operands o = {.rd = rd, .rs1 = rs1, .rs2 = rs2, .imm = imm};

    emit_raw(t, insn_encode(engines_line(op), &o), false);
}

void emit_named(struct text *t, const char *name, const struct insn_operands *o)
{
    const struct insn_line *line = insn_lines;

    while (strcmp(line->name, name))
        line++;
    emit_raw(t, insn_encode(line, o), line->compressed);
}

void emit_li(struct text *t, u32 rd, s32 value)
{
    s32 low = (s32)sext((u64)(s64)value, 12);

    emit_insn(t, OP_lui, rd, 0, 0, ((s64)value - low) >> 12);
    emit_insn(t, OP_addiw, rd, rd, 0, low);
}

void emit_const(struct text *t, u32 rd, u64 value)
{
    s64 low = (s64)sext(value, 12);
    u64 high = value - (u64)low;
    unsigned shift = 12;

    if ((s64)value == (s32)value) {
        emit_li(t, rd, (s32)value);
        return;
    }
    while (!(high >> shift & 1))
        shift++;
    emit_const(t, rd, (u64)((s64)high >> shift));
    emit_insn(t, OP_slli, rd, rd, 0, shift);
    emit_insn(t, OP_addi, rd, rd, 0, low);
}

/* A branch to a label that is yet to be placed. */
void emit_branch_to(struct text *t, struct label *l, enum op op, u32 a, u32 b)
{
    ASSERT(l->count < ARRAY_SIZE(l->from));
    l->from[l->count++] = t->at;
    emit_insn(t, op, 0, a, b, 0);
}

void emit_place(struct text *t, struct label *l)
{
    u32 at = t->at;

    for (u32 i = 0; i < l->count; i++) {
        u32 raw = le32_load(t->bytes + l->from[i]);
        struct insn_operands o = {.imm = (s64)at - l->from[i]};
        const struct insn_line *beq = engines_line(OP_beq), *jal = engines_line(OP_jal);
        const struct insn_line *line = (raw & 0x7f) == 0x6f ? jal : beq;
        raw |= insn_encode(line, &o);
        le32_store(t->bytes + l->from[i], raw);
    }
    l->count = 0;
}

u64 engines_pte_of(u32 page, u32 flags)
{
    return (RAM_BASE / PAGE_SIZE + page) << 10 | flags;
}
