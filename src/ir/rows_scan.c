/* SPDX-License-Identifier: BSD-2-Clause */
/* Which operations may make a group of rows: see ir/rows.h. */
#include "ir/rows.h"

#include <string.h>

/* What needs certain registers (jit/backend.h) is not: its operands may have to be computed. */
static bool is_plain(const struct ir_op *op)
{
    if (op->opcode == IR_LOAD || op->opcode == IR_STORE)
        return op->access == IR_ACCESS_TLB;
    return op->opcode <= IR_SAR || op->opcode == IR_MUL ||
           (op->opcode >= IR_EQ && op->opcode <= IR_BSWAP);
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
            rows_overlap(a->offset, a->size, next->offset, next->size))
            return (u8)(last->run + 1);
    }
    return last->run;
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
    if (range->first == range->end && rows_bases(r) == ROWS_GUARDS)
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
void rows_scan(struct ir_rows *r, u32 first, u32 limit)
{
    r->first = first;
    r->count = 0;
    r->access_count = 0;
    memset(r->range, 0, sizeof(r->range));
    rows_initial(r);
    while (first + r->count < limit) {
        u32 end = rows_instruction_end(r->block, first + r->count);
        if (end > limit || end - first > ROWS_OPS || !take_instruction(r, end - first))
            break;
    }
}
