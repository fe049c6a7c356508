/* SPDX-License-Identifier: BSD-2-Clause */
/* Which operations make a group, and what becomes of them: see ir/rows.h. */
#include "ir/rows.h"

#include <string.h>

#define MEMBERS_MIN 4  /* stores of a chunk */
#define LOADS_MIN   3  /* of a word that is put together */
#define TRIES       10 /* to find a group's ends */

/* ---- what belongs to it ---- */

static u32 instruction_end(const struct ir_block *block, u32 at)
{
    u32 end = at + 1;

    while (end < block->count && block->op[end].guest == block->op[at].guest)
        end++;
    return end;
}

/* What needs certain registers (jit/backend.h) is not: its operands may have to be computed. */
static bool is_plain(const struct ir_op *op)
{
    if (op->opcode == IR_LOAD || op->opcode == IR_STORE)
        return op->access == IR_ACCESS_TLB;
    return op->opcode <= IR_SAR || op->opcode == IR_MUL ||
           (op->opcode >= IR_EQ && op->opcode <= IR_BSWAP);
}

static bool overlap(s32 a, u32 a_size, s32 b, u32 b_size)
{
    return a < b + (s32)b_size && b < a + (s32)a_size;
}

/* The run of the store that comes next, which is not there yet. */
static u8 run_of(const struct ir_rows *r, const struct rows_access *next)
{
    const struct rows_access *last;

    if (!r->access_count)
        return 0;
    last = &r->access[r->access_count - 1];
    if (!last->write || last->base != next->base)
        return (u8)(last->run + 1);
    for (u32 i = 0; i < r->access_count; i++) {
        const struct rows_access *a = &r->access[i];
        if (a->write && a->run == last->run &&
            overlap(a->offset, a->size, next->offset, next->size))
            return (u8)(last->run + 1);
    }
    return last->run;
}

static u32 bases_of(const struct ir_rows *r)
{
    u32 n = 0;

    for (u32 b = 0; b < ROWS_BASES; b++)
        n += r->range[b].first != r->range[b].end;
    return n;
}

/* False: it does not belong to the group. */
static bool add_access(struct ir_rows *r, u32 at, u32 start)
{
    const struct ir_op *op = &r->block->op[r->first + at];
    const struct rows_value *address = &r->value[op->arg[0] - r->first];
    struct rows_access a = {.at = (u16)at, .start = (u16)start, .size = op->size};
    struct rows_range *range;
    s32 first, end;

    if (address->origin >= ROWS_BASES || r->access_count == ROWS_ACCESSES ||
        address->offset != (s32)address->offset || address->offset > INT32_MAX - 8)
        return false;
    a.base = (u8)address->origin;
    a.offset = (s32)address->offset;
    a.write = op->opcode == IR_STORE;
    range = &r->range[a.base];
    if (range->first == range->end && bases_of(r) == ROWS_GUARDS)
        return false;
    first = range->first == range->end || a.offset < range->first ? a.offset : range->first;
    end = range->first == range->end || a.offset + a.size > range->end ? a.offset + a.size
                                                                       : range->end;
    if ((s64)end - first > ROWS_SPAN)
        return false;
    range->first = first;
    range->end = end;
    range->write |= a.write;
    a.run = run_of(r, &a);
    r->access[r->access_count++] = a;
    r->access_of[at] = (u8)r->access_count;
    return true;
}

/* One instruction more, from the group's end; false: it does not belong to it. */
static bool take_instruction(struct ir_rows *r, u32 end)
{
    u32 start = r->count, accesses = r->access_count;

    for (u32 at = start; at < end; at++) {
        if (!is_plain(&r->block->op[r->first + at]))
            return false;
    }
    for (u32 at = start; at < end; at++) {
        const struct ir_op *op = &r->block->op[r->first + at];
        r->access_of[at] = 0;
        rows_value_of(r, at);
        if (op->opcode == IR_PUT && op->imm < 32)
            r->slot[op->imm].value = &r->value[op->arg[0] - r->first];
        if ((op->opcode == IR_LOAD || op->opcode == IR_STORE) && !add_access(r, at, start)) {
            r->access_count = accesses;
            return false;
        }
    }
    r->count = end;
    return true;
}

/* The group from `first` to `limit`, or to what does not belong to it. */
static void scan(struct ir_rows *r, u32 first, u32 limit)
{
    r->first = first;
    r->count = 0;
    r->access_count = 0;
    memset(r->range, 0, sizeof(r->range));
    rows_initial(r);
    while (first + r->count < limit) {
        u32 end = instruction_end(r->block, first + r->count);
        if (end > limit || end - first > ROWS_OPS || !take_instruction(r, end - first))
            break;
    }
}

/* ---- rows and chunks ---- */

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
            (a->base != row->base || overlap(a->offset, a->size, row->offset, row->size)))
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

/* What comes first, and all that overlaps with it. */
static void first_demands(const struct ir_rows *r, u32 *first, u32 *end)
{
    bool more = true;

    *first = r->count;
    *end = 0;
    for (u32 i = 0; i < r->demand_count; i++) {
        if (r->demand[i].first < *first) {
            *first = r->demand[i].first;
            *end = r->demand[i].end;
        }
    }
    while (more) {
        more = false;
        for (u32 i = 0; i < r->demand_count; i++) {
            const struct rows_demand *d = &r->demand[i];
            if (d->first < *end && d->end > *end) {
                *end = d->end;
                more = true;
            }
        }
    }
    *end = instruction_end(r->block, r->first + *end - 1) - r->first;
}

static void find_demands(struct ir_rows *r)
{
    r->row_count = r->chunk_count = r->demand_count = 0;
    for (u32 n = 8; n >= 4; n /= 2) {
        find_chunks(r, n);
        find_words(r, n);
    }
}

/* ---- roles ---- */

/* Does it come first among those that are replaced by the same, or is it not replaced? */
static bool is_done(const struct ir_rows *r, u32 access)
{
    const struct rows_access *a = &r->access[access];

    if (a->row)
        return r->row[a->row - 1].access == access;
    return !a->chunk || r->chunk[a->chunk - 1].access == access;
}

static void find_last_uses(struct ir_rows *r)
{
    memset(r->last_use, 0, sizeof(r->last_use));
    for (u32 i = 0; i < r->access_count; i++) {
        if (is_done(r, i))
            r->last_use[r->access[i].base] = (u16)(r->access[i].start + 1);
    }
}

/*
 * PUTs whose values rows have (ROWS_LAZY), or that add to a base that is needed (ROWS_MOVED, too),
 * are left to the group's end. False: a base is lost at an operation while it is needed.
 */
static bool find_lazy(struct ir_rows *r, u32 *lost)
{
    struct rows_part part;

    for (u32 at = 0; at < r->count; at++) {
        const struct ir_op *op = &r->block->op[r->first + at];
        const struct rows_value *v;
        r->role[at] = 0;
        if (op->opcode != IR_PUT || op->imm >= 32)
            continue;
        v = &r->value[op->arg[0] - r->first];
        *lost = at;
        if (rows_part(r, v, &part))
            r->role[at] = ROWS_LAZY;
        else if (r->last_use[op->imm] > at && v->origin != op->imm)
            return false;
        else if (r->last_use[op->imm] > at)
            r->role[at] = ROWS_LAZY | ROWS_MOVED;
    }
    return true;
}

/* Operations that are needed to compute what is not left to the end. */
static void find_needed(struct ir_rows *r)
{
    for (u32 at = r->count; at-- > 0;) {
        const struct ir_op *op = &r->block->op[r->first + at];
        u32 from = 0, operands = ir_operands((enum ir_opcode)op->opcode);
        if (op->opcode == IR_PUT     ? r->role[at] != 0
            : op->opcode == IR_STORE ? rows_access_at(r, at)->chunk
                                     : !(r->role[at] & ROWS_NEEDED))
            continue;
        if (op->opcode == IR_LOAD)
            continue;
        from = op->opcode == IR_STORE;
        for (u32 i = from; i < operands; i++)
            r->role[op->arg[i] - r->first] |= ROWS_NEEDED;
    }
}

/* Does a word that is put together from slots need this one? */
static bool is_in_chunk(const struct ir_rows *r, u32 slot)
{
    for (u32 i = 0; i < r->chunk_count; i++) {
        for (u32 k = 0; k < 4; k++) {
            if (r->chunk[i].mixed && r->chunk[i].slot[k] == slot)
                return true;
        }
    }
    return false;
}

/* May the row's word live in a slot until the end? *whole: it is what the slot gets then. */
static bool can_be_home(struct ir_rows *r, const struct rows_row *row, u32 slot, bool *whole)
{
    const struct rows_value *last = NULL;
    struct rows_part part;

    if (r->last_use[slot] > row->start + 1u || is_in_chunk(r, slot))
        return false;
    for (u32 at = 0; at < r->count; at++) {
        const struct ir_op *op = &r->block->op[r->first + at];
        if ((op->opcode != IR_GET && op->opcode != IR_PUT) || op->imm != slot)
            continue;
        if (op->opcode == IR_PUT && r->role[at] & ROWS_MOVED)
            return false;
        if (at < row->start)
            continue;
        if (op->opcode == IR_GET && !last && r->role[at] & ROWS_NEEDED)
            return false;
        if (op->opcode == IR_PUT && !(r->role[at] & ROWS_LAZY))
            return false;
        if (op->opcode == IR_PUT)
            last = &r->value[op->arg[0] - r->first];
    }
    if (!last || !rows_part(r, last, &part) || &r->row[part.row] != row)
        return false;
    *whole = part.count == row->size && !part.to && !part.sign;
    return true;
}

static bool find_homes(struct ir_rows *r)
{
    for (u32 i = 0; i < r->row_count; i++) {
        struct rows_row *row = &r->row[i];
        bool whole = false;
        row->home = 0;
        for (u32 s = 1; s < 32 && !whole; s++) {
            if (can_be_home(r, row, s, &whole))
                row->home = (u8)s;
        }
        if (!row->home)
            return false;
    }
    return true;
}

/* Is it a group as it stands? Else *end is where a shorter one may end. */
static bool is_group(struct ir_rows *r, u32 *end)
{
    u32 lost;

    find_last_uses(r);
    if (!find_lazy(r, &lost)) {
        while (lost &&
               r->block->op[r->first + lost - 1].guest == r->block->op[r->first + lost].guest)
            lost--;
        *end = lost;
        return false;
    }
    find_needed(r);
    if (find_homes(r))
        return true;
    *end = 0;
    return false;
}

bool rows_find(struct ir_rows *r, u32 first, u32 *next)
{
    scan(r, first, r->block->count);
    *next = first + r->count;
    for (u32 i = 0; i < TRIES; i++) {
        u32 from, end, old = r->first;
        find_demands(r);
        if (!r->demand_count)
            break;
        first_demands(r, &from, &end);
        *next = old + end;
        if (!from && end == r->count) {
            if (is_group(r, &end))
                return true;
            *next = end ? old + end : *next;
        }
        scan(r, old + from, old + end);
    }
    if (*next < instruction_end(r->block, first))
        *next = instruction_end(r->block, first);
    return false;
}
