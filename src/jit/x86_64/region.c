/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Regions: several blocks with labels, compiled together with registers of their own choice.
 *
 * Blocks keep the same slots in registers everywhere, so that any may jump to any other. A region
 * gives registers whose slots it hardly uses to those that it uses more, loops counting most, and
 * exchanges them where it is entered and left.
 */
#include "jit/x86_64/compile.h"

#include <string.h>

#define DEPTH_MAX   4
#define CALL_ROUNDS 3 /* calls in calls */
#define LOOP_BITS   3 /* a loop runs eight times, says nobody in particular */

static const u8 region_regs[REGION_REGS] = {RBX, R12, R13, R14, R15, RSI, RDI, R8, R9, COUNT};

struct weights {
    u64 slot[SLOTS_MAX];
    u64 exits;                   /* ways out, and in again */
    u64 count;                   /* additions to the count of instructions */
    s16 nesting[LABELS_MAX + 1]; /* change of loop depth at a label */
};

static u32 slots_eligible(const struct compile *x)
{
    u32 n = x->b->layout.int_slots;

    return n < SLOTS_MAX ? n : SLOTS_MAX;
}

u32 region_label(const struct compile *x, s64 offset)
{
    u32 first = 0, last = x->in ? x->in->label_count : 0;

    while (first < last) {
        u32 middle = (first + last) / 2;
        if (x->in->label[middle].offset < offset)
            first = middle + 1;
        else
            last = middle;
    }
    return x->in && first < x->in->label_count && x->in->label[first].offset == offset ? first
                                                                                       : LABELS_MAX;
}

static void find_labels(struct compile *x)
{
    struct region_code *r = x->in;

    r->label_count = r->jump_count = r->returns = 0;
    for (u32 i = 0; i < x->block->count; i++) {
        const struct ir_op *op = &x->block->op[i];
        if (op->opcode != IR_LABEL)
            continue;
        ASSERT(r->label_count < LABELS_MAX);
        ASSERT(!r->label_count || r->label[r->label_count - 1].offset < op->imm);
        r->label[r->label_count].offset = (s32)op->imm;
        r->label[r->label_count].lag = NO_LAG;
        r->label[r->label_count].jumped = false;
        r->label[r->label_count++].at = NULL;
    }
}

/* Labels stand in the order of addresses: a jump back spans the blocks of its loop. With calls: one
 * to what lies before, too. */
static void find_loops(struct compile *x, struct weights *w, bool with_calls)
{
    u32 here = 0;

    memset(w->nesting, 0, sizeof(w->nesting));
    for (u32 i = 0; i < x->block->count; i++) {
        const struct ir_op *op = &x->block->op[i];
        u32 to;
        if (op->opcode == IR_LABEL)
            here = region_label(x, op->imm);
        if (op->opcode != IR_BRANCH && op->opcode != IR_JUMP && op->opcode != IR_JUMPR)
            continue;
        if (op->opcode != IR_BRANCH && !with_calls && switch_return(x, i) != LABELS_MAX)
            continue;
        to = op->opcode == IR_JUMPR ? switch_lowest(x, i) : region_label(x, op->imm);
        if (to == LABELS_MAX || to > here)
            continue;
        w->nesting[to]++;
        w->nesting[here + 1]--;
    }
}

/* The function that each label is in, by its first label: functions begin where calls lead. */
static void find_functions(const struct compile *x, u16 *function)
{
    const struct region_code *r = x->in;
    bool called[LABELS_MAX] = {false};

    for (u32 i = 0; i < r->call_count; i++)
        called[region_label(x, r->call[i].callee)] = true;
    for (u32 i = 0; i < r->label_count; i++)
        function[i] = !i || called[i] ? (u16)i : function[i - 1];
}

/* What is called in a loop is as deep. */
static void add_calls(const struct compile *x, struct weights *w)
{
    const struct region_code *r = x->in;
    s16 depth[LABELS_MAX], deeper[LABELS_MAX] = {0};
    u16 function[LABELS_MAX];

    find_functions(x, function);
    for (u32 i = 0; i < r->label_count; i++)
        depth[i] = (s16)(w->nesting[i] + (i ? depth[i - 1] : 0));
    for (u32 i = 0; i < CALL_ROUNDS * r->call_count; i++) {
        const u32 k = i % r->call_count, to = region_label(x, r->call[k].callee);
        const u32 from = function[r->call[k].back];
        const s16 there = (s16)(depth[r->call[k].back] + deeper[from]);
        if (from != to && there > deeper[to])
            deeper[to] = there < DEPTH_MAX ? there : DEPTH_MAX;
    }
    for (u32 i = 0; i < r->label_count; i++)
        depth[i] = (s16)(depth[i] + deeper[function[i]]);
    for (u32 i = 0; i < r->label_count; i++)
        w->nesting[i] = (s16)(depth[i] - (i ? depth[i - 1] : 0));
}

static u64 exit_weight(const struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];

    switch (op->opcode) {
    case IR_JUMPR:
        return switch_lowest(x, at) == LABELS_MAX ? 4 : 1;
    case IR_JUMP:
        return region_label(x, op->imm) == LABELS_MAX ? 4 : 0;
    case IR_BRANCH:
        return region_label(x, op->imm) == LABELS_MAX;
    case IR_CALL:
    case IR_LEAVE:
    case IR_GO:
        return 2;
    default:
        return 0;
    }
}

/* Each takes as long as a store and a load of what was stored. */
static u64 count_weight(const struct compile *x, const struct ir_op *op)
{
    bool jumps =
        op->opcode == IR_JUMP || (op->opcode == IR_BRANCH && op->imm <= x->where[op->guest]);

    return op->opcode == IR_JUMPR || (jumps && region_label(x, op->imm) != LABELS_MAX) ? 3 : 0;
}

static void weigh(struct compile *x, struct weights *w)
{
    s32 depth = 0;

    for (u32 i = 0; i < x->block->count; i++) {
        const struct ir_op *op = &x->block->op[i];
        u64 weight;
        if (op->opcode == IR_LABEL)
            depth += w->nesting[region_label(x, op->imm)];
        weight = UINT64_C(1) << LOOP_BITS * (u32)(depth < DEPTH_MAX ? depth : DEPTH_MAX);
        w->exits += weight * exit_weight(x, i);
        w->count += weight * count_weight(x, op);
        if (op->opcode == IR_ATOMIC && op->slot < SLOTS_MAX) {
            w->slot[op->slot] += weight;
            x->in->written[op->slot] = true;
        }
        if ((op->opcode != IR_GET && op->opcode != IR_PUT) || (u64)op->imm >= SLOTS_MAX)
            continue;
        w->slot[op->imm] += weight;
        if (op->opcode == IR_PUT)
            x->in->written[op->imm] = true;
    }
}

/* The slot that blocks keep in register n of region_regs. */
static u32 held_by_blocks(const struct compile *x, u32 n)
{
    return n < x->b->pinned_count ? x->b->pinned[n] : NO_SLOT;
}

static u64 weight_of(const struct compile *x, const struct weights *w, u32 reg)
{
    u32 slot = x->in->held[reg];

    if (region_regs[reg] == COUNT && slot == NO_SLOT)
        return w->count;
    return slot == NO_SLOT ? 0 : w->slot[slot];
}

/* The register whose slot matters least. */
static u32 least(const struct compile *x, const struct weights *w)
{
    u32 found = 0;

    for (u32 i = 1; i < REGION_REGS; i++) {
        if (weight_of(x, w, i) < weight_of(x, w, found))
            found = i;
    }
    return found;
}

/* The slot without a register that matters most. */
static u32 greatest(const struct compile *x, const struct weights *w)
{
    const struct region_code *r = x->in;
    u32 found = 0;

    for (u32 s = 1; s < slots_eligible(x); s++) {
        if (r->slot_reg[s] == NO_REG &&
            (r->slot_reg[found] != NO_REG || w->slot[s] > w->slot[found]))
            found = s;
    }
    return found;
}

static void choose(struct compile *x, const struct weights *w)
{
    struct region_code *r = x->in;

    for (u32 n = 0; n < REGION_REGS; n++) {
        u32 in = greatest(x, w), out = least(x, w);
        if (r->slot_reg[in] != NO_REG || w->slot[in] <= weight_of(x, w, out) + w->exits)
            return;
        if (r->held[out] != NO_SLOT)
            r->slot_reg[r->held[out]] = NO_REG;
        r->slot_reg[in] = region_regs[out];
        r->held[out] = (u8)in;
    }
}

static void note_depths(struct region_code *r, const struct weights *w)
{
    s32 depth = 0;

    for (u32 i = 0; i < r->label_count; i++) {
        depth += w->nesting[i];
        r->label[i].depth = depth > 0 ? (u8)(depth < DEPTH_MAX ? depth : DEPTH_MAX) : 0;
    }
}

void region_begin(struct compile *x)
{
    struct weights w = {0};
    struct region_code *r = &x->region;

    x->in = r;
    x->slot_reg = r->slot_reg;
    r->lodger = NO_SLOT;
    memcpy(r->slot_reg, x->b->slot_reg, sizeof(r->slot_reg));
    for (u32 i = 0; i < REGION_REGS; i++)
        r->held[i] = (u8)held_by_blocks(x, i);
    memset(r->written, 0, sizeof(r->written));
    find_labels(x);
    switch_find(x);
    find_loops(x, &w, true);
    note_depths(r, &w);
    find_loops(x, &w, false);
    add_calls(x, &w);
    weigh(x, &w);
    choose(x, &w);
}

s32 region_lag(struct compile *x, u32 label)
{
    s16 *lag = &x->in->label[label].lag;

    if (*lag == NO_LAG)
        *lag = 0;
    return *lag;
}

bool region_lacks(const struct compile *x, u32 label, s32 lag)
{
    s32 there = x->in->label[label].lag;

    return there != NO_LAG && there != lag;
}

bool region_counts_in_register(const struct compile *x)
{
    return x->in->held[REGION_REGS - 1] == NO_SLOT;
}

void region_count(struct compile *x, u32 label, s32 lag)
{
    s16 *there = &x->in->label[label].lag;

    if (*there == NO_LAG)
        *there = (s16)lag;
    if (*there == lag)
        return;
    if (region_counts_in_register(x))
        emit_lea(&x->c, COUNT, COUNT, NO_REG, lag - *there);
    else
        emit_alu_imm(&x->c, true, ALU_ADD, state_rm(x->b->layout.left), lag - *there);
}

void region_add_count(struct compile *x, s32 n)
{
    bool in_register = region_counts_in_register(x);

    emit_alu_imm(&x->c, true, ALU_ADD, in_register ? rm_reg(COUNT) : state_rm(x->b->layout.left),
                 n);
}

void region_count_loop(struct compile *x, u32 label, s32 lag)
{
    s32 more = lag - region_lag(x, label);

    if (!region_counts_in_register(x))
        emit_alu_imm(&x->c, true, more ? ALU_ADD : ALU_CMP, state_rm(x->b->layout.left), more);
    else if (more)
        emit_alu_imm(&x->c, true, ALU_ADD, rm_reg(COUNT), more);
    else
        emit_test(&x->c, COUNT, COUNT);
}

void region_place_label(struct compile *x, u32 label)
{
    x->in->label[label].at = x->c.at;
}

void region_jump(struct compile *x, u32 label, u32 condition)
{
    struct region_code *r = x->in;
    const u8 *to = r->label[label].at;

    if (condition == CC_ALWAYS)
        emit_jmp(&x->c, to);
    else
        emit_jcc(&x->c, (enum cond)condition, to);
    if (to)
        return;
    ASSERT(r->jump_count < JUMPS_MAX);
    r->jump[r->jump_count].end = x->c.at;
    r->jump[r->jump_count++].label = label;
}

void region_resolve(struct compile *x)
{
    struct region_code *r = x->in;

    for (u32 i = 0; i < r->jump_count; i++)
        patch_rel(r->jump[i].end, r->label[r->jump[i].label].at);
}

void region_leave(struct compile *x, s32 done)
{
    const struct region_code *r = x->in;
    struct code *c = &x->c;

    for (u32 i = 0; i < REGION_REGS; i++) {
        u32 other = held_by_blocks(x, i);
        if (r->held[i] == other)
            continue;
        if (r->held[i] != NO_SLOT && r->written[r->held[i]])
            emit_store(c, slot_memory(x, r->held[i]), region_regs[i]);
        if (other != NO_SLOT)
            emit_mov(c, region_regs[i], slot_memory(x, other));
    }
    if (!region_counts_in_register(x))
        emit_mov(c, COUNT, state_rm(x->b->layout.left));
    if (done)
        emit_alu_imm(c, true, ALU_ADD, rm_reg(COUNT), done);
}

void region_check_missed(struct compile *x, s32 offset)
{
    while ((uintptr_t)x->c.at & 15)
        emit8(&x->c, 0xcc);
    emit_mov_imm(&x->c, RAX, (u64)(offset - page_of(offset)));
    emit_jmp(&x->c, x->b->leave_page);
}

void region_check(struct compile *x, u32 check, s32 offset)
{
    const struct jit_layout *l = &x->b->layout;
    const u8 *missed = x->c.at - 16;
    struct code *c = &x->c;

    emit_nop5(c);
    emit_mov(c, RAX, state_rm(l->page));
    emit_mov(c, RCX, state_rm(l->jumps));
    if (page_of(offset))
        emit_alu_imm(c, true, ALU_SUB, rm_reg(RAX), page_of(offset));
    emit_alu(c, ALU_CMP, RAX, rm_mem(RCX, l->checks + 8 * (s32)check));
    emit_jcc(c, CC_NE, missed);
    if (page_of(offset))
        emit_store(c, state_rm(l->page), RAX);
}

void region_enter(struct compile *x, u32 label)
{
    const struct region_code *r = x->in;
    struct code *c = &x->c;

    if (region_lag(x, label))
        emit_lea(c, COUNT, COUNT, NO_REG, -region_lag(x, label));
    if (!region_counts_in_register(x))
        emit_store(c, state_rm(x->b->layout.left), COUNT);
    for (u32 i = 0; i < REGION_REGS; i++) {
        u32 other = held_by_blocks(x, i);
        if (r->held[i] == other)
            continue;
        if (other != NO_SLOT)
            emit_store(c, slot_memory(x, other), region_regs[i]);
        if (r->held[i] != NO_SLOT)
            emit_mov(c, region_regs[i], slot_memory(x, r->held[i]));
    }
    if (x->has_sites) {
        window_compare_mode(x);
        region_jump(x, label, CC_E);
        window_adopt_mode(x);
    }
    region_jump(x, label, CC_ALWAYS);
}

void region_store(struct compile *x)
{
    for (u32 i = 0; i < REGION_REGS; i++) {
        if (x->in->held[i] != NO_SLOT)
            emit_store(&x->c, slot_memory(x, x->in->held[i]), region_regs[i]);
    }
}

void region_store_count(struct compile *x)
{
    if (region_counts_in_register(x))
        emit_store(&x->c, state_rm(x->b->layout.left), COUNT);
}

void region_load(struct compile *x)
{
    for (u32 i = 0; i < REGION_REGS; i++) {
        if (x->in->held[i] != NO_SLOT)
            emit_mov(&x->c, region_regs[i], slot_memory(x, x->in->held[i]));
    }
    if (region_counts_in_register(x))
        emit_mov(&x->c, COUNT, state_rm(x->b->layout.left));
}

void region_fault(struct compile *x)
{
    x->in->fault = x->c.at;
    region_store(x);
    emit_mov_imm(&x->c, RAX, JIT_EXIT_FAULT);
    emit_jmp(&x->c, x->b->leave_synced);
}

bool region_lodge(struct compile *x, u32 slot, ir_value v)
{
    struct value *value = val(x, v);
    enum reg reg;

    if (!x->in || slot >= slots_eligible(x))
        return false;
    if (region_lodges(x, slot)) {
        val_load(x, (enum reg)x->slot_reg[slot], v);
        return true;
    }
    if (is_pinned(x, slot) || x->in->lodger != NO_SLOT)
        return false;
    if (value->where == IN_SCRATCH && value->uses == 1 && !is_xmm(value->reg)) {
        reg = (enum reg)value->reg;
        value->where = IN_PINNED; /* not to be given back */
    } else {
        reg = reg_take(x, SCRATCH);
        val_load(x, reg, v);
    }
    x->in->slot_reg[slot] = (u8)reg;
    x->in->lodger = (u8)slot;
    return true;
}

void region_unlodge(struct compile *x, u32 slot)
{
    if (!region_lodges(x, slot))
        return;
    reg_give(x, (enum reg)x->in->slot_reg[slot]);
    x->in->slot_reg[slot] = NO_REG;
    x->in->lodger = NO_SLOT;
}
