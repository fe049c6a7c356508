/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds groups of rows in a block: see ir/rows.h. */
#include "ir/rows.h"

#define NARROW_MIN 4 /* accesses of bytes or halves, below which nothing is looked at */

static bool is_narrow(const struct ir_op *op)
{
    return (op->opcode == IR_LOAD || op->opcode == IR_STORE) && op->size <= 2;
}

static bool may_have_rows(const struct ir_block *block)
{
    u32 n = 0;

    for (u32 at = 0; at < block->count && n < NARROW_MIN; at++)
        n += is_narrow(&block->op[at]);
    return n == NARROW_MIN;
}

static void copy(struct ir_rows *r, u32 at, u32 end)
{
    for (; at < end; at++) {
        struct ir_op op = r->block->op[at];
        for (u32 i = 0; i < ir_operands((enum ir_opcode)op.opcode); i++)
            op.arg[i] = r->map[op.arg[i]];
        r->map[at] = r->out.count;
        r->out.op[r->out.count++] = op;
    }
}

/* Where the next instruction begins; *narrow: this one has such an access. */
static u32 instruction_end(const struct ir_block *block, u32 at, bool *narrow)
{
    u16 guest = block->op[at].guest;

    *narrow = false;
    for (; at < block->count && block->op[at].guest == guest; at++)
        *narrow |= is_narrow(&block->op[at]);
    return at;
}

const struct ir_block *ir_rows(struct ir_rows *r, const struct ir_block *block, const u64 *apart)
{
    bool found = false;
    u32 at = 0;

    if (!may_have_rows(block))
        return block;
    r->block = block;
    r->apart = apart;
    ir_init(&r->out);
    while (at < block->count) {
        bool narrow;
        u32 next = instruction_end(block, at, &narrow);
        if (block->op[at].opcode == IR_LABEL) {
            copy(r, at, at + 1);
            at++;
        }
        if (narrow && rows_find(r, at, &next)) {
            copy(r, at, r->first);
            at = r->first;
            next = at + r->count;
            if (rows_emit(r)) {
                found = true;
                at = next;
            }
        }
        copy(r, at, next);
        at = next;
    }
    return found ? &r->out : block;
}
