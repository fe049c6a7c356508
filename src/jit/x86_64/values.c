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

    if (value->where == IN_SLOT) {
        struct rm rm = slot_rm(x, value->slot);
        rm.disp += value->part;
        return rm;
    }
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

    if (value->uses == UINT8_MAX || --value->uses)
        return;
    if (value->where == IN_SCRATCH)
        reg_give(x, value->reg);
    else if (value->where == IN_SLOT && x->block->op[v].brief)
        region_unlodge(x, value->slot);
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

/* Can the result of an operation be computed in such a register? Loads go everywhere. */
static bool result_fits(const struct ir_op *op, enum reg reg)
{
    if (op->opcode == IR_LOAD)
        return !is_xmm(reg) || op->size >= 4;
    return ir_makes_fp(op->opcode) == is_xmm(reg);
}

/* Does an operation compute in the register of its first operand? */
static bool works_in_place(u8 opcode)
{
    switch (opcode) {
    case IR_ADD:
    case IR_SUB:
    case IR_AND:
    case IR_OR:
    case IR_XOR:
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
    case IR_MUL:
        return true;
    default:
        return opcode >= IR_NOT && opcode <= IR_BSWAP;
    }
}

/* The operation that follows `at` but for what only names values; *gets: the slots that are. */
static u32 next_operation(const struct compile *x, u32 at, u64 *gets)
{
    for (at++; x->block->op[at].opcode == IR_GET || x->block->op[at].opcode == IR_CONST; at++) {
        const struct ir_op *op = &x->block->op[at];
        if (op->opcode == IR_GET && (u32)op->imm < SLOTS_MAX)
            *gets |= UINT64_C(1) << op->imm;
    }
    return at;
}

/* Can the operations from `first` to `last` compute in the register of a slot? */
static bool fits(const struct compile *x, u32 first, u32 last, u32 slot)
{
    enum reg reg = x->slot_reg[slot];

    return result_fits(&x->block->op[first], reg) && result_fits(&x->block->op[last], reg);
}

u32 op_target(struct compile *x, u32 at)
{
    u16 guest = x->block->op[at].guest;
    u32 first = at;
    u64 gets = 0;

    while (val(x, (ir_value)at)->uses == 1) {
        u32 next = next_operation(x, at, &gets);
        const struct ir_op *op = &x->block->op[next];
        if (op->guest != guest || !ir_operands(op->opcode) || op->arg[0] != at)
            break;
        if (op->opcode == IR_PUT) {
            u32 slot = (u32)op->imm;
            return is_pinned(x, slot) && !(gets >> slot & 1) && fits(x, first, at, slot)
                       ? slot
                       : NO_TARGET;
        }
        if (!works_in_place(op->opcode))
            break;
        at = next;
    }
    return NO_TARGET;
}

enum reg op_result(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at], *next = op + 1;
    struct value *value = val(x, (ir_value)at), *a = val(x, op->arg[0]);
    bool xmm = ir_makes_fp(op->opcode) || (op->opcode == IR_LOAD && next->opcode == IR_FBOX);
    u32 slot = op_target(x, at);

    if (slot != NO_TARGET) {
        value->where = IN_PINNED;
        value->reg = x->slot_reg[slot];
    } else if (works_in_place(op->opcode) && a->where == IN_SCRATCH && a->uses == 1 &&
               !is_xmm(a->reg)) {
        value->where = IN_SCRATCH;
        value->reg = a->reg;
        a->where = IN_PINNED; /* not to be given back */
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
    stub->away = page_of(x->where[op->guest]);
    stub->where = (u32)(x->where[op->guest] - stub->away) | (u32)op_lag(x, op) << 16;
    stub->done = op_lag(x, op) + 1;
    return stub;
}
