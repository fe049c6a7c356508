/* SPDX-License-Identifier: BSD-2-Clause */
/* Groups of rows, written anew: see ir/rows.h. */
#include "ir/rows.h"

#include "base/bits.h"

enum state {
    AS_IS,   /* the slot holds what it should */
    INITIAL, /* the same, and it was not written yet */
    PART,    /* it should have what rows_part says */
    MOVED,   /* it should have a constant more than what it holds */
};

/* v >> n, or << n. */
static ir_value shifted(struct ir_block *out, enum ir_opcode opcode, ir_value v, u32 n)
{
    return n ? ir_binary(out, opcode, v, ir_const(out, n)) : v;
}

static ir_value extended(struct ir_block *out, ir_value v, u32 bytes, bool sign)
{
    switch (bytes) {
    case 1:
        return ir_unary(out, sign ? IR_SX8 : IR_ZX8, v);
    case 2:
        return ir_unary(out, sign ? IR_SX16 : IR_ZX16, v);
    case 4:
        return ir_unary(out, sign ? IR_SX32 : IR_ZX32, v);
    case 8:
        return v;
    default:
        v = shifted(out, IR_SHL, v, 64 - 8 * bytes);
        return shifted(out, sign ? IR_SAR : IR_SHR, v, 64 - 8 * bytes);
    }
}

/* Above a row's word are zeros. A back end that has it in memory reads bytes of it from there. */
static ir_value part_value(struct ir_rows *r, const struct rows_part *part)
{
    const struct rows_row *row = &r->row[part->row];
    struct ir_block *out = &r->out;
    bool whole = part->from + part->count == row->size, extends = is_pow2(part->count);
    ir_value v = ir_get(out, row->home);

    if (part->sign || !whole || (part->from && extends)) {
        /* A rotation goes to another register, which a shift does not, and is as good. */
        v = shifted(out, extends ? IR_ROR : IR_SHR, v, 8u * part->from);
        v = extended(out, v, part->count, part->sign);
    } else {
        v = shifted(out, IR_SHR, v, 8u * part->from);
    }
    return shifted(out, IR_SHL, v, 8u * part->to);
}

static ir_value slot_value(struct ir_rows *r, u32 slot)
{
    const struct rows_slot *s = &r->slot[slot];
    struct ir_block *out = &r->out;
    struct rows_part part;
    ir_value v;

    if (s->state == PART && rows_part(r, s->value, &part))
        return part_value(r, &part);
    v = ir_get(out, slot);
    return s->state == MOVED ? ir_binary(out, IR_ADD, v, ir_const(out, (u64)s->value->offset)) : v;
}

/* The address that is `offset` from what a base had when the group began, and still has. */
static ir_value address(struct ir_rows *r, u32 base, s32 offset)
{
    struct ir_block *out = &r->out;
    ir_value v = ir_get(out, base == 32 ? IR_SLOT_PAGE : base);

    return offset ? ir_binary(out, IR_ADD, v, ir_const(out, (u64)(s64)offset)) : v;
}

static ir_value load(struct ir_rows *r, u32 base, s32 offset, u32 size, bool extends)
{
    ir_value v = ir_load(&r->out, address(r, base, offset), size, extends);

    r->out.op[v].access = IR_ACCESS_SURE;
    return v;
}

static void store(struct ir_rows *r, u32 base, s32 offset, ir_value v, u32 size)
{
    ir_store(&r->out, address(r, base, offset), v, size);
    r->out.op[r->out.count - 1].access = IR_ACCESS_SURE;
}

/* Does an operation end what a guard of this slot says, or may another guard of it come here? */
static bool ends_guard(const struct ir_block *out, const struct ir_op *op, u32 slot)
{
    s64 offset;
    u32 of;

    switch (op->opcode) {
    case IR_PUT:
        return op->imm == slot;
    case IR_LOAD:
    case IR_STORE:
        return op->access == IR_ACCESS_TLB && ir_is_near_slot(out, op->arg[0], &of, &offset) &&
               of == slot;
    case IR_BRANCH:
    case IR_LEAVE_IF:
        return false;
    default:
        return op->opcode > IR_FENCE && !ir_is_fp(op->opcode);
    }
}

/* The guard of a slot that is in force. It is one of the last IR_GUARDS, `later` ones that come yet
 * included, and each access between that is not sure may get one. */
static struct ir_op *find_guard(struct ir_block *out, u32 slot, u32 later, bool *branched)
{
    u32 others = 0;

    *branched = false;
    for (u32 at = out->count; at-- > 0;) {
        struct ir_op *op = &out->op[at];
        bool access = op->opcode == IR_LOAD || op->opcode == IR_STORE;
        if (op->opcode == IR_GUARD && out->op[op->arg[0]].imm == slot)
            return op;
        *branched |= op->opcode == IR_BRANCH || op->opcode == IR_LEAVE_IF;
        others += op->opcode == IR_GUARD || (access && op->access == IR_ACCESS_TLB);
        if (ends_guard(out, op, slot) || others + later >= IR_GUARDS)
            return NULL;
    }
    return NULL;
}

/* Makes a guard of the group's base that is in force already see to this group, too. */
static bool share_guard(struct ir_rows *r, u32 base, const struct rows_range *range, u32 later)
{
    const struct ir_op *last = &r->block->op[r->first + r->count - 1];
    bool branched;
    struct ir_op *guard = find_guard(&r->out, base == 32 ? IR_SLOT_PAGE : base, later, &branched);
    s64 first, end;

    if (!guard || (range->write && !guard->kind && branched))
        return false;
    first = guard->imm < range->first ? guard->imm : range->first;
    end = guard->imm + guard->size > range->end ? guard->imm + guard->size : range->end;
    if (end - first > ROWS_SPAN)
        return false;
    guard->imm = first;
    guard->size = (u8)(end - first);
    guard->kind |= range->write;
    guard->slot = (u16)(last->guest - guard->guest + 1);
    return true;
}

static void emit_guards(struct ir_rows *r)
{
    const struct ir_op *op = &r->block->op[r->first];
    struct ir_block *out = &r->out;
    u32 later = rows_bases(r);

    for (u32 b = 0; b < ROWS_BASES; b++) {
        const struct rows_range *range = &r->range[b];
        struct ir_op guard = {.opcode = IR_GUARD, .kind = range->write, .guest = out->guest};
        if (range->first == range->end)
            continue;
        later--;
        if (share_guard(r, b, range, later))
            continue;
        guard.imm = range->first;
        guard.size = (u8)(range->end - range->first);
        guard.slot = op[r->count - 1].guest - op->guest + 1u;
        guard.arg[0] = address(r, b, 0);
        out->op[out->count++] = guard;
    }
}

static ir_value reversed(struct ir_block *out, ir_value v, u32 bytes)
{
    return shifted(out, IR_SHR, ir_unary(out, IR_BSWAP, v), 64 - 8 * bytes);
}

static void emit_row(struct ir_rows *r, const struct rows_row *row)
{
    ir_value v = load(r, row->base, row->offset, row->size, false);

    ir_put(&r->out, row->home, row->reversed ? reversed(&r->out, v, row->size) : v);
}

/* ---- chunks ---- */

/* From byte `from` on in v, perhaps reversed; what is above them does not matter. */
static ir_value bytes_of(struct ir_block *out, ir_value v, u32 from, u32 bytes, bool reverse)
{
    v = shifted(out, IR_SHR, v, 8 * from);
    return reverse ? reversed(out, v, bytes) : v;
}

static bool chunk_of_row(struct ir_rows *r, const struct rows_chunk *c, ir_value *v)
{
    u32 row, next, first, last;

    if (!rows_byte(r, c->byte[0], &row, &first) || !rows_byte(r, c->byte[1], &row, &next) ||
        !rows_byte(r, c->byte[c->size - 1], &row, &last))
        return false;
    *v = bytes_of(&r->out, ir_get(&r->out, r->row[row].home), first < last ? first : last, c->size,
                  next < first);
    return true;
}

/* A slot that holds the bytes, in order or reversed. */
static bool chunk_of_slot(struct ir_rows *r, const struct rows_chunk *c, ir_value *v)
{
    for (u32 s = 1; s < 32; s++) {
        const struct rows_slot *slot = &r->slot[s];
        if (slot->state > INITIAL || rows_home_of(r, s))
            continue;
        for (u32 from = 0; from + c->size <= 8; from++) {
            bool up = true, down = true;
            for (u32 k = 0; k < c->size; k++) {
                up &= slot->value->byte[from + k] == c->byte[k];
                down &= slot->value->byte[from + k] == c->byte[c->size - 1u - k];
            }
            if (!up && !down)
                continue;
            *v = bytes_of(&r->out, ir_get(&r->out, s), from, c->size, !up);
            return true;
        }
    }
    return false;
}

static bool chunk_of_constants(struct ir_rows *r, const struct rows_chunk *c, ir_value *v)
{
    u64 constant = 0;

    for (u32 k = 0; k < c->size; k++) {
        if (c->byte[k] > 0xff)
            return false;
        constant |= (u64)c->byte[k] << 8 * k;
    }
    *v = ir_const(&r->out, constant);
    return true;
}

/* From bytes in slots, which homes are not. */
static void chunk_of_slots(struct ir_rows *r, const struct rows_chunk *c, ir_value *v)
{
    for (u32 k = c->size; k-- > 0;) {
        ir_value byte = ir_unary(&r->out, IR_ZX8, slot_value(r, c->slot[k]));
        *v = k == c->size - 1u ? byte
                               : ir_binary(&r->out, IR_OR, shifted(&r->out, IR_SHL, *v, 8), byte);
    }
}

static bool emit_chunk(struct ir_rows *r, const struct rows_chunk *c)
{
    ir_value v = 0;

    if (c->mixed)
        chunk_of_slots(r, c, &v);
    else if (!chunk_of_constants(r, c, &v) && !chunk_of_row(r, c, &v) && !chunk_of_slot(r, c, &v))
        return false;
    store(r, c->base, c->offset, v, c->size);
    return true;
}

/* ---- the group ---- */

static void emit_put(struct ir_rows *r, u32 at)
{
    const struct ir_op *op = &r->block->op[r->first + at];
    struct rows_slot *slot;

    if (!r->role[at])
        ir_put(&r->out, (u32)op->imm, r->map[op->arg[0]]);
    if (op->imm >= 32)
        return;
    slot = &r->slot[op->imm];
    slot->value = &r->value[op->arg[0] - r->first];
    slot->state = r->role[at] & ROWS_MOVED ? MOVED : r->role[at] & ROWS_LAZY ? PART : AS_IS;
}

static bool emit_access(struct ir_rows *r, u32 at)
{
    const struct ir_op *op = &r->block->op[r->first + at];
    const struct rows_access *a = rows_access_at(r, at);
    const struct rows_chunk *c;
    struct rows_part part;

    if (a->write && a->chunk) {
        c = &r->chunk[a->chunk - 1];
        return a != &r->access[c->access] || emit_chunk(r, c);
    }
    if (a->write)
        store(r, a->base, a->offset, r->map[op->arg[1]], a->size);
    if (a->write || !(r->role[at] & ROWS_NEEDED))
        return true;
    if (a->row && !rows_part(r, &r->value[at], &part))
        return false;
    r->map[r->first + at] =
        a->row ? part_value(r, &part) : load(r, a->base, a->offset, a->size, op->extends);
    return true;
}

/* What computes, if it is needed. */
static void emit_plain(struct ir_rows *r, u32 at)
{
    struct ir_op op = r->block->op[r->first + at];

    if (!(r->role[at] & ROWS_NEEDED))
        return;
    if (op.opcode == IR_GET && op.imm < 32) {
        r->map[r->first + at] = slot_value(r, (u32)op.imm);
        return;
    }
    for (u32 i = 0; i < ir_operands((enum ir_opcode)op.opcode); i++)
        op.arg[i] = r->map[op.arg[i]];
    r->map[r->first + at] = r->out.count;
    r->out.op[r->out.count++] = op;
}

static bool emit_op(struct ir_rows *r, u32 at)
{
    const struct ir_op *op = &r->block->op[r->first + at];

    if (op->opcode == IR_PUT)
        emit_put(r, at);
    else if (op->opcode == IR_LOAD || op->opcode == IR_STORE)
        return emit_access(r, at);
    else
        emit_plain(r, at);
    return true;
}

/* Those that are no homes come first; a home's own value comes from the word in it. */
static u32 turn_of(const struct ir_rows *r, u32 slot)
{
    const struct rows_row *row = rows_home_of(r, slot);

    return !row ? 0 : row->lodges ? 1 : 2;
}

/* What was left to the end. */
static void emit_rest(struct ir_rows *r)
{
    for (u32 turn = 0; turn < 3; turn++) {
        for (u32 s = 1; s < 32; s++) {
            if (r->slot[s].state > INITIAL && turn_of(r, s) == turn)
                ir_put(&r->out, s, slot_value(r, s));
        }
    }
}

#define OP_GROWTH 6 /* operations, at most, that one becomes */
#define END_GROWTH \
    (32 * (OP_GROWTH + 1) + 8 * ROWS_BASES) /* that are added at the beginning and at the end */

bool rows_emit(struct ir_rows *r)
{
    struct ir_block *out = &r->out;
    u16 count = out->count;
    u32 rest = r->block->count - r->first;

    if (count + rest + r->count * OP_GROWTH + END_GROWTH > IR_OPS_MAX)
        return false;
    rows_initial(r);
    for (u32 s = 0; s < ROWS_BASES; s++)
        r->slot[s].state = INITIAL;
    out->guest = r->block->op[r->first].guest;
    emit_guards(r);
    for (u32 at = 0; at < r->count; at++) {
        out->guest = r->block->op[r->first + at].guest;
        for (u32 i = 0; i < r->row_count; i++) {
            if (r->row[i].start == at)
                emit_row(r, &r->row[i]);
        }
        if (!emit_op(r, at)) {
            out->count = count;
            return false;
        }
    }
    emit_rest(r);
    return true;
}
