/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds the rows of a group: see ir/rows.h. */
#include "ir/rows.h"

#define MEMBERS_MIN 4 /* stores of a chunk */
#define LOADS_MIN   3 /* of a word that is put together */

static void demand(struct ir_rows *r, u32 first, u32 end)
{
    struct rows_demand *d = &r->demand[r->demand_count];

    if (r->demand_count == ROWS_DEMANDS)
        return;
    *d = (struct rows_demand){(u16)first, (u16)end};
    r->demand_count++;
}

/* The load that a byte comes from; NULL: none. *offset: its address. */
static struct rows_access *load_of(struct ir_rows *r, u32 byte, s32 *offset)
{
    u32 origin = (byte & ~ROWS_BYTE) >> 3;
    struct rows_access *a;

    if (!(byte & ROWS_BYTE) || origin < ROWS_OP)
        return NULL;
    a = rows_access_at(r, origin - ROWS_OP);
    if (a)
        *offset = a->offset + (s32)(byte & 7);
    return a;
}

/* Are n bytes loaded from adjacent places, in order or reversed? Then that is what row says. */
static bool is_adjacent(struct ir_rows *r, const u32 *byte, u32 n, struct rows_row *row)
{
    s32 first = 0, second = 0, here = 0;
    const struct rows_access *a = load_of(r, byte[0], &first), *b = load_of(r, byte[1], &second);

    if (!a || !b || (second != first + 1 && second != first - 1))
        return false;
    *row = (struct rows_row){.base = a->base, .size = (u8)n, .reversed = second < first};
    row->offset = row->reversed ? first - (s32)n + 1 : first;
    for (u32 k = 0; k < n; k++) {
        b = load_of(r, byte[k], &here);
        if (!b || b->base != a->base || here != (row->reversed ? first - (s32)k : first + (s32)k))
            return false;
    }
    return true;
}

/* Can loads from access `first` to `last` be one at the first? Stores may be in between. */
static bool can_move(const struct ir_rows *r, const struct rows_row *row, u32 first, u32 last)
{
    for (u32 i = first; i <= last; i++) {
        const struct rows_access *a = &r->access[i];
        if (a->write &&
            (a->base != row->base || rows_overlap(a->offset, a->size, row->offset, row->size)))
            return false;
    }
    return true;
}

/* Makes the loads that bytes come from, and those of row number `old`, if any, loads of a row. */
static bool join_loads(struct ir_rows *r, const u32 *byte, u32 n, struct rows_row *row, u32 old)
{
    bool joins[ROWS_ACCESSES] = {0};
    u32 first = ROWS_ACCESSES, last = 0, loads = 0;
    s32 here;

    for (u32 k = 0; k < n; k++)
        joins[load_of(r, byte[k], &here) - r->access] = true;
    for (u32 i = 0; i < r->access_count; i++) {
        const struct rows_access *a = &r->access[i];
        joins[i] |= old && a->row == old && !a->write;
        if (!joins[i])
            continue;
        if (a->row != (a->row ? old : 0) || a->size >= row->size ||
            (row->reversed && a->size > 1) || a->offset < row->offset ||
            a->offset + a->size > row->offset + row->size)
            return false;
        first = i < first ? i : first;
        last = i;
        loads++;
    }
    if (loads < LOADS_MIN || !can_move(r, row, first, last))
        return false;
    row->access = (u16)first;
    row->start = r->access[first].start;
    for (u32 i = 0; i < r->access_count; i++) {
        if (joins[i])
            r->access[i].row = (u8)(old ? old : r->row_count + 1);
    }
    return true;
}

/* The row that some of the bytes are loaded for, plus 1; 0: none. */
static u32 row_of_bytes(struct ir_rows *r, const u32 *byte, u32 n, bool *all)
{
    u32 row = 0;
    s32 here;

    *all = true;
    for (u32 k = 0; k < n; k++) {
        const struct rows_access *a = load_of(r, byte[k], &here);
        *all &= a->row != 0;
        row = a->row ? a->row : row;
    }
    return row;
}

/* A row of four bytes may become one of eight, some of which nobody wants. */
static bool grow_row(struct ir_rows *r, const u32 *byte, const struct rows_row *by, u32 old)
{
    struct rows_row *row = &r->row[old - 1], wide = *row;
    struct rows_range *range = &r->range[row->base];
    s32 end = row->offset + 8;

    if (row->size != 4 || row->reversed || by->size != 4)
        return false;
    if (by->offset < wide.offset) {
        wide.offset = by->offset;
        end = wide.offset + 8;
    }
    wide.size = 8;
    if (end - range->first > ROWS_SPAN || !join_loads(r, byte, 4, &wide, old))
        return false;
    range->end = end > range->end ? end : range->end;
    *row = wide;
    return true;
}

/* Are these bytes those of a row, which may be a new one? *start: where it begins. */
static bool are_row(struct ir_rows *r, const u32 *byte, u32 n, u32 *start)
{
    struct rows_row row;
    bool all;
    u32 old;

    if (!is_adjacent(r, byte, n, &row))
        return false;
    old = row_of_bytes(r, byte, n, &all);
    if (old && !all && !grow_row(r, byte, &row, old))
        return false;
    if (!old) {
        if (r->row_count == ROWS_MAX || !join_loads(r, byte, n, &row, 0))
            return false;
        r->row[r->row_count++] = row;
        old = r->row_count;
    }
    for (u32 k = 0; k < n; k++) {
        u32 of, number;
        if (!rows_byte(r, byte[k], &of, &number) || of != old - 1)
            return false;
    }
    *start = r->row[old - 1].start;
    return true;
}

/* Are they constants, or adjacent bytes of one value that is no row? */
static bool are_of_value(const u32 *byte, u32 n)
{
    bool constant = true, up = true, down = true;

    for (u32 k = 0; k < n; k++) {
        constant &= byte[k] <= 0xff;
        up &= (byte[k] & ROWS_BYTE) && byte[k] == byte[0] + k;
        down &= (byte[k] & ROWS_BYTE) && byte[k] == byte[0] - k;
    }
    return constant || (up && (byte[0] & 7) + n <= 8) || (down && (byte[0] & 7) + 1 >= n);
}

/* The store of a run that has the byte at an offset. */
static struct rows_access *store_at(struct ir_rows *r, u32 run, s32 offset)
{
    for (u32 i = 0; i < r->access_count; i++) {
        struct rows_access *a = &r->access[i];
        if (a->write && a->run == run && offset >= a->offset && offset < a->offset + a->size)
            return a;
    }
    return NULL;
}

/* The stores of n bytes from that of access i on; false: there are none, or too few. *end: of their
 * operations. */
static bool gather(struct ir_rows *r, u32 i, struct rows_chunk *c, u32 *end)
{
    const struct rows_access *low = &r->access[i];
    u32 members = 0;

    c->access = ROWS_ACCESSES;
    *end = 0;
    for (s32 k = 0; k < c->size; k++) {
        const struct rows_access *a = store_at(r, low->run, low->offset + k);
        const struct ir_op *op;
        if (!a || a->chunk || a->offset + a->size > low->offset + c->size)
            return false;
        op = &r->block->op[r->first + a->at];
        c->byte[k] = r->value[op->arg[1] - r->first].byte[low->offset + k - a->offset];
        members += a->offset == low->offset + k;
        if (a - r->access < c->access)
            c->access = (u16)(a - r->access);
        if (a->at + 1u > *end)
            *end = a->at + 1u;
    }
    c->start = r->access[c->access].start;
    return members >= MEMBERS_MIN;
}

/* The slot that a store's value is read from, as it is where the row begins too; 0: none. */
static u8 slot_stored(const struct ir_rows *r, const struct rows_access *a, u32 start)
{
    const struct ir_op *op = &r->block->op[r->first];
    const struct ir_op *value = &r->block->op[op[a->at].arg[1]];

    if (value->opcode != IR_GET || value->imm >= 32 || a->size > 1)
        return 0;
    for (u32 at = start; at < a->at; at++) {
        if (op[at].opcode == IR_PUT && op[at].imm == value->imm)
            return 0;
    }
    return (u8)value->imm;
}

/* Is what comes next, from an operation on, a load of n bytes or more? It would wait for a row of
 * stores until they are done, as none of them has all that it wants. */
static bool is_read_soon(const struct ir_rows *r, u32 end, u32 n)
{
    const struct ir_block *block = r->block;

    for (u32 at = r->first + end; at < block->count && at < r->first + end + 40; at++) {
        const struct ir_op *op = &block->op[at];
        if (op->opcode == IR_LOAD || op->opcode == IR_STORE || op->opcode > IR_STORE)
            return op->opcode == IR_LOAD && op->size >= n && op->size <= 8;
    }
    return false;
}

/* May the word be put together from the slots that the bytes are in? */
static bool are_in_slots(const struct ir_rows *r, u32 run, struct rows_chunk *c, u32 end)
{
    if (c->size != 4 || !is_read_soon(r, end, c->size))
        return false;
    for (s32 k = 0; k < c->size; k++) {
        for (u32 i = 0; i < r->access_count; i++) {
            const struct rows_access *a = &r->access[i];
            if (a->write && a->run == run && a->offset == c->offset + k)
                c->slot[k] = slot_stored(r, a, c->start);
        }
        if (!c->slot[k])
            return false;
    }
    c->mixed = true;
    return true;
}

/* Finds stores of n bytes that may be one. */
static void find_chunks(struct ir_rows *r, u32 n)
{
    for (u32 i = 0; i < r->access_count; i++) {
        struct rows_access *low = &r->access[i];
        struct rows_chunk c = {.base = low->base, .size = (u8)n, .offset = low->offset};
        u32 start, end;
        if (!low->write || low->chunk || r->chunk_count == ROWS_CHUNKS || !gather(r, i, &c, &end))
            continue;
        start = c.start;
        if (!are_of_value(c.byte, n) && !are_row(r, c.byte, n, &start) &&
            !are_in_slots(r, low->run, &c, end))
            continue;
        r->chunk[r->chunk_count++] = c;
        for (s32 k = 0; k < c.size; k++)
            store_at(r, low->run, c.offset + k)->chunk = (u8)r->chunk_count;
        demand(r, start, end);
    }
}

/* Finds words of n bytes that are put together from loads. */
static void find_words(struct ir_rows *r, u32 n)
{
    for (u32 at = 0; at < r->count; at++) {
        const struct ir_op *op = &r->block->op[r->first + at];
        const struct rows_value *v;
        u32 start, zeros = 0, signs = 0;
        if (op->opcode != IR_PUT || op->imm >= 32)
            continue;
        v = &r->value[op->arg[0] - r->first];
        for (u32 k = n; k < 8; k++) {
            zeros += !v->byte[k];
            signs += v->byte[k] == ((v->byte[n - 1] & ~ROWS_BYTE) | ROWS_SIGN);
        }
        if ((zeros == 8 - n || signs == 8 - n) && are_row(r, v->byte, n, &start))
            demand(r, start, at + 1);
    }
}

void rows_look(struct ir_rows *r)
{
    r->row_count = r->chunk_count = r->demand_count = 0;
    for (u32 n = 8; n >= 4; n /= 2) {
        find_chunks(r, n);
        find_words(r, n);
    }
}
