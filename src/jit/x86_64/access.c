/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest memory accesses: the software TLB inline, the engine behind the code. */
#include "jit/x86_64/compile.h"

enum reg probe_emit(struct compile *x, enum reg address, const struct probe *p)
{
    const struct jit_layout *l = &x->b->layout;
    struct code *c = &x->c;
    enum reg e = reg_take(x, SCRATCH), t = reg_take(x, SCRATCH);
    struct rm tag = rm_mem(e, p->write ? l->tlb_write : l->tlb_read);

    /* Entries are 16 bytes: index = (address >> 12) % entries, times 16. */
    emit_rorx(c, e, address, JIT_PAGE_BITS - 4);
    emit_alu_imm(c, false, ALU_AND, rm_reg(e), (s32)(((1u << l->tlb_bits) - 1) << 4));
    emit_alu(c, ALU_ADD, e, state_rm(l->tlb));
    if (p->aligned) {
        emit_mov(c, t, rm_reg(address));
        emit_alu_imm(c, true, ALU_AND, rm_reg(t), -(1 << JIT_PAGE_BITS) | (s32)(p->size - 1));
        emit_alu(c, ALU_CMP, t, tag);
        emit_jcc(c, CC_NE, NULL);
    } else {
        emit_mov(c, t, tag);
        emit_alu(c, ALU_XOR, t, rm_reg(address));
        emit_alu_imm(c, true, ALU_CMP, rm_reg(t), (1 << JIT_PAGE_BITS) - (s32)p->size);
        emit_jcc(c, CC_A, NULL);
    }
    reg_give(x, t);
    return e;
}

void probe_addend(struct compile *x, enum reg e, const struct probe *p)
{
    const struct jit_layout *l = &x->b->layout;

    emit_mov(&x->c, e, rm_mem(e, (p->write ? l->tlb_write : l->tlb_read) + 8));
}

static struct stub *access_stub(struct compile *x, const struct ir_op *op, enum reg address)
{
    struct stub *stub = stub_add(x, op->opcode == IR_STORE ? STUB_STORE : STUB_LOAD, op);

    stub->address = (u8)address;
    stub->how = op->size | (op->extends ? 0x100u : 0);
    return stub;
}

void compile_load(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    const struct probe p = {.size = op->size};
    enum reg address = val_reg(x, op->arg[0]), e = probe_emit(x, address, &p), to;
    struct stub *stub = access_stub(x, op, address);

    probe_addend(x, e, &p);
    reg_give(x, e);
    op_release(x, at);
    to = op_result(x, at);
    emit_load_indexed(&x->c, to, address, e, op->size, op->extends);
    stub->data = (u8)to;
    stub->back = x->c.at;
    if (!val(x, (ir_value)at)->uses) /* a load to x0: made for its faults */
        reg_give(x, to);
}

void compile_store(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    const struct probe p = {.size = op->size, .write = true};
    enum reg address = val_reg(x, op->arg[0]), e, data;
    struct stub *stub;
    u64 unused;

    if (op->size < 4 && !val_is_const(x, op->arg[1], &unused))
        (void)val_rm(x, op->arg[1]); /* out of XMM registers */
    e = probe_emit(x, address, &p);
    stub = access_stub(x, op, address);
    stub->value_is_const = val_is_const(x, op->arg[1], &stub->constant);
    if (!stub->value_is_const)
        stub->value = val_lies(x, op->arg[1]);
    probe_addend(x, e, &p);
    if (stub->value_is_const || stub->value.memory) {
        data = reg_take(x, SCRATCH);
        val_load(x, data, op->arg[1]);
        reg_give(x, data);
    } else {
        data = stub->value.reg;
    }
    emit_store_indexed(&x->c, data, address, e, op->size);
    reg_give(x, e);
    op_release(x, at);
    stub->back = x->c.at;
}

void stub_access(struct compile *x, const struct stub *s)
{
    struct code *c = &x->c;
    bool store = s->kind == STUB_STORE;
    enum reg address = s->address;

    if (store) {
        bool clash =
            address == RDX || (!s->value_is_const && !s->value.memory && s->value.reg == RAX);
        bool swap = address == RDX && !s->value_is_const && !s->value.memory && s->value.reg == R11;
        if (swap)
            emit_op(c, true, 0x87, RDX, rm_reg(R11)); /* XCHG */
        else if (clash)
            emit_mov(c, R11, rm_reg(address));
        if (clash)
            address = R11;
        if (swap)
            ;
        else if (s->value_is_const)
            emit_mov_imm(c, RDX, s->constant);
        else
            emit_mov(c, RDX, s->value);
    }
    emit_mov(c, RAX, rm_reg(address));
    emit_mov_imm(c, RCX, s->how);
    emit_mov_imm(c, R11, s->where);
    compile_engine_access(x, store);
    if (!store)
        emit_mov(c, s->data, rm_reg(RAX));
    emit_jmp(c, s->back);
}
