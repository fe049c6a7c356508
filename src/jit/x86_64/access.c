/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest memory accesses: the software TLB inline, the engine behind the code. */
#include "jit/x86_64/compile.h"

/* rbx-free TLB probe: leaves the entry's address in *entry; jumps to the stub on a miss. */
static struct stub *probe(struct compile *x, const struct ir_op *op, enum reg address,
                          enum reg *entry, enum reg *other)
{
    const struct jit_layout *l = &x->b->layout;
    struct code *c = &x->c;
    enum reg e = reg_take(x, SCRATCH), t = reg_take(x, SCRATCH);
    bool write = op->opcode == IR_STORE;
    struct stub *stub;

    /* Entries are 32 bytes: index = (address >> 12) % entries, times 32. */
    emit_mov(c, e, rm_reg(address));
    emit_shift_imm(c, true, SHIFT_SHR, e, JIT_PAGE_BITS - 5);
    emit_alu_imm(c, false, ALU_AND, rm_reg(e), (s32)(((1u << l->tlb_bits) - 1) << 5));
    emit_alu(c, ALU_ADD, e, state_rm(l->tlb));
    emit_mov(c, t, rm_reg(address));
    emit_alu_imm(c, true, ALU_AND, rm_reg(t), -(1 << JIT_PAGE_BITS) | (op->size - 1));
    emit_alu(c, ALU_CMP, t, rm_mem(e, write ? l->tlb_write : l->tlb_read));
    emit_jcc(c, CC_NE, NULL);
    stub = stub_add(x, write ? STUB_STORE : STUB_LOAD, op);
    stub->address = (u8)address;
    stub->how = op->size | (op->extends ? 0x100u : 0);
    *entry = e;
    *other = t;
    return stub;
}

void compile_load(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    enum reg address = val_reg(x, op->arg[0]), e, t, to;
    struct stub *stub = probe(x, op, address, &e, &t);

    emit_mov(&x->c, t, rm_mem(e, x->b->layout.tlb_addend));
    reg_give(x, e);
    reg_give(x, t);
    op_release(x, at);
    to = op_result(x, at);
    emit_load_indexed(&x->c, to, address, t, op->size, op->extends);
    stub->data = (u8)to;
    stub->back = x->c.at;
    if (!val(x, (ir_value)at)->uses) /* a load to x0: made for its faults */
        reg_give(x, to);
}

void compile_store(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    enum reg address = val_reg(x, op->arg[0]), e, t, data;
    struct stub *stub = probe(x, op, address, &e, &t);

    stub->value_is_const = val_is_const(x, op->arg[1], &stub->constant);
    if (!stub->value_is_const)
        stub->value = val_rm(x, op->arg[1]);
    emit_mov(&x->c, t, rm_mem(e, x->b->layout.tlb_addend));
    if (stub->value_is_const || stub->value.memory) {
        val_load(x, e, op->arg[1]);
        data = e;
    } else {
        data = stub->value.reg;
    }
    emit_store_indexed(&x->c, data, address, t, op->size);
    reg_give(x, e);
    reg_give(x, t);
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
    emit_call(c, store ? x->b->store : x->b->load);
    if (!store)
        emit_mov(c, s->data, rm_reg(RAX));
    emit_jmp(c, s->back);
}
