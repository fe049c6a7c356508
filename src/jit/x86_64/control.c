/* SPDX-License-Identifier: BSD-2-Clause */
/* Slots, calls and the ways out of a block. */
#include "jit/x86_64/compile.h"

#include <string.h>

static bool can_chain(s64 target)
{
    return target >= 0 && target < JIT_CHAIN_END;
}

/* Goes on at an offset from the page's start; n guest instructions are done. */
static void compile_exit(struct compile *x, const struct ir_op *op, s64 target, u32 done)
{
    struct code *c = &x->c;
    struct stub *stub;

    emit_lea(c, COUNT, COUNT, NO_REG, (s32)done);
    if (!can_chain(target)) {
        emit_mov(c, RAX, state_rm(x->b->layout.page));
        emit_alu_imm(c, true, ALU_ADD, rm_reg(RAX), (s32)target);
        emit_jmp(c, x->b->jumpr);
        return;
    }
    if (target <= x->where[op->guest]) {
        emit_alu_imm(c, false, ALU_CMP, state_rm(x->b->layout.attn), 0);
        emit_jcc(c, CC_NE, NULL);
        stub_add(x, STUB_LEAVE, op)->target = target;
    }
    if (x->b->layout.limit) {
        emit_alu(c, ALU_CMP, COUNT, state_rm(x->b->layout.limit));
        emit_jcc(c, CC_AE, NULL);
        stub_add(x, STUB_LEAVE, op)->target = target;
    }
    emit_jmp_patched(c);
    stub = stub_add(x, STUB_CHAIN, op);
    stub->target = target;
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

static void compile_branch(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    enum cond cc = condition_in_flags(x, op->arg[0]);
    struct stub *stub;

    op_release(x, at);
    emit_jcc(&x->c, cc, NULL);
    stub = stub_add(x, STUB_TAKEN, op);
    stub->target = op->imm;
    stub->at = at;
}

static void compile_jumpr(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];

    val_load(x, RAX, op->arg[0]);
    op_release(x, at);
    emit_lea(&x->c, COUNT, COUNT, NO_REG, op->guest + 1);
    emit_indirect_jump(x->b, &x->c);
}

void compile_put(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    struct rm slot = slot_rm(x, (u32)op->imm);
    u64 constant;

    slot_protect(x, (u32)op->imm, at);
    if (!slot.memory)
        val_load(x, slot.reg, op->arg[0]);
    else if (val_is_const(x, op->arg[0], &constant) && fits_s32(constant))
        emit_store_imm(&x->c, slot, (s32)constant);
    else
        emit_store(&x->c, slot, val_reg(x, op->arg[0]));
    op_release(x, at);
}

static void compile_call(struct compile *x, const struct ir_op *op)
{
    emit_mov_imm(&x->c, RDX, (u64)op->imm);
    emit_mov_imm(&x->c, R11, x->where[op->guest] | (u32)op->guest << 16);
    emit_call(&x->c, op->opcode == IR_CALL ? x->b->call : x->b->call_apart);
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
    case IR_LEAVE_IF:
        compile_leave_if(x, at);
        break;
    case IR_BRANCH:
        compile_branch(x, at);
        break;
    case IR_JUMP:
        compile_exit(x, op, op->imm, op->guest + 1u);
        break;
    case IR_JUMPR:
        compile_jumpr(x, at);
        break;
    default:
        ASSERT(op->opcode == IR_LEAVE);
        emit_lea(&x->c, COUNT, COUNT, NO_REG, op->guest + 1);
        emit_mov_imm(&x->c, RAX, (u64)op->imm);
        emit_jmp(&x->c, x->b->leave);
    }
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

    emit_lea(c, COUNT, COUNT, NO_REG, (s32)s->done - 1);
    emit_mov(c, RAX, state_rm(x->b->layout.page));
    emit_alu_imm(c, true, ALU_ADD, rm_reg(RAX), (s32)(s->where & 0xffff));
    emit_store(c, state_rm(x->b->layout.pc), RAX);
    emit_mov_imm(c, RAX, (u64)s->target);
    emit_jmp(c, x->b->leave);
}

void compile_stub(struct compile *x, u32 index)
{
    struct stub s = x->stub[index]; /* compile_exit adds more */

    patch_rel(s.from, x->c.at);
    switch (s.kind) {
    case STUB_LOAD:
    case STUB_STORE:
        stub_access(x, &s);
        break;
    case STUB_TAKEN:
        compile_exit(x, &x->block->op[s.at], s.target, s.done);
        break;
    case STUB_CHAIN:
        stub_chain(x, &s);
        break;
    case STUB_LEAVE_IF:
        stub_leave_if(x, &s);
        break;
    case STUB_LEAVE:
        emit_mov_imm(&x->c, RAX, (u64)s.target);
        emit_jmp(&x->c, x->b->leave_page);
        break;
    }
}
