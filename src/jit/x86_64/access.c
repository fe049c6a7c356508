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

static struct stub *access_stub(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    struct stub *stub;

    if (x->copies)
        return &x->stub[x->access_stub[at]];
    stub = stub_add(x, op->opcode == IR_STORE ? STUB_STORE : STUB_LOAD, op);
    stub->within = x->in_stretch;
    x->access_stub[at] = (u16)(stub - x->stub);
    stub->how = op->size | (op->extends ? JIT_HOW_SIGNED : 0) |
                (op->access == IR_ACCESS_VIEW ? JIT_HOW_VIEW : 0);
    return stub;
}

/* Where an access finds its bytes; until place_give its registers are taken. */
static struct place place_take(struct compile *x, u32 at, struct stub **stub)
{
    const struct ir_op *op = &x->block->op[at];
    const struct probe p = {.size = op->size, .write = op->opcode == IR_STORE};
    struct window *window = window_of(x, at);
    struct place place = {0};

    if (op->access == IR_ACCESS_SURE) {
        *stub = NULL;
        return window_place_sure(x, at);
    }
    *stub = access_stub(x, at);
    if (window)
        return window_place(x, at, window, *stub);
    place.base = val_reg(x, op->arg[0]);
    if (op->access == IR_ACCESS_VIEW)
        return view_place(x, at, place.base, false, 0, *stub);
    place.index = probe_emit(x, place.base, &p);
    (*stub)->from = x->c.at;
    (*stub)->address = (u8)place.base;
    probe_addend(x, place.index, &p);
    return place;
}

static void place_give(struct compile *x, const struct place *place)
{
    if (place->index != NO_REG)
        reg_give(x, place->index);
    if (place->loaded)
        reg_give(x, place->base);
}

static void begin_access(struct compile *x, const struct place *place, const struct stub *stub)
{
    if (!place->gs)
        return;
    if (stub)
        view_note(x, stub);
    emit_gs(&x->c);
}

void compile_load(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    struct stub *stub;
    const struct place place = place_take(x, at, &stub);
    enum reg to;

    place_give(x, &place);
    op_release(x, at);
    to = op_result(x, at);
    if (stub && x->copies) {
        ASSERT(stub->data == to);
        stretch_access(x, stub);
    } else {
        begin_access(x, &place, stub);
        emit_load_indexed(&x->c, to, place.base, place.index, place.disp, op->size, op->extends);
    }
    if (stub && !x->copies) {
        stub->data = (u8)to;
        stub->back = x->c.at;
    }
    if (!val(x, (ir_value)at)->uses) /* a load to x0: made for its faults */
        reg_give(x, to);
}

/* The register to store from; one that was loaded for it is free again. */
static enum reg store_data(struct compile *x, ir_value v, const struct rm *value, bool is_const)
{
    enum reg data = value->reg;

    if (is_const || value->memory) {
        data = reg_take(x, SCRATCH);
        val_load(x, data, v);
        reg_give(x, data);
    }
    return data;
}

void compile_store(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    struct stub *stub;
    struct place place;
    struct rm value = {0};
    u64 constant = 0;
    bool is_const;

    place = place_take(x, at, &stub);
    is_const = val_is_const(x, op->arg[1], &constant);
    if (!is_const)
        value = val_lies(x, op->arg[1]);
    if (stub && x->copies) {
        stretch_access(x, stub);
    } else {
        enum reg data = store_data(x, op->arg[1], &value, is_const);
        begin_access(x, &place, stub);
        emit_store_indexed(&x->c, data, place.base, place.index, place.disp, op->size);
    }
    place_give(x, &place);
    op_release(x, at);
    if (!stub || x->copies)
        return;
    stub->value_is_const = is_const;
    stub->constant = constant;
    stub->value = value;
    stub->back = x->c.at;
}

void stub_access(struct compile *x, const struct stub *s)
{
    struct code *c = &x->c;
    bool store = s->kind == STUB_STORE;
    enum reg address = s->address;

    if (s->window)
        emit_store_imm(c, window_rm(s->window - 1), 0);
    if (s->site)
        stub_site(x, s);
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
    if (s->disp)
        emit_lea(c, RAX, address, NO_REG, s->disp);
    else
        emit_mov(c, RAX, rm_reg(address));
    if (!(s->how & JIT_HOW_VIEW))
        emit_mov_imm(c, RCX, s->how);
    emit_mov_imm(c, R11, s->where);
    compile_engine_access(x, store, s->how);
    if (!store)
        emit_mov(c, s->data, rm_reg(RAX));
    if (s->back)
        emit_jmp(c, s->back);
}
