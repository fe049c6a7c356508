/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From an IR block to x86-64: one pass over the operations, straight into the buffer.
 *
 * A value is where it is cheapest to find: a constant, a slot that was read (and not copied while
 * the slot keeps its value), a scratch register, or the flags between a comparison and its branch.
 * A result whose only use is the PUT that follows is computed in that slot's register. What is
 * rarely run (taken side exits, TLB misses, jumps not yet chained) goes behind the block.
 */
#include "jit/x86_64/backend.h"

#include "base/assert.h"

#include <string.h>

enum where { NOWHERE, IN_CONST, IN_SLOT, IN_SCRATCH, IN_PINNED, IN_FLAGS };

struct value {
    u8 where;
    u8 reg;  /* IN_SCRATCH, IN_PINNED; IN_FLAGS: enum cond */
    u8 uses; /* left, saturating */
    u32 slot;
};

enum stub_kind { STUB_LOAD, STUB_STORE, STUB_TAKEN, STUB_CHAIN, STUB_LEAVE, STUB_LEAVE_IF };

/* Code to be placed behind the block. */
struct stub {
    enum stub_kind kind;
    u8 *from;         /* end of the jump that leads here */
    u8 *back;         /* where LOAD and STORE return */
    u8 address, data; /* registers; STORE's data by rm */
    struct rm value;
    bool value_is_const;
    u64 constant;
    u32 how, where;
    s64 target; /* offset in the page */
    u32 done;   /* guest instructions at the exit */
    u32 at;     /* TAKEN: the operation */
};

#define STUBS_MAX 512

struct compile {
    struct jit_backend *b;
    const struct ir_block *block;
    const u16 *where; /* page offset of each guest instruction */
    u32 source;
    struct code c;
    u32 free; /* scratch registers, a bit each */
    u32 stub_count;
    struct value value[IR_OPS_MAX];
    struct stub stub[STUBS_MAX];
};

#define SCRATCH (1u << RAX | 1u << RCX | 1u << RDX | 1u << R11)

static enum reg take(struct compile *x, u32 from)
{
    u32 can = x->free & from;
    enum reg reg;

    ASSERT(can);
    reg = (enum reg)__builtin_ctz(can);
    x->free &= ~(1u << reg);
    return reg;
}

static void give(struct compile *x, enum reg reg)
{
    x->free |= 1u << reg;
}

static struct value *val(struct compile *x, ir_value v)
{
    return &x->value[v];
}

static bool is_const(struct compile *x, ir_value v, u64 *constant)
{
    return ir_is_const(x->block, v, constant);
}

/* Where a value can be read; not for constants and flags. */
static struct rm rm_of(struct compile *x, ir_value v)
{
    const struct value *value = val(x, v);

    if (value->where == IN_SLOT)
        return slot_rm(x->b, value->slot);
    ASSERT(value->where == IN_SCRATCH || value->where == IN_PINNED);
    return rm_reg(value->reg);
}

/* Is v readable in this register? */
static bool lies_in(struct compile *x, ir_value v, enum reg reg)
{
    const struct value *value = val(x, v);
    struct rm rm;

    if (value->where == IN_CONST)
        return false;
    rm = rm_of(x, v);
    return !rm.memory && rm.reg == reg;
}

static void load_into(struct compile *x, enum reg to, ir_value v)
{
    u64 constant;

    if (is_const(x, v, &constant))
        emit_mov_imm(&x->c, to, constant);
    else
        emit_mov(&x->c, to, rm_of(x, v));
}

static enum reg settle_in(struct compile *x, ir_value v, enum reg reg)
{
    load_into(x, reg, v);
    val(x, v)->where = IN_SCRATCH;
    val(x, v)->reg = (u8)reg;
    return reg;
}

/* Moves a value into a scratch register of its own. */
static enum reg settle(struct compile *x, ir_value v)
{
    return settle_in(x, v, take(x, SCRATCH));
}

/* A register that holds v: its own, or a scratch one. */
static enum reg reg_of(struct compile *x, ir_value v)
{
    struct rm rm;

    if (val(x, v)->where == IN_CONST)
        return settle(x, v);
    rm = rm_of(x, v);
    return rm.memory ? settle(x, v) : (enum reg)rm.reg;
}

static void release(struct compile *x, ir_value v)
{
    struct value *value = val(x, v);

    if (value->uses != UINT8_MAX && --value->uses == 0 && value->where == IN_SCRATCH)
        give(x, value->reg);
}

static void release_all(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];

    for (u32 i = 0; i < ir_operands(op->opcode); i++)
        release(x, op->arg[i]);
}

static u32 uses_in(const struct ir_op *op, ir_value v)
{
    u32 n = 0;

    for (u32 i = 0; i < ir_operands(op->opcode); i++)
        n += op->arg[i] == v;
    return n;
}

/* A slot is about to change at operation `at`: values that are read from it later are copied. */
static void protect_readers(struct compile *x, u32 slot, u32 at)
{
    const struct ir_op *op = &x->block->op[at];

    for (u32 v = at; v-- > 0 && x->block->op[v].guest == op->guest;) {
        struct value *value = val(x, (ir_value)v);
        if (value->where == IN_SLOT && value->slot == slot &&
            value->uses > uses_in(op, (ir_value)v)) /* mostly in the one that no operation wants */
            settle_in(x, (ir_value)v, take(x, x->free & 1u << R11 ? 1u << R11 : SCRATCH));
    }
}

/* Is the result of operation `at` used by the PUT that follows alone, into a pinned register? */
static bool is_put_at_once(struct compile *x, u32 at)
{
    const struct ir_op *next = &x->block->op[at + 1];

    return next->opcode == IR_PUT && next->arg[0] == at && val(x, (ir_value)at)->uses == 1 &&
           is_pinned(x->b, (u32)next->imm);
}

/* Where to compute the result of operation `at`; who reads the register later has a copy. */
static enum reg result(struct compile *x, u32 at)
{
    const struct ir_op *next = &x->block->op[at + 1];
    struct value *value = val(x, (ir_value)at);

    if (is_put_at_once(x, at)) {
        value->where = IN_PINNED;
        value->reg = x->b->slot_reg[next->imm];
    } else {
        value->where = IN_SCRATCH;
        value->reg = (u8)take(x, SCRATCH);
    }
    return value->reg;
}

static struct stub *add_stub(struct compile *x, enum stub_kind kind, const struct ir_op *op)
{
    struct stub *stub = &x->stub[x->stub_count++];

    ASSERT(x->stub_count <= STUBS_MAX);
    *stub = (struct stub){.kind = kind, .from = x->c.at};
    stub->where = x->where[op->guest] | (u32)op->guest << 16;
    stub->done = op->guest + 1u;
    return stub;
}

/* ---- arithmetic ---- */

static void alu(struct compile *x, enum alu op, enum reg to, ir_value v)
{
    u64 constant;

    if (!is_const(x, v, &constant)) {
        emit_alu(&x->c, op, to, rm_of(x, v));
    } else if (fits_s32(constant)) {
        emit_alu_imm(&x->c, true, op, rm_reg(to), (s32)constant);
    } else {
        emit_alu(&x->c, op, to, rm_reg(reg_of(x, v)));
    }
}

/* to = a op b where `to` may be the register of either. */
static void compile_alu(struct compile *x, enum alu op, bool commutes, enum reg to, ir_value a,
                        ir_value b)
{
    if (lies_in(x, b, to) && !lies_in(x, a, to)) {
        if (!commutes) {
            enum reg t = take(x, SCRATCH);
            load_into(x, t, a);
            alu(x, op, t, b);
            emit_mov(&x->c, to, rm_reg(t));
            give(x, t);
            return;
        }
        ir_value swap = a;
        a = b;
        b = swap;
    }
    load_into(x, to, a);
    alu(x, op, to, b);
}

static void compile_add(struct compile *x, enum reg to, ir_value a, ir_value b)
{
    u64 constant;
    struct rm ra;

    if (val(x, a)->where == IN_CONST) {
        compile_alu(x, ALU_ADD, true, to, a, b);
        return;
    }
    ra = rm_of(x, a);
    if (ra.memory || ra.reg == to) {
        compile_alu(x, ALU_ADD, true, to, a, b);
    } else if (is_const(x, b, &constant)) {
        if (fits_s32(constant))
            emit_lea(&x->c, to, ra.reg, NO_REG, (s32)constant);
        else
            compile_alu(x, ALU_ADD, true, to, a, b);
    } else if (!rm_of(x, b).memory && rm_of(x, b).reg != to) {
        emit_lea(&x->c, to, ra.reg, rm_of(x, b).reg, 0);
    } else {
        compile_alu(x, ALU_ADD, true, to, a, b);
    }
}

static void compile_shift(struct compile *x, enum shift op, enum reg to, ir_value a, ir_value b)
{
    u64 constant;

    if (is_const(x, b, &constant)) {
        load_into(x, to, a);
        if (constant & 63)
            emit_shift_imm(&x->c, true, op, to, constant & 63);
        return;
    }
    if (val(x, a)->where == IN_CONST)
        settle(x, a);
    emit_shift_reg(&x->c, op, to, rm_of(x, a), reg_of(x, b));
}

/* Rotates by CL: no three-operand form takes a variable amount. */
static void compile_rotate(struct compile *x, bool wide, enum shift op, enum reg to, ir_value a,
                           ir_value b)
{
    u64 constant;
    enum reg t;

    if (is_const(x, b, &constant)) {
        t = take(x, SCRATCH);
        load_into(x, t, a);
        emit_shift_imm(&x->c, wide, op, t, constant & 63);
    } else {
        t = take(x, SCRATCH & ~(1u << RCX));
        load_into(x, t, a);
        ASSERT((x->free & 1u << RCX) || to == RCX || lies_in(x, b, RCX));
        load_into(x, RCX, b);
        emit_shift_cl(&x->c, wide, op, t);
    }
    emit_mov(&x->c, to, rm_reg(t));
    give(x, t);
}

static void compile_mul(struct compile *x, enum reg to, ir_value a, ir_value b)
{
    u64 constant;

    if (lies_in(x, b, to)) {
        ir_value swap = a;
        a = b;
        b = swap;
    }
    if (is_const(x, b, &constant))
        settle(x, b);
    load_into(x, to, a);
    emit_op(&x->c, true, 0x0faf, to, rm_of(x, b));
}

/* The high half: rdx:rax = rax * r/m. */
static void compile_mul_high(struct compile *x, bool is_signed, enum reg to, ir_value a, ir_value b)
{
    u32 taken = ~x->free & (1u << RAX | 1u << RDX);
    struct rm by;

    taken &= ~(1u << to);
    ASSERT(!taken);
    if (val(x, b)->where == IN_CONST) {
        emit_mov_imm(&x->c, RCX, (u64)x->block->op[b].imm);
        by = rm_reg(RCX);
    } else {
        by = rm_of(x, b);
    }
    load_into(x, RAX, a);
    emit_op(&x->c, true, 0xf7, is_signed ? 5 : 4, by);
    emit_mov(&x->c, to, rm_reg(RDX));
}

static enum cond condition_of(u8 opcode)
{
    switch (opcode) {
    case IR_EQ:
        return CC_E;
    case IR_NE:
        return CC_NE;
    case IR_LTS:
        return CC_L;
    case IR_LTU:
        return CC_B;
    case IR_GES:
        return CC_GE;
    default:
        return CC_AE;
    }
}

static void compare(struct compile *x, ir_value a, ir_value b)
{
    u64 constant;

    if (is_const(x, b, &constant) && fits_s32(constant) && val(x, a)->where != IN_CONST) {
        struct rm ra = rm_of(x, a);
        if (!constant && !ra.memory)
            emit_test(&x->c, ra.reg, ra.reg);
        else
            emit_alu_imm(&x->c, true, ALU_CMP, ra, (s32)constant);
        return;
    }
    alu(x, ALU_CMP, reg_of(x, a), b);
}

static void compile_compare(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at], *next = op + 1;
    enum cond cc = condition_of(op->opcode);

    compare(x, op->arg[0], op->arg[1]);
    release_all(x, at);
    if ((next->opcode == IR_BRANCH || next->opcode == IR_LEAVE_IF) && next->arg[0] == at &&
        val(x, (ir_value)at)->uses == 1) {
        val(x, (ir_value)at)->where = IN_FLAGS;
        val(x, (ir_value)at)->reg = (u8)cc;
        return;
    }
    /* MOV-free: the result's register may be an operand's, whose last use was above. */
    emit_setcc(&x->c, cc, result(x, at));
}

static void compile_select(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    enum reg t = take(x, SCRATCH), c = reg_of(x, op->arg[0]);

    if (val(x, op->arg[1])->where == IN_CONST)
        settle(x, op->arg[1]);
    load_into(x, t, op->arg[2]);
    emit_test(&x->c, c, c);
    emit_cmov(&x->c, CC_NE, t, rm_of(x, op->arg[1]));
    release_all(x, at);
    give(x, t);
    emit_mov(&x->c, result(x, at), rm_reg(t));
}

static void compile_unary(struct compile *x, u32 opcode, enum reg to, ir_value a)
{
    struct code *c = &x->c;
    struct rm ra = rm_of(x, a);

    switch (opcode) {
    case IR_NOT:
        emit_mov(c, to, ra);
        emit_op(c, true, 0xf7, 2, rm_reg(to));
        break;
    case IR_BSWAP:
        emit_mov(c, to, ra);
        emit_rex(c, true, 0, 0, to, false);
        emit8(c, 0x0f);
        emit8(c, 0xc8 | (to & 7));
        break;
    case IR_SX8:
        emit_op(c, true, 0x0fbe, to, ra);
        break;
    case IR_SX16:
        emit_op(c, true, 0x0fbf, to, ra);
        break;
    case IR_SX32:
        emit_op(c, true, 0x63, to, ra);
        break;
    case IR_ZX8:
        emit_op(c, true, 0x0fb6, to, ra);
        break;
    case IR_ZX16:
        emit_op(c, true, 0x0fb7, to, ra);
        break;
    case IR_ZX32:
        emit_mov32(c, to, ra);
        break;
    case IR_CLZ:
        emit_op_prefix(c, 0xf3, 0x0fbd, to, ra);
        break;
    case IR_CTZ:
        emit_op_prefix(c, 0xf3, 0x0fbc, to, ra);
        break;
    default:
        ASSERT(opcode == IR_CPOP);
        emit_op_prefix(c, 0xf3, 0x0fb8, to, ra);
    }
}

static void compile_binary(struct compile *x, u32 opcode, enum reg to, ir_value a, ir_value b)
{
    switch (opcode) {
    case IR_ADD:
        compile_add(x, to, a, b);
        break;
    case IR_SUB:
        compile_alu(x, ALU_SUB, false, to, a, b);
        break;
    case IR_AND:
        compile_alu(x, ALU_AND, true, to, a, b);
        break;
    case IR_OR:
        compile_alu(x, ALU_OR, true, to, a, b);
        break;
    case IR_XOR:
        compile_alu(x, ALU_XOR, true, to, a, b);
        break;
    case IR_SHL:
        compile_shift(x, SHIFT_SHL, to, a, b);
        break;
    case IR_SHR:
        compile_shift(x, SHIFT_SHR, to, a, b);
        break;
    case IR_SAR:
        compile_shift(x, SHIFT_SAR, to, a, b);
        break;
    case IR_ROL:
    case IR_ROL32:
        compile_rotate(x, opcode == IR_ROL, SHIFT_ROL, to, a, b);
        break;
    case IR_ROR:
    case IR_ROR32:
        compile_rotate(x, opcode == IR_ROR, SHIFT_ROR, to, a, b);
        break;
    case IR_MUL:
        compile_mul(x, to, a, b);
        break;
    default:
        compile_mul_high(x, opcode == IR_MULHS, to, a, b);
    }
}

/* ---- memory ---- */

/* rbx-free TLB probe: leaves the entry's address in *entry; jumps to the stub on a miss. */
static struct stub *probe(struct compile *x, const struct ir_op *op, enum reg address,
                          enum reg *entry, enum reg *other)
{
    const struct jit_layout *l = &x->b->layout;
    struct code *c = &x->c;
    enum reg e = take(x, SCRATCH), t = take(x, SCRATCH);
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
    stub = add_stub(x, write ? STUB_STORE : STUB_LOAD, op);
    stub->address = (u8)address;
    stub->how = op->size | (op->extends ? 0x100u : 0);
    *entry = e;
    *other = t;
    return stub;
}

static void compile_load(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    enum reg address = reg_of(x, op->arg[0]), e, t, to;
    struct stub *stub = probe(x, op, address, &e, &t);

    emit_mov(&x->c, t, rm_mem(e, x->b->layout.tlb_addend));
    give(x, e);
    give(x, t);
    release_all(x, at);
    to = result(x, at);
    emit_load_indexed(&x->c, to, address, t, op->size, op->extends);
    stub->data = (u8)to;
    stub->back = x->c.at;
    if (!val(x, (ir_value)at)->uses) /* a load to x0: made for its faults */
        give(x, to);
}

static void compile_store(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    enum reg address = reg_of(x, op->arg[0]), e, t, data;
    struct stub *stub = probe(x, op, address, &e, &t);

    stub->value_is_const = is_const(x, op->arg[1], &stub->constant);
    if (!stub->value_is_const)
        stub->value = rm_of(x, op->arg[1]);
    emit_mov(&x->c, t, rm_mem(e, x->b->layout.tlb_addend));
    if (stub->value_is_const || stub->value.memory) {
        load_into(x, e, op->arg[1]);
        data = e;
    } else {
        data = stub->value.reg;
    }
    emit_store_indexed(&x->c, data, address, t, op->size);
    give(x, e);
    give(x, t);
    release_all(x, at);
    stub->back = x->c.at;
}

/* ---- control ---- */

static bool in_page(s64 target)
{
    return target >= 0 && target < 1 << JIT_PAGE_BITS;
}

/* Goes on at an offset from the page's start; n guest instructions are done. */
static void compile_exit(struct compile *x, const struct ir_op *op, s64 target, u32 done)
{
    struct code *c = &x->c;
    struct stub *stub;

    emit_lea(c, COUNT, COUNT, NO_REG, (s32)done);
    if (!in_page(target)) {
        emit_mov(c, RAX, state_rm(x->b->layout.page));
        emit_alu_imm(c, true, ALU_ADD, rm_reg(RAX), (s32)target);
        emit_jmp(c, x->b->jumpr);
        return;
    }
    if (target <= x->where[op->guest]) {
        emit_alu_imm(c, false, ALU_CMP, state_rm(x->b->layout.attn), 0);
        emit_jcc(c, CC_NE, NULL);
        add_stub(x, STUB_LEAVE, op)->target = target;
    }
    emit_jmp(c, NULL);
    stub = add_stub(x, STUB_CHAIN, op);
    stub->target = target;
}

/* The condition's code; the flags hold it. */
static enum cond condition_in_flags(struct compile *x, ir_value v)
{
    enum reg r;

    if (val(x, v)->where == IN_FLAGS)
        return (enum cond)val(x, v)->reg;
    r = reg_of(x, v);
    emit_test(&x->c, r, r);
    return CC_NE;
}

static void compile_leave_if(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    enum cond cc = condition_in_flags(x, op->arg[0]);

    release_all(x, at);
    emit_jcc(&x->c, cc, NULL);
    add_stub(x, STUB_LEAVE_IF, op)->target = op->imm;
}

static void compile_branch(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    enum cond cc = condition_in_flags(x, op->arg[0]);
    struct stub *stub;

    release_all(x, at);
    emit_jcc(&x->c, cc, NULL);
    stub = add_stub(x, STUB_TAKEN, op);
    stub->target = op->imm;
    stub->at = at;
}

static void compile_jumpr(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];

    load_into(x, RAX, op->arg[0]);
    release_all(x, at);
    emit_lea(&x->c, COUNT, COUNT, NO_REG, op->guest + 1);
    emit_indirect_jump(x->b, &x->c);
}

static void compile_put(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    struct rm slot = slot_rm(x->b, (u32)op->imm);
    u64 constant;

    protect_readers(x, (u32)op->imm, at);
    if (!slot.memory)
        load_into(x, slot.reg, op->arg[0]);
    else if (is_const(x, op->arg[0], &constant) && fits_s32(constant))
        emit_store_imm(&x->c, slot, (s32)constant);
    else
        emit_store(&x->c, slot, reg_of(x, op->arg[0]));
    release_all(x, at);
}

static void compile_call(struct compile *x, const struct ir_op *op)
{
    emit_mov_imm(&x->c, RDX, (u64)op->imm);
    emit_mov_imm(&x->c, R11, x->where[op->guest] | (u32)op->guest << 16);
    emit_call(&x->c, op->opcode == IR_CALL ? x->b->call : x->b->call_apart);
}

static void compile_control(struct compile *x, u32 at)
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

static bool is_compare(u8 opcode)
{
    return opcode >= IR_EQ && opcode <= IR_GEU;
}

static bool is_pure(u8 opcode)
{
    return ir_has_result(opcode) && opcode != IR_LOAD;
}

static void compile_op(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    struct value *value = val(x, (ir_value)at);

    if (is_pure(op->opcode) && !value->uses) {
        release_all(x, at);
        return;
    }
    if (ir_has_result(op->opcode) && is_put_at_once(x, at))
        protect_readers(x, (u32)op[1].imm, at);
    if (op->opcode == IR_CONST) {
        value->where = IN_CONST;
    } else if (op->opcode == IR_GET) {
        value->where = IN_SLOT;
        value->slot = (u32)op->imm;
    } else if (op->opcode == IR_PUT) {
        compile_put(x, at);
    } else if (op->opcode == IR_LOAD) {
        compile_load(x, at);
    } else if (op->opcode == IR_STORE) {
        compile_store(x, at);
    } else if (is_compare(op->opcode)) {
        compile_compare(x, at);
    } else if (op->opcode == IR_SELECT) {
        compile_select(x, at);
    } else if (is_pure(op->opcode)) {
        enum reg to = result(x, at);
        if (ir_operands(op->opcode) == 1)
            compile_unary(x, op->opcode, to, op->arg[0]);
        else
            compile_binary(x, op->opcode, to, op->arg[0], op->arg[1]);
        release_all(x, at);
    } else {
        compile_control(x, at);
    }
}

static void count_uses(struct compile *x)
{
    for (u32 i = 0; i < x->block->count; i++) {
        const struct ir_op *op = &x->block->op[i];
        x->value[i] = (struct value){0};
        for (u32 k = 0; k < ir_operands(op->opcode); k++) {
            struct value *used = val(x, op->arg[k]);
            if (used->uses != UINT8_MAX)
                used->uses++;
        }
    }
}

/* ---- behind the block ---- */

static void stub_access(struct compile *x, const struct stub *s)
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

static void compile_stub(struct compile *x, u32 index)
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

/* Room that a block may need at most: no operation or stub comes near 128 bytes. */
static u32 bound(const struct ir_block *block)
{
    return block->count * 128u + 1024;
}

u32 jit_backend_compile(struct jit_backend *b, const struct ir_block *block, const u16 *where,
                        u32 source)
{
    struct compile *x = b->compile;
    u32 start = (b->buffer.used + 15) & ~15u;

    if (b->buffer.size - start < bound(block))
        return 0;
    x->b = b;
    x->block = block;
    x->where = where;
    x->source = source;
    x->c.at = b->buffer.write + start;
    x->free = SCRATCH;
    x->stub_count = 0;
    count_uses(x);
    for (u32 at = 0; at < block->count; at++)
        compile_op(x, at);
    for (u32 i = 0; i < x->stub_count; i++)
        compile_stub(x, i);
    b->buffer.used = (u32)(x->c.at - b->buffer.write);
    return start;
}

size_t compile_size(void)
{
    return sizeof(struct compile);
}
