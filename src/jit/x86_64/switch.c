/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Jumps within a region to where a register says: calls through pointers, switches, returns.
 *
 * Where a JUMPR has led is known from the engine. It is compared with a few such places; if there
 * are more, a map before the code has the host address of each label that they lead to, by
 * halfword of the first page, which is reached with a lag of 0. All other halfwords, as all other
 * places, lead out of the region by the table.
 */
#include "jit/x86_64/compile.h"

#define RETURNS_MAX 6
#define RETURNS_ALL 256 /* in a region: a guest may have it full of them, and JUMPS_MAX ends */

#define FEW       3
#define MANY      64 /* of one JUMPR, at most */
#define MAP_ENTRY 8
#define MAP_MAX   ((1u << JIT_PAGE_BITS) / 2 * MAP_ENTRY)
#define MISS_MAX  512
#define PAGE_EVEN ((1 << JIT_PAGE_BITS) - 2)

static bool in_first_page(s32 offset)
{
    return offset >= 0 && offset < 1 << JIT_PAGE_BITS;
}

/* The first of what is known of a JUMPR. */
static u32 first_of(const struct compile *x, s32 from)
{
    u32 first = 0, last = x->jump_count;

    while (first < last) {
        u32 middle = (first + last) / 2;
        if (x->jump[middle].from < from)
            first = middle + 1;
        else
            last = middle;
    }
    return first;
}

/* The labels that JUMPR `at` is known to lead to, each once; how many. */
static u32 find_targets(const struct compile *x, u32 at, u32 *labels)
{
    const s32 from = op_offset(x, &x->block->op[at]);
    u32 n = 0;

    for (u32 i = first_of(x, from); i < x->jump_count && x->jump[i].from == from && n < MANY; i++) {
        bool known = false;
        labels[n] = region_label(x, x->jump[i].to);
        for (u32 k = 0; k < n; k++)
            known |= labels[k] == labels[n];
        n += !known && labels[n] != LABELS_MAX;
    }
    return n;
}

u32 switch_return(const struct compile *x, u32 at)
{
    const struct ir_op *op = x->block->op;
    u16 guest = op[at].guest;

    while (at-- > 0 && op[at].guest == guest) {
        const struct ir_op *sum = &op[op[at].arg[0]];
        u64 offset;
        if (op[at].opcode == IR_PUT && sum->opcode == IR_ADD && op[sum->arg[0]].opcode == IR_GET &&
            (u32)op[sum->arg[0]].imm == IR_SLOT_PAGE && ir_is_const(x->block, sum->arg[1], &offset))
            return region_label(x, (s64)offset);
    }
    return LABELS_MAX;
}

static void add_call(struct region_code *r, s32 callee, u32 back)
{
    if (r->call_count == CALLS_MAX)
        return;
    r->call[r->call_count].callee = callee;
    r->call[r->call_count++].back = back;
}

/* If the operation calls what the region holds. */
static void note_call(struct compile *x, u32 at, const u32 *targets, u32 n)
{
    struct region_code *r = x->in;
    const struct ir_op *op = &x->block->op[at];
    u32 back;

    if (op->opcode == IR_JUMP ? region_label(x, op->imm) == LABELS_MAX : !n)
        return;
    back = switch_return(x, at);
    if (back == LABELS_MAX)
        return;
    if (op->opcode == IR_JUMP)
        add_call(r, (s32)op->imm, back);
    for (u32 i = 0; i < n; i++)
        add_call(r, r->label[targets[i]].offset, back);
}

/*
 * Where a return of the region may lead in it: behind calls of the function that it seems to belong
 * to, which begins before it, then behind others.
 */
static u32 find_returns(const struct compile *x, s32 from, u32 *labels)
{
    const struct region_code *r = x->in;
    s32 function = INT32_MIN;
    u32 n = 0;

    for (u32 i = 0; i < r->call_count; i++) {
        if (r->call[i].callee <= from && r->call[i].callee > function)
            function = r->call[i].callee;
    }
    for (u32 i = 0; i < 2 * r->call_count && n < RETURNS_MAX; i++) {
        const u32 k = i % r->call_count;
        bool known = (r->call[k].callee == function) != (i < r->call_count);
        labels[n] = r->call[k].back;
        for (u32 m = 0; m < n; m++)
            known |= labels[m] == labels[n];
        n += !known;
    }
    return n;
}

u32 switch_bound(const struct jit_compiler *compiler)
{
    return compiler->jump_count > FEW ? MAP_MAX + MISS_MAX : 0;
}

/* The map shall have them. */
static void add_to_map(struct region_code *r, const u32 *labels, u32 n)
{
    for (u32 i = 0; i < n; i++) {
        const s32 offset = r->label[labels[i]].offset;
        if (!in_first_page(offset))
            continue;
        if (!r->map.wanted || offset < r->map.first)
            r->map.first = offset;
        if (!r->map.wanted || offset > r->map.last)
            r->map.last = offset;
        r->map.wanted = true;
        r->label[labels[i]].jumped = true;
        r->label[labels[i]].lag = 0;
    }
}

void switch_find(struct compile *x)
{
    struct region_code *r = x->in;
    u32 labels[MANY + 1];

    r->map.entry = NULL;
    r->map.wanted = false;
    r->call_count = 0;
    for (u32 i = 0; i < x->block->count; i++) {
        const u8 opcode = x->block->op[i].opcode;
        u32 n = opcode == IR_JUMPR ? find_targets(x, i, labels) : 0;
        if (opcode == IR_JUMP || opcode == IR_JUMPR)
            note_call(x, i, labels, n);
        if (n > FEW)
            add_to_map(r, labels, n);
    }
}

u32 switch_lowest(const struct compile *x, u32 at)
{
    u32 labels[MANY + 1], n = x->jump_count ? find_targets(x, at, labels) : 0;
    u32 lowest = LABELS_MAX;

    while (n--)
        lowest = labels[n] < lowest ? labels[n] : lowest;
    return lowest;
}

static u64 address_of(const struct compile *x, const u8 *at)
{
    return (u64)(uintptr_t)(x->b->buffer.run + (at - x->b->buffer.write));
}

static u32 map_place(s32 offset)
{
    return (u32)offset / 2 * MAP_ENTRY;
}

void switch_begin(struct compile *x)
{
    struct region_code *r = x->in;
    struct code *c = &x->c;
    u64 miss;

    if (!r->map.wanted)
        return;
    while ((uintptr_t)c->at & 63)
        emit8(c, 0xcc);
    r->map.entry = c->at;
    c->at += map_place(r->map.last) + MAP_ENTRY;
    miss = address_of(x, c->at);
    for (u8 *entry = r->map.entry; entry < c->at; entry += MAP_ENTRY)
        le64_store(entry, miss);
    emit_alu(c, ALU_ADD, RAX, state_rm(x->b->layout.page));
    region_leave(x, 0);
    emit_indirect_jump(x->b, c, NOT_NOTED);
}

void switch_end(struct compile *x)
{
    struct region_code *r = x->in;

    for (u32 i = 0; r->map.entry && i < r->label_count; i++) {
        if (r->label[i].jumped)
            le64_store(r->map.entry + map_place(r->label[i].offset), address_of(x, r->label[i].at));
    }
}

/* By the map, to what RAX holds. */
static void jump_by_map(struct compile *x, u32 at)
{
    const struct region_code *r = x->in;
    const struct ir_op *op = &x->block->op[at];
    u8 *turn, *away;
    struct code *c = &x->c;

    region_add_count(x, op_lag(x, op) + 1);
    emit_jcc(c, CC_GE, NULL);
    turn = c->at;
    emit_mov(c, RCX, rm_reg(RAX));
    emit_alu(c, ALU_XOR, RCX, state_rm(x->b->layout.page));
    emit_alu_imm(c, true, ALU_CMP, rm_reg(RCX), r->map.last + 1);
    emit_jcc(c, CC_A, NULL);
    away = c->at;
    emit_alu_imm(c, false, ALU_AND, rm_reg(RAX), PAGE_EVEN);
    emit_lea_near(c, RDX, r->map.entry);
    emit_op_scaled(c, false, 0xff, 4, RDX, RAX, 2, 0); /* jmp */
    patch_rel(away, c->at);
    patch_rel(turn, c->at);
}

/* To a few of the places that the map has not; the count is exact. */
static void jump_away(struct compile *x, u32 at, const u32 *labels, u32 n)
{
    const s32 base = x->base;
    u32 away[FEW], count = 0;

    for (u32 i = 0; i < n && count < FEW; i++) {
        away[count] = labels[i];
        count += !x->in->label[labels[i]].jumped;
    }
    x->base = x->block->op[at].guest + 1;
    compile_near_places(x, at, away, count);
    x->base = base;
}

/* A return, perhaps, to a place in the region. */
static void jump_back(struct compile *x, u32 at)
{
    u32 labels[RETURNS_MAX + 1], n = find_returns(x, op_offset(x, &x->block->op[at]), labels);

    if (x->in->returns + n > RETURNS_ALL || switch_return(x, at) != LABELS_MAX)
        return;
    x->in->returns += n;
    compile_near_places(x, at, labels, n);
}

enum switched switch_jump(struct compile *x, u32 at)
{
    u32 labels[MANY + 1], n = find_targets(x, at, labels);

    if (n > FEW && x->in->map.entry) {
        jump_by_map(x, at);
        jump_away(x, at, labels, n);
        return SWITCHED_COUNTED;
    }
    if (n)
        compile_near_places(x, at, labels, n < FEW ? n : FEW);
    else
        jump_back(x, at);
    return SWITCHED_NOT;
}
