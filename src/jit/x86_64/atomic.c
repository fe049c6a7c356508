/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Atomic operations: inline where the software TLB knows the page, else the engine's call. ZERO is
 * none of them, but done likewise.
 *
 * All scratch registers are the operation's: values do not live across it. The place is in R11, the
 * operand in RCX; what compares and exchanges takes RAX and RDX, too. Until the look at the TLB has
 * succeeded nothing else changes, so that the call finds everything as before the instruction.
 */
#include "jit/x86_64/compile.h"

static const struct rm place = {true, R11, 0};

/* Operands into R11 and RCX, wherever they are. */
static void load_operands(struct compile *x, const struct ir_op *op)
{
    bool address_in_rcx = val_lies_in(x, op->arg[0], RCX);

    if (address_in_rcx && val_lies_in(x, op->arg[1], R11)) {
        emit_op(&x->c, true, 0x87, RCX, rm_reg(R11)); /* XCHG */
    } else if (address_in_rcx) {
        val_load(x, R11, op->arg[0]);
        val_load(x, RCX, op->arg[1]);
    } else {
        val_load(x, RCX, op->arg[1]);
        val_load(x, R11, op->arg[0]);
    }
}

/* The guest's address in R11 becomes the host's. */
static struct stub *find_place(struct compile *x, const struct ir_op *op)
{
    const struct probe p = {.size = op->size,
                            .write = op->opcode == IR_ZERO || op->kind != IR_ATOMIC_LINK,
                            .aligned = true};
    struct stub *stub;
    enum reg e;

    x->free = (x->free & ~SCRATCH) | 1u << RAX | 1u << RDX;
    e = probe_emit(x, R11, &p);
    stub = stub_add(x, STUB_ATOMIC, op);
    stub->target = op->imm;
    probe_addend(x, e, &p);
    emit_alu(&x->c, ALU_ADD, R11, rm_reg(e));
    x->free |= SCRATCH;
    return stub;
}

/* RDX: what is to be there instead of RAX, given RCX. */
static void emit_new_value(struct code *c, enum ir_atomic kind, u32 size)
{
    static const u8 keeps[IR_ATOMICS] = {
        [IR_ATOMIC_MIN] = CC_L,
        [IR_ATOMIC_MAX] = CC_GE,
        [IR_ATOMIC_MINU] = CC_B,
        [IR_ATOMIC_MAXU] = CC_AE,
    };
    static const u8 alu[IR_ATOMICS] = {
        [IR_ATOMIC_AND] = ALU_AND,
        [IR_ATOMIC_OR] = ALU_OR,
        [IR_ATOMIC_XOR] = ALU_XOR,
    };

    if (alu[kind]) {
        emit_mov(c, RDX, rm_reg(RAX));
        emit_alu(c, (enum alu)alu[kind], RDX, rm_reg(RCX));
        return;
    }
    emit_mov(c, RDX, rm_reg(RCX));
    emit_op(c, size == 8, ALU_CMP | 3, RAX, rm_reg(RCX));
    emit_cmov(c, (enum cond)keeps[kind], RDX, rm_reg(RAX));
}

/* Leaves what was there in RAX. */
static void emit_exchange_loop(struct code *c, enum ir_atomic kind, u32 size)
{
    const u8 *again;

    emit_op(c, size == 8, 0x8b, RAX, place);
    again = c->at;
    emit_new_value(c, kind, size);
    emit_locked(c, size, 0x0fb1, RDX, place); /* CMPXCHG */
    emit_jcc(c, CC_NE, again);
}

static void emit_link(struct compile *x, u32 size)
{
    const struct jit_layout *l = &x->b->layout;

    emit_op(&x->c, size == 8, 0x8b, RAX, place);
    emit_store(&x->c, state_rm(l->link), R11);
    emit_store(&x->c, state_rm(l->link_value), RAX);
    emit_store_imm(&x->c, state_rm(l->link_size), (s32)size);
}

/* RAX: 0, or 1 if nothing was stored. */
static void emit_conditional(struct compile *x, u32 size)
{
    const struct jit_layout *l = &x->b->layout;
    struct code *c = &x->c;
    u8 *other_place, *other_size;

    emit_alu(c, ALU_CMP, R11, state_rm(l->link));
    emit_jcc(c, CC_NE, NULL);
    other_place = c->at;
    emit_alu_imm(c, true, ALU_CMP, state_rm(l->link_size), (s32)size);
    emit_jcc(c, CC_NE, NULL);
    other_size = c->at;
    emit_mov(c, RAX, state_rm(l->link_value));
    emit_locked(c, size, 0x0fb1, RCX, place); /* CMPXCHG */
    patch_rel(other_place, c->at);
    patch_rel(other_size, c->at);
    emit_setcc(c, CC_NE, RAX);
    emit_store_imm(c, state_rm(l->link), 0);
}

/* An operation of which nobody wants the result, as one instruction. */
static bool emit_without_result(struct code *c, const struct ir_op *op)
{
    static const u8 alu[IR_ATOMICS] = {
        [IR_ATOMIC_ADD] = 0x01,
        [IR_ATOMIC_AND] = 0x21,
        [IR_ATOMIC_OR] = 0x09,
        [IR_ATOMIC_XOR] = 0x31,
    };

    if (op->slot != IR_NO_SLOT || !alu[op->kind])
        return false;
    emit_locked(c, op->size, alu[op->kind], RCX, place);
    return true;
}

/* Does it; the register that holds the result. */
static enum reg emit_atomic(struct compile *x, const struct ir_op *op)
{
    struct code *c = &x->c;

    switch (op->kind) {
    case IR_ATOMIC_SWAP:
        emit_op(c, op->size == 8, 0x87, RCX, place); /* XCHG, which locks by itself */
        return RCX;
    case IR_ATOMIC_ADD:
        emit_locked(c, op->size, 0x0fc1, RCX, place); /* XADD */
        return RCX;
    case IR_ATOMIC_LINK:
        emit_link(x, op->size);
        return RAX;
    case IR_ATOMIC_CONDITIONAL:
        emit_conditional(x, op->size);
        return RAX;
    default:
        emit_exchange_loop(c, (enum ir_atomic)op->kind, op->size);
        return RAX;
    }
}

static void give_result(struct compile *x, const struct ir_op *op, enum reg from)
{
    struct rm slot = slot_rm(x, op->slot);
    enum reg to = slot.memory ? from : (enum reg)slot.reg;

    ASSERT(!is_xmm(to));
    if (op->size == 4 && op->kind != IR_ATOMIC_CONDITIONAL)
        emit_op(&x->c, true, 0x63, to, rm_reg(from)); /* MOVSXD */
    else
        emit_mov(&x->c, to, rm_reg(from));
    if (slot.memory)
        emit_store(&x->c, slot, to);
}

void compile_atomic(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    struct stub *stub;

    load_operands(x, op);
    op_release(x, at);
    stub = find_place(x, op);
    if (!emit_without_result(&x->c, op)) {
        enum reg from = emit_atomic(x, op);
        if (op->slot != IR_NO_SLOT)
            give_result(x, op, from);
    }
    stub->back = x->c.at;
}

#define ZERO_BYTES 16 /* at a time */

void compile_zero(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    struct code *c = &x->c;
    struct stub *stub;

    val_load(x, R11, op->arg[0]);
    op_release(x, at);
    stub = find_place(x, op);
    emit_vex(c, VEX_NONE, 0x57, XMM0, XMM0, rm_reg(XMM0)); /* VXORPS */
    for (s32 i = 0; i < op->size; i += ZERO_BYTES)
        emit_vex(c, VEX_NONE, 0x11, XMM0, 0, rm_mem(R11, i)); /* VMOVUPS */
    stub->back = c->at;
}

void stub_atomic(struct compile *x, const struct stub *s)
{
    compile_engine_call(x, s->target, s->where);
    emit_jmp(&x->c, s->back);
}
