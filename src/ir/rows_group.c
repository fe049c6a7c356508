/* SPDX-License-Identifier: BSD-2-Clause */
/* Chooses a group of rows in a block, and what becomes of its operations: see ir/rows.h. */
#include "ir/rows.h"

#include "base/bits.h"

#include <string.h>

#define TRIES      10  /* to find a group's ends */
#define FOLLOW_OPS 160 /* that are looked at behind it, */
#define SOON_OPS   24  /* and between accesses */

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

/* May the row's word live in a slot until the end? *last: what the slot gets then. */
static bool can_hold(struct ir_rows *r, const struct rows_row *row, u32 slot,
                     struct rows_part *last)
{
    const struct rows_value *value = NULL;

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
        if (op->opcode == IR_GET && !value && r->role[at] & ROWS_NEEDED)
            return false;
        if (op->opcode == IR_PUT && !(r->role[at] & ROWS_LAZY))
            return false;
        if (op->opcode == IR_PUT)
            value = &r->value[op->arg[0] - r->first];
    }
    return value && rows_part(r, value, last);
}

/* A slot that gets a byte of the row in the end, or all of it. */
static u8 find_home(struct ir_rows *r, const struct rows_row *row)
{
    struct rows_part last;
    u8 home = 0;

    for (u32 s = 1; s < 32; s++) {
        if (!can_hold(r, row, s, &last) || &r->row[last.row] != row)
            continue;
        home = (u8)s;
        if (last.count == row->size && !last.to && !last.sign)
            break;
    }
    return home;
}

/* A slot that gets a byte of another row in the end, before that one's home gets its own. */
static u8 find_lodging(struct ir_rows *r, const struct rows_row *row)
{
    struct rows_part last;

    for (u32 s = 1; s < 32; s++) {
        if (!rows_home_of(r, s) && can_hold(r, row, s, &last) && r->row[last.row].home &&
            !r->row[last.row].lodges)
            return (u8)s;
    }
    return 0;
}

static bool find_homes(struct ir_rows *r)
{
    for (u32 i = 0; i < r->row_count; i++) {
        r->row[i].home = find_home(r, &r->row[i]);
        r->row[i].lodges = !r->row[i].home;
    }
    for (u32 i = 0; i < r->row_count; i++) {
        if (r->row[i].lodges)
            r->row[i].home = find_lodging(r, &r->row[i]);
        if (!r->row[i].home)
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

/* ---- its ends ---- */

/* Which of the demands from operation `from` on comes first, and all that overlaps with it. False:
 * there is none. */
static bool first_demands(const struct ir_rows *r, u32 from, u32 *first, u32 *end)
{
    bool more = true;

    *first = r->count;
    *end = 0;
    for (u32 i = 0; i < r->demand_count; i++) {
        if (r->demand[i].first >= from && r->demand[i].first < *first) {
            *first = r->demand[i].first;
            *end = r->demand[i].end;
        }
    }
    if (!*end)
        return false;
    while (more) {
        more = false;
        for (u32 i = 0; i < r->demand_count; i++) {
            const struct rows_demand *d = &r->demand[i];
            if (d->first >= from && d->first < *end && d->end > *end) {
                *end = d->end;
                more = true;
            }
        }
    }
    *end = rows_instruction_end(r->block, r->first + *end - 1) - r->first;
    return true;
}

/* Where the accesses end that follow the first `count` operations soon, before `limit`. */
static u32 followers_end(const struct ir_rows *r, u32 count, u32 limit)
{
    u32 end = count;

    for (u32 i = 0; i < r->access_count; i++) {
        const struct rows_access *a = &r->access[i];
        if (a->at >= count && a->start < limit && a->start < end + SOON_OPS)
            end = rows_instruction_end(r->block, r->first + a->at) - r->first;
    }
    return end;
}

/* Is it a group with another end, of so many rows and chunks? */
static bool is_group_to(struct ir_rows *r, u32 end, u32 rows)
{
    u32 lost;

    rows_scan(r, r->first, r->first + end);
    if (r->count != end || rows_is_apart(r))
        return false;
    rows_look(r);
    return r->row_count + r->chunk_count >= rows && is_group(r, &lost);
}

/*
 * A group takes in what comes soon: the next rows, so that nothing leaves in between and the bytes
 * of the first ones need not be right there; or at least other accesses, as the load of what a row
 * of stores has put together, which its guards are good for. False: it fails too often as it is.
 */
static bool take_followers(struct ir_rows *r)
{
    const u32 left = r->block->count - r->first;
    u32 count = r->count;

    for (;;) {
        u32 rows = r->row_count + r->chunk_count, first, end, alone;
        u32 limit = count + FOLLOW_OPS < left ? count + FOLLOW_OPS : left;
        bool more;
        rows_scan(r, r->first, r->first + limit);
        rows_look(r);
        more = first_demands(r, count, &first, &end);
        alone = followers_end(r, count, more ? first : r->count);
        if (more && is_group_to(r, end, rows + 1)) {
            count = end;
            continue;
        }
        return (alone > count && is_group_to(r, alone, rows)) || is_group_to(r, count, rows);
    }
}

bool rows_find(struct ir_rows *r, u32 first, u32 *next)
{
    rows_scan(r, first, r->block->count);
    *next = first + r->count;
    for (u32 i = 0; i < TRIES; i++) {
        u32 from, end, old = r->first;
        rows_look(r);
        if (!first_demands(r, 0, &from, &end))
            break;
        *next = old + end;
        if (!from && end == r->count) {
            if (is_group(r, &end))
                return take_followers(r);
            *next = end ? old + end : *next;
        }
        rows_scan(r, old + from, old + end);
    }
    if (*next < rows_instruction_end(r->block, first))
        *next = rows_instruction_end(r->block, first);
    return false;
}
