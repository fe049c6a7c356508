/* SPDX-License-Identifier: BSD-2-Clause */
/* Registers and values while a block is compiled. */
#include "jit/x86_64/compile.h"

enum reg reg_take(struct compile *x, u32 from)
{
    u32 can = x->free & from;
    enum reg reg;

    ASSERT(can);
    reg = (enum reg)__builtin_ctz(can);
    x->free &= ~(1u << reg);
    return reg;
}

void reg_give(struct compile *x, enum reg reg)
{
    x->free |= 1u << reg;
}

struct rm val_lies(struct compile *x, ir_value v)
{
    const struct value *value = val(x, v);

    if (value->where == IN_SLOT)
        return slot_rm(x, value->slot);
    ASSERT(value->where == IN_SCRATCH || value->where == IN_PINNED);
    return rm_reg(value->reg);
}

struct rm val_rm(struct compile *x, ir_value v)
{
    struct rm rm = val_lies(x, v);

    return !rm.memory && is_xmm(rm.reg) ? rm_reg(val_settle(x, v)) : rm;
}

/* Is v readable in this register? */
bool val_lies_in(struct compile *x, ir_value v, enum reg reg)
{
    const struct value *value = val(x, v);
    struct rm rm;

    if (value->where == IN_CONST)
        return false;
    rm = val_lies(x, v);
    return !rm.memory && rm.reg == reg;
}

static void load_const(struct compile *x, enum reg to, u64 constant)
{
    enum reg by;

    if (!is_xmm(to)) {
        emit_mov_imm(&x->c, to, constant);
        return;
    }
    if (!constant) {
        emit_vex(&x->c, VEX_NONE, 0x57, to, to, rm_reg(to)); /* VXORPS */
        return;
    }
    by = reg_take(x, SCRATCH);
    emit_mov_imm(&x->c, by, constant);
    emit_mov(&x->c, to, rm_reg(by));
    reg_give(x, by);
}

void val_load(struct compile *x, enum reg to, ir_value v)
{
    u64 constant;

    if (val_is_const(x, v, &constant))
        load_const(x, to, constant);
    else
        emit_mov(&x->c, to, val_lies(x, v));
}

static enum reg settle_in(struct compile *x, ir_value v, enum reg reg)
{
    struct value *value = val(x, v);

    val_load(x, reg, v);
    if (value->where == IN_SCRATCH)
        reg_give(x, value->reg);
    value->where = IN_SCRATCH;
    value->reg = (u8)reg;
    return reg;
}

/* Moves a value into a scratch register of its own. */
enum reg val_settle(struct compile *x, ir_value v)
{
    return settle_in(x, v, reg_take(x, SCRATCH));
}

/* A register that holds v: its own, or a scratch one. */
enum reg val_reg(struct compile *x, ir_value v)
{
    struct rm rm;

    if (val(x, v)->where == IN_CONST)
        return val_settle(x, v);
    rm = val_rm(x, v);
    return rm.memory ? val_settle(x, v) : (enum reg)rm.reg;
}

struct rm val_xmm_rm(struct compile *x, ir_value v)
{
    struct rm rm;

    if (val(x, v)->where != IN_CONST) {
        rm = val_lies(x, v);
        if (rm.memory || is_xmm(rm.reg))
            return rm;
    }
    return rm_reg(settle_in(x, v, reg_take(x, SCRATCH_XMM)));
}

enum reg val_xmm(struct compile *x, ir_value v)
{
    struct rm rm = val_xmm_rm(x, v);

    return rm.memory ? settle_in(x, v, reg_take(x, SCRATCH_XMM)) : (enum reg)rm.reg;
}

void val_release(struct compile *x, ir_value v)
{
    struct value *value = val(x, v);

    if (value->uses != UINT8_MAX && --value->uses == 0 && value->where == IN_SCRATCH)
        reg_give(x, value->reg);
}

void op_release(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];

    for (u32 i = 0; i < ir_operands(op->opcode); i++)
        val_release(x, op->arg[i]);
}

static u32 uses_in(const struct ir_op *op, ir_value v)
{
    u32 n = 0;

    for (u32 i = 0; i < ir_operands(op->opcode); i++)
        n += op->arg[i] == v;
    return n;
}

/* The register, one of these, for the old value of a slot: mostly in the one that no operation
 * wants. */
static u32 spare_for(const struct compile *x, u32 slot)
{
    if (is_pinned(x, slot) && is_xmm(x->slot_reg[slot]))
        return SCRATCH_XMM;
    return x->free & 1u << R11 ? 1u << R11 : SCRATCH;
}

/* A slot is about to change at operation `at`: values that are read from it later are copied. */
void slot_protect(struct compile *x, u32 slot, u32 at)
{
    const struct ir_op *op = &x->block->op[at];

    for (u32 v = at; v-- > 0 && x->block->op[v].guest == op->guest;) {
        struct value *value = val(x, (ir_value)v);
        if (value->where == IN_SLOT && value->slot == slot &&
            value->uses > uses_in(op, (ir_value)v))
            settle_in(x, (ir_value)v, reg_take(x, spare_for(x, slot)));
    }
}

/* The slot that the result of operation `at` goes to and nowhere else, at once; SLOTS_MAX: none. */
static u32 put_at_once(const struct compile *x, u32 at)
{
    const struct ir_op *next = &x->block->op[at + 1];
    bool once = next->opcode == IR_PUT && next->arg[0] == at && x->value[at].uses == 1;

    return once && is_pinned(x, (u32)next->imm) ? (u32)next->imm : SLOTS_MAX;
}

/* Can the result of an operation be computed in such a register? Loads go everywhere. */
static bool result_fits(const struct ir_op *op, enum reg reg)
{
    if (op->opcode == IR_LOAD)
        return !is_xmm(reg) || op->size >= 4;
    return ir_makes_fp(op->opcode) == is_xmm(reg);
}

/* Is the result of operation `at` used by the PUT that follows alone, into a pinned register? */
bool op_is_put_at_once(struct compile *x, u32 at)
{
    u32 slot = put_at_once(x, at);

    return slot != SLOTS_MAX && result_fits(&x->block->op[at], x->slot_reg[slot]);
}

/* Where to compute the result of operation `at`; who reads the register later has a copy. */
enum reg op_result(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at], *next = op + 1;
    struct value *value = val(x, (ir_value)at);
    bool xmm = ir_makes_fp(op->opcode) || (op->opcode == IR_LOAD && next->opcode == IR_FBOX);

    if (op_is_put_at_once(x, at)) {
        value->where = IN_PINNED;
        value->reg = x->slot_reg[next->imm];
    } else {
        value->where = IN_SCRATCH;
        value->reg = (u8)reg_take(x, xmm ? SCRATCH_XMM : SCRATCH);
    }
    return value->reg;
}

struct stub *stub_add(struct compile *x, enum stub_kind kind, const struct ir_op *op)
{
    struct stub *stub = &x->stub[x->stub_count++];

    ASSERT(x->stub_count <= STUBS_MAX);
    *stub = (struct stub){.kind = kind, .from = x->c.at};
    stub->where = x->where[op->guest] | (u32)op_lag(x, op) << 16;
    stub->done = op_lag(x, op) + 1;
    return stub;
}
