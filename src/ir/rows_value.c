/* SPDX-License-Identifier: BSD-2-Clause */
/* What is known of values in a group of rows: see ir/rows.h. */
#include "ir/rows.h"

static void make_opaque(struct rows_value *v, u32 origin)
{
    v->origin = origin;
    v->offset = 0;
    for (u32 k = 0; k < 8; k++)
        v->byte[k] = ROWS_BYTE | origin << 3 | k;
}

static void make_const(struct rows_value *v, u64 constant)
{
    v->origin = ROWS_CONST;
    v->offset = (s64)constant;
    for (u32 k = 0; k < 8; k++)
        v->byte[k] = constant >> 8 * k & 0xff;
}

/* Copies of the sign of what a byte is. */
static u32 sign_of(u32 byte)
{
    if (byte & ROWS_BYTE)
        return (byte & ~ROWS_BYTE) | ROWS_SIGN;
    return byte & ROWS_SIGN ? byte : byte & 0x80 ? 0xff : 0;
}

static void extend(struct rows_value *v, const struct rows_value *a, u32 bytes, bool sign)
{
    for (u32 k = 0; k < 8; k++)
        v->byte[k] = k < bytes ? a->byte[k] : sign ? sign_of(a->byte[bytes - 1]) : 0;
}

static void load(struct rows_value *v, const struct ir_op *op)
{
    const struct rows_value whole = *v;

    extend(v, &whole, op->size, op->extends);
}

/* OR, XOR and ADD of what has no byte in common; else, by byte, nothing is known. */
static void join(struct rows_value *v, u8 opcode, const struct rows_value *a,
                 const struct rows_value *b)
{
    struct rows_value joined = *v;

    for (u32 k = 0; k < 8; k++) {
        if (!a->byte[k] || !b->byte[k])
            joined.byte[k] = a->byte[k] | b->byte[k];
        else if (opcode == IR_ADD)
            return;
    }
    *v = joined;
}

static void mask(struct rows_value *v, const struct rows_value *a, const struct rows_value *b)
{
    for (u32 k = 0; k < 8; k++) {
        if (!a->byte[k] || b->byte[k] == 0xff)
            v->byte[k] = a->byte[k];
        else if (!b->byte[k] || a->byte[k] == 0xff)
            v->byte[k] = b->byte[k];
    }
}

static void shift(struct rows_value *v, u8 opcode, const struct rows_value *a, u64 amount)
{
    u32 by = (u32)amount / 8 & 7;

    if (amount % 8)
        return;
    for (u32 k = 0; k < 8; k++) {
        if (opcode == IR_SHL)
            v->byte[k] = k >= by ? a->byte[k - by] : 0;
        else if (k + by < 8)
            v->byte[k] = a->byte[k + by];
        else
            v->byte[k] = opcode == IR_SAR ? sign_of(a->byte[7]) : 0;
    }
}

static void reverse(struct rows_value *v, const struct rows_value *a)
{
    for (u32 k = 0; k < 8; k++)
        v->byte[k] = a->byte[7 - k];
}

static void binary(struct rows_value *v, const struct ir_op *op, const struct rows_value *a,
                   const struct rows_value *b)
{
    bool by_constant = b->origin == ROWS_CONST;

    if (op->opcode == IR_OR || op->opcode == IR_XOR || op->opcode == IR_ADD)
        join(v, op->opcode, a, b);
    else if (op->opcode == IR_AND)
        mask(v, a, b);
    else if (by_constant)
        shift(v, op->opcode, a, (u64)b->offset & 63);
    if (op->opcode == IR_ADD && by_constant) {
        v->origin = a->origin;
        v->offset = (s64)((u64)a->offset + (u64)b->offset);
    }
}

static void unary(struct rows_value *v, const struct ir_op *op, const struct rows_value *a)
{
    switch (op->opcode) {
    case IR_SX8:
    case IR_ZX8:
        extend(v, a, 1, op->opcode == IR_SX8);
        break;
    case IR_SX16:
    case IR_ZX16:
        extend(v, a, 2, op->opcode == IR_SX16);
        break;
    case IR_SX32:
    case IR_ZX32:
        extend(v, a, 4, op->opcode == IR_SX32);
        break;
    case IR_BSWAP:
        reverse(v, a);
        break;
    default:
        break;
    }
}

void rows_value_of(struct ir_rows *r, u32 at)
{
    const struct ir_op *op = &r->block->op[r->first + at];
    struct rows_value *v = &r->value[at];
    u32 a = op->arg[0] - r->first, b = op->arg[1] - r->first;

    make_opaque(v, ROWS_OP + at);
    switch (op->opcode) {
    case IR_CONST:
        make_const(v, (u64)op->imm);
        break;
    case IR_GET:
        if (op->imm < 32 || op->imm == IR_SLOT_PAGE)
            *v = *r->slot[op->imm < 32 ? op->imm : 32].value;
        break;
    case IR_LOAD:
        load(v, op);
        break;
    case IR_ADD:
    case IR_AND:
    case IR_OR:
    case IR_XOR:
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
        binary(v, op, &r->value[a], &r->value[b]);
        break;
    default:
        if (ir_operands((enum ir_opcode)op->opcode) == 1 &&
            ir_has_result((enum ir_opcode)op->opcode))
            unary(v, op, &r->value[a]);
        break;
    }
}

void rows_initial(struct ir_rows *r)
{
    for (u32 s = 0; s < ROWS_BASES; s++) {
        make_opaque(&r->initial[s], s);
        r->slot[s].value = &r->initial[s];
    }
}

bool rows_byte(struct ir_rows *r, u32 byte, u32 *row, u32 *number)
{
    u32 origin = (byte & ~(ROWS_BYTE | ROWS_SIGN)) >> 3, k = byte & 7;
    const struct rows_access *a;
    const struct rows_row *of;

    if (!(byte & (ROWS_BYTE | ROWS_SIGN)) || origin < ROWS_OP)
        return false;
    a = rows_access_at(r, origin - ROWS_OP);
    if (!a || a->write || !a->row)
        return false;
    *row = a->row - 1u;
    of = &r->row[*row];
    k += (u32)(a->offset - of->offset);
    *number = of->reversed ? of->size - 1u - k : k;
    return true;
}

/* The bytes of a row that a value has from byte `to` on, which is one. */
static bool follow_row(struct ir_rows *r, const struct rows_value *value, struct rows_part *part)
{
    u32 row, number, to = part->to;

    if (!(value->byte[to] & ROWS_BYTE) || !rows_byte(r, value->byte[to], &row, &number))
        return false;
    part->row = (u8)row;
    part->from = (u8)number;
    part->count = 1;
    while (to + part->count < 8 && value->byte[to + part->count] & ROWS_BYTE) {
        if (!rows_byte(r, value->byte[to + part->count], &row, &number) || row != part->row ||
            number != (u32)part->from + part->count)
            return false;
        part->count++;
    }
    return true;
}

bool rows_part(struct ir_rows *r, const struct rows_value *value, struct rows_part *part)
{
    u32 rest;

    part->to = 0;
    while (part->to < 8 && !value->byte[part->to])
        part->to++;
    if (part->to == 8 || !follow_row(r, value, part))
        return false;
    rest = part->to + part->count;
    part->sign = rest < 8 && value->byte[rest];
    for (u32 k = rest; k < 8; k++) {
        if (value->byte[k] != (part->sign ? sign_of(value->byte[rest - 1]) : 0))
            return false;
    }
    return true;
}
