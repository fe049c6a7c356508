/* SPDX-License-Identifier: BSD-2-Clause */
/* Slots, calls and the ways out of a block. */
#include "jit/x86_64/compile.h"

#include <string.h>

static bool can_chain(s64 target)
{
    return target >= 0 && target < JIT_CHAIN_END;
}

static bool ends(const struct compile *x, u32 at)
{
    u8 opcode = x->block->op[at].opcode;

    return opcode == IR_JUMP || opcode == IR_JUMPR || opcode == IR_LEAVE || opcode == IR_GO;
}

/* Is a jump to this offset one at which the engine may be wanted? */
static bool is_backward(const struct compile *x, const struct ir_op *op, s64 target)
{
    return target <= x->where[op->guest];
}

/* COUNT is exact `done` guest instructions on, and registers hold what blocks keep in them. */
static void way_out(struct compile *x, s32 done)
{
    if (x->in)
        region_leave(x, done);
    else if (done)
        emit_alu_imm(&x->c, true, ALU_ADD, rm_reg(COUNT), done);
}

/* Goes on at an offset from the page's start; n guest instructions are done. */
static void compile_exit(struct compile *x, const struct ir_op *op, s64 target, s32 done)
{
    const struct jit_layout *l = &x->b->layout;
    struct code *c = &x->c;

    way_out(x, done);
    if (!can_chain(target)) {
        emit_mov(c, RAX, state_rm(l->page));
        emit_alu_imm(c, true, ALU_ADD, rm_reg(RAX), (s32)target);
        emit_indirect_jump(x->b, c, NOT_NOTED);
        return;
    }
    if (l->limit || is_backward(x, op, target)) {
        if (!done)
            emit_test(c, COUNT, COUNT);
        emit_jcc(c, CC_GE, NULL);
        stub_add(x, STUB_TURN, op)->target = target;
    }
    emit_jmp_patched(c);
    stub_add(x, STUB_CHAIN, op)->target = target;
}

/* The jump back in a loop of the region. */
static void compile_loop(struct compile *x, const struct ir_op *op, u32 label)
{
    struct stub *stub;

    region_count_loop(x, label, op_lag(x, op) + 1);
    region_jump(x, label, CC_L);
    emit_jmp(&x->c, NULL);
    stub = stub_add(x, STUB_TURN_NEAR, op);
    stub->target = op->imm;
    stub->at = label;
}

/* JUMP to a label of the region. */
static void compile_near_jump(struct compile *x, const struct ir_op *op, u32 label)
{
    if (is_backward(x, op, op->imm)) {
        compile_loop(x, op, label);
        return;
    }
    region_count(x, label, op_lag(x, op) + 1);
    region_jump(x, label, CC_ALWAYS);
}

static void compile_near_branch(struct compile *x, const struct ir_op *op, u32 label, enum cond cc)
{
    u8 *skip;

    if (!is_backward(x, op, op->imm) && !region_lacks(x, label, op_lag(x, op) + 1)) {
        region_count(x, label, op_lag(x, op) + 1);
        region_jump(x, label, cc);
        return;
    }
    emit_jcc(&x->c, (enum cond)(cc ^ 1), NULL);
    skip = x->c.at;
    compile_near_jump(x, op, label);
    patch_rel(skip, x->c.at);
}

static void compile_label(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    u32 label = region_label(x, op->imm);

    if (at && !ends(x, at - 1))
        region_count(x, label, op_lag(x, op));
    x->base = op->guest - region_lag(x, label);
    region_place_label(x, label);
    x->flags.at = NULL; /* others jump here */
}

/* The condition's code; the flags hold it. */
static enum cond condition_in_flags(struct compile *x, ir_value v)
{
    enum reg r;

    if (val(x, v)->where == IN_FLAGS)
        return (enum cond)val(x, v)->reg;
    r = val_reg(x, v);
    emit_test(&x->c, r, r);
    return CC_NE;
}

static void compile_leave_if(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    enum cond cc = condition_in_flags(x, op->arg[0]);

    op_release(x, at);
    emit_jcc(&x->c, cc, NULL);
    stub_add(x, STUB_LEAVE_IF, op)->target = op->imm;
}

/* The count is what it would be if they had been done, less these. */
static void compile_skip(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    const bool in_register = !x->in || region_counts_in_register(x);
    const struct rm left = state_rm(x->b->layout.left);
    enum cond cc = condition_in_flags(x, op->arg[0]);
    enum reg less = reg_take(x, SCRATCH), count = COUNT;

    if (!in_register) {
        count = reg_take(x, SCRATCH);
        emit_mov(&x->c, count, left);
    }
    emit_lea(&x->c, less, count, NO_REG, -(s32)op->imm);
    emit_cmov(&x->c, cc, count, rm_reg(less));
    if (!in_register) {
        emit_store(&x->c, left, count);
        reg_give(x, count);
    }
    reg_give(x, less);
    op_release(x, at);
}

static void compile_fguard(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    struct stub *stub;

    emit_alu_imm(&x->c, false, ALU_CMP, state_rm(x->b->layout.fp_live), op->size);
    emit_jcc(&x->c, CC_B, NULL);
    stub = stub_add(x, STUB_FGUARD, op);
    stub->back = x->c.at;
    stub->target = op->imm;
    stub->how = op->size;
}

static void compile_branch(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    enum cond cc = condition_in_flags(x, op->arg[0]);
    u32 label = region_label(x, op->imm);
    struct stub *stub;

    op_release(x, at);
    if (label != LABELS_MAX) {
        compile_near_branch(x, op, label, cc);
        return;
    }
    emit_jcc(&x->c, cc, NULL);
    stub = stub_add(x, STUB_TAKEN, op);
    stub->target = op->imm;
    stub->at = at;
}

static void compile_jump(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    u32 label = region_label(x, op->imm);

    if (label != LABELS_MAX)
        compile_near_jump(x, op, label);
    else
        compile_exit(x, op, op->imm, op_lag(x, op) + 1);
}

void compile_near_places(struct compile *x, u32 at, const u32 *labels, u32 count)
{
    struct ir_op op = x->block->op[at];

    if (!count)
        return;
    emit_mov(&x->c, RCX, rm_reg(RAX));
    emit_alu(&x->c, ALU_SUB, RCX, state_rm(x->b->layout.page));
    for (u32 i = 0; i < count; i++) {
        op.imm = x->in->label[labels[i]].offset;
        emit_alu_imm(&x->c, true, ALU_CMP, rm_reg(RCX), (s32)op.imm);
        compile_near_branch(x, &op, labels[i], CC_E);
    }
}

static void compile_jumpr(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    enum switched how = SWITCHED_NOT;

    val_load(x, RAX, op->arg[0]);
    op_release(x, at);
    if (x->in)
        how = switch_jump(x, at);
    way_out(x, how == SWITCHED_COUNTED ? 0 : op_lag(x, op) + 1);
    emit_indirect_jump(x->b, &x->c, op->imm == IR_JUMPR_NOTED ? op_offset(x, op) : NOT_NOTED);
}

static void store_slot(struct compile *x, struct rm slot, ir_value v)
{
    u64 constant;

    if (val(x, v)->where != IN_CONST && !val_lies(x, v).memory)
        emit_store(&x->c, slot, val_lies(x, v).reg);
    else if (val_is_const(x, v, &constant) && fits_s32(constant))
        emit_store_imm(&x->c, slot, (s32)constant);
    else
        emit_store(&x->c, slot, val_reg(x, v));
}

void compile_put(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    u32 number = (u32)op->imm;
    struct rm slot;

    if (op->arg[0] + 1u == at && computes_in_memory(x, op->arg[0])) {
        compile_in_memory(x, op->arg[0]);
        op_release(x, at);
        return;
    }
    slot_protect(x, number, at);
    if (op->brief && region_lodge(x, number, op->arg[0])) {
        op_release(x, at);
        return;
    }
    slot = region_lodges(x, number) ? slot_memory(x, number) : slot_rm(x, number);
    if (slot.memory)
        store_slot(x, slot, op->arg[0]);
    else
        val_load(x, slot.reg, op->arg[0]);
    op_release(x, at);
    region_unlodge(x, number);
}

/* After the thunk of a region's call into the engine: has that failed? */
static void check_engine(struct compile *x)
{
    emit_jcc(&x->c, CC_E, x->in->fault);
}

static void store_away(struct compile *x)
{
    if (x->away)
        emit_store_imm(&x->c, state_rm(x->b->layout.away), x->away);
}

static const u8 *access_thunk(const struct jit_backend *b, bool region, bool store, u32 how)
{
    const u32 size_bits = (u32)__builtin_ctz(how & 0xff);

    if (how & JIT_HOW_VIEW)
        return store ? b->store_look[region][size_bits]
                     : b->load_look[region][size_bits][!!(how & JIT_HOW_SIGNED)];
    if (region)
        return store ? b->store_kept : b->load_kept;
    return store ? b->store : b->load;
}

void compile_engine_access(struct compile *x, bool store, u32 how)
{
    if (!x->in) {
        emit_call(&x->c, access_thunk(x->b, false, store, how));
        return;
    }
    region_store_count(x);
    store_away(x);
    emit_call(&x->c, access_thunk(x->b, true, store, how));
    check_engine(x);
}

void compile_engine_call(struct compile *x, s64 imm, u32 where)
{
    if (x->in) {
        region_store(x);
        region_store_count(x);
        store_away(x);
    }
    emit_mov_imm(&x->c, RDX, (u64)imm);
    emit_mov_imm(&x->c, R11, where);
    emit_call(&x->c, x->in ? x->b->call_bare : x->b->call);
    if (x->in)
        region_load(x);
}

static void compile_call_apart(struct compile *x, const struct ir_op *op, u32 where)
{
    if (x->in) {
        region_store_count(x);
        store_away(x);
    }
    emit_mov_imm(&x->c, RDX, (u64)op->imm);
    emit_mov_imm(&x->c, R11, where);
    emit_call(&x->c, x->in ? x->b->call_kept : x->b->call_apart);
    if (x->in)
        check_engine(x);
}

static void compile_call(struct compile *x, const struct ir_op *op)
{
    u32 where;

    x->away = page_of(x->where[op->guest]);
    where = (u32)(x->where[op->guest] - x->away) | (u32)op_lag(x, op) << 16;
    if (op->opcode == IR_CALL) {
        compile_engine_call(x, op->imm, where);
        window_check_mode(x);
    } else {
        compile_call_apart(x, op, where);
    }
}

/* What lies anywhere may have changed: the region is left as for any other place. */
static void compile_go(struct compile *x, const struct ir_op *op)
{
    struct code *c = &x->c;

    x->away = page_of(x->where[op->guest]);
    if (x->in) {
        region_store(x);
        region_store_count(x);
        store_away(x);
    }
    emit_mov_imm(c, RDX, (u64)op->imm);
    emit_mov_imm(c, R11, (u32)(x->where[op->guest] - x->away) | (u32)op_lag(x, op) << 16);
    emit_call(c, x->in ? x->b->go_bare : x->b->go);
    emit_indirect_jump(x->b, c, NOT_NOTED);
}

void compile_control(struct compile *x, u32 at)
{
    static const u8 full_fence[] = {0xf0, 0x83, 0x0c, 0x24, 0x00}; /* lock or dword [rsp], 0 */
    const struct ir_op *op = &x->block->op[at];

    switch (op->opcode) {
    case IR_FENCE:
        memcpy(x->c.at, full_fence, sizeof(full_fence));
        x->c.at += sizeof(full_fence);
        break;
    case IR_CALL:
    case IR_CALL_APART:
        compile_call(x, op);
        break;
    case IR_FGUARD:
        compile_fguard(x, at);
        break;
    case IR_LEAVE_IF:
        compile_leave_if(x, at);
        break;
    case IR_SKIP:
        compile_skip(x, at);
        break;
    case IR_BRANCH:
        compile_branch(x, at);
        break;
    case IR_LABEL:
        compile_label(x, at);
        break;
    case IR_JUMP:
        compile_jump(x, at);
        break;
    case IR_JUMPR:
        compile_jumpr(x, at);
        break;
    case IR_GO:
        compile_go(x, op);
        break;
    default:
        ASSERT(op->opcode == IR_LEAVE);
        way_out(x, op_lag(x, op) + 1);
        emit_mov_imm(&x->c, RAX, (u64)op->imm);
        emit_jmp(&x->c, x->b->leave);
    }
}
/* Goes on with the loop, or leaves. */
static void stub_turn_near(struct compile *x, const struct stub *s)
{
    emit_call(&x->c, region_counts_in_register(x) ? x->b->turn : x->b->turn_left);
    region_jump(x, s->at, CC_L);
    way_out(x, x->in->label[s->at].lag);
    emit_mov_imm(&x->c, RAX, (u64)s->target);
    emit_jmp(&x->c, x->b->leave_page);
}

static void stub_chain(struct compile *x, const struct stub *s)
{
    emit_mov_imm(&x->c, RAX, (u64)s->target);
    emit_mov_imm(&x->c, R11, (u64)(s->from - x->b->buffer.write));
    emit_mov_imm(&x->c, RCX, x->source);
    emit_jmp(&x->c, x->b->chain);
}

/* Leaves with a number, the guest instruction at hand not begun. */
static void stub_leave_if(struct compile *x, const struct stub *s)
{
    struct code *c = &x->c;

    way_out(x, s->done - 1);
    emit_mov(c, RAX, state_rm(x->b->layout.page));
    emit_alu_imm(c, true, ALU_ADD, rm_reg(RAX), s->away + (s32)(s->where & 0xfffe));
    emit_store(c, state_rm(x->b->layout.pc), RAX);
    emit_mov_imm(c, RAX, (u64)s->target);
    emit_jmp(c, x->b->leave);
}

static void stub_fguard(struct compile *x, const struct stub *s)
{
    emit_call(&x->c, x->b->fp_open);
    emit_alu_imm(&x->c, false, ALU_CMP, state_rm(x->b->layout.fp_live), (s32)s->how);
    emit_jcc(&x->c, CC_AE, s->back);
    stub_leave_if(x, s);
}

void compile_stub(struct compile *x, u32 index)
{
    struct stub s = x->stub[index]; /* compile_exit adds more */

    if (s.from)
        patch_rel(s.from, x->c.at);
    switch (s.kind) {
    case STUB_LOAD:
    case STUB_STORE:
        stub_access(x, &s);
        break;
    case STUB_ATOMIC:
        stub_atomic(x, &s);
        break;
    case STUB_TAKEN:
        compile_exit(x, &x->block->op[s.at], s.target, s.done);
        break;
    case STUB_CHAIN:
        stub_chain(x, &s);
        break;
    case STUB_DIVIDE:
        stub_divide(x, &s);
        break;
    case STUB_LEAVE_IF:
        stub_leave_if(x, &s);
        break;
    case STUB_FGUARD:
        stub_fguard(x, &s);
        break;
    case STUB_GUARD:
        stub_guard(x, &s);
        stub_leave_if(x, &s);
        break;
    case STUB_TURN_NEAR:
        stub_turn_near(x, &s);
        break;
    case STUB_TURN:
        emit_mov_imm(&x->c, RAX, (u64)s.target);
        emit_jmp(&x->c, x->b->turn_page);
        break;
    default:
        stub_fp(x, &s);
    }
}
