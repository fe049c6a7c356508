/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CSR instructions as IR: what a kernel does at each trap.
 *
 * Registers that only hold what is written to them are slots; of sstatus, what changes neither
 * which memory may be accessed nor makes a pending interrupt deliverable. The interpreter does what
 * is found to be more. The rest are calls, after which code goes on, or is looked for anew.
 */
#include "rv/lift_csr.h"

#include "rv/csr.h"
#include "rv/lift_fp.h"
#include "rv/system.h"

/* A CSR instruction's operand and what it does with it. */
struct csr_use {
    bool reads, writes;
    enum { WRITES, SETS, CLEARS } how;
    ir_value value;
};

static ir_value binary(struct lift *l, enum ir_opcode opcode, ir_value a, u64 constant)
{
    return ir_binary(&l->ir, opcode, a, ir_const(&l->ir, constant));
}

static void interpret_if(struct lift *l, ir_value condition)
{
    u64 never;

    if (!ir_is_const(&l->ir, condition, &never) || never)
        ir_control(&l->ir, IR_LEAVE_IF, condition, LIFT_LEAVE_INTERPRET);
}

static struct csr_use use_of(struct lift *l, u64 insn)
{
    enum op op = insn_op(insn);
    bool by_number = op == OP_csrrwi || op == OP_csrrsi || op == OP_csrrci;
    struct csr_use a = {.how = CLEARS};

    if (op == OP_csrrw || op == OP_csrrwi)
        a.how = WRITES;
    else if (op == OP_csrrs || op == OP_csrrsi)
        a.how = SETS;
    a.reads = insn_rd(insn) != REG_SINK;
    a.writes = a.how == WRITES || insn_rs1(insn);
    a.value = by_number ? ir_const(&l->ir, insn_rs1(insn)) : lift_rs(l, insn_rs1(insn));
    return a;
}

/* What it makes of a register, whose other bits than these do not change. */
static ir_value merged(struct lift *l, const struct csr_use *a, ir_value old, u64 mask)
{
    ir_value v = binary(l, IR_AND, a->value, mask);

    if (a->how == SETS)
        return ir_binary(&l->ir, IR_OR, old, v);
    if (a->how == CLEARS)
        return ir_binary(&l->ir, IR_AND, old, ir_unary(&l->ir, IR_NOT, v));
    return mask == UINT64_MAX ? v : ir_binary(&l->ir, IR_OR, binary(l, IR_AND, old, ~mask), v);
}

/* The privilege in a register's number. */
static void guard(struct lift *l, u64 insn)
{
    u32 level = insn_imm(insn) >> 8 & 3;

    interpret_if(l, binary(l, IR_LTU, ir_get(&l->ir, SLOT(jit.priv)), level));
}

/* One that holds what is written, but for bits out of mask, which are 0. */
static enum lift_end lift_plain(struct lift *l, u64 insn, u32 slot, u64 mask)
{
    struct csr_use a;
    ir_value old;

    guard(l, insn);
    a = use_of(l, insn);
    old = ir_get(&l->ir, slot);
    if (a.writes && a.how == WRITES)
        ir_put(&l->ir, slot, binary(l, IR_AND, a.value, mask));
    else if (a.writes)
        ir_put(&l->ir, slot, merged(l, &a, old, mask));
    if (a.reads)
        lift_rd(l, insn, old);
    return LIFT_GOES_ON;
}

/* As a read of sstatus shows it. */
static ir_value visible(struct lift *l, ir_value mstatus)
{
    const u64 lowest = MSTATUS_FS & -MSTATUS_FS;
    ir_value dirty = binary(l, IR_AND, mstatus, MSTATUS_FS);

    /* SD: both bits of FS are set, so that a carry goes beyond them. */
    dirty = binary(l, IR_AND, binary(l, IR_ADD, dirty, lowest), 4 * lowest);
    dirty = binary(l, IR_SHL, dirty, (u64)__builtin_ctzll(MSTATUS_SD / (4 * lowest)));
    return ir_binary(&l->ir, IR_OR, binary(l, IR_AND, mstatus, SSTATUS_READABLE), dirty);
}

/* Might an interrupt be deliverable with SIE set? */
static ir_value pending(struct lift *l)
{
    ir_value wires = ir_get(&l->ir, SLOT(irq_wires));
    ir_value some = ir_binary(&l->ir, IR_OR, wires, ir_get(&l->ir, SLOT(irq_soft)));

    some = ir_binary(&l->ir, IR_AND, some, ir_get(&l->ir, SLOT(csr.mie)));
    return binary(l, IR_NE, some, 0);
}

#define MODE (MSTATUS_SUM | MSTATUS_MXR)

_Static_assert(offsetof(struct hart, jit.fp_live) == offsetof(struct hart, jit.fp_level) + 4 &&
                   offsetof(struct hart, jit.fp_level) % 8 == 0,
               "both are one slot");

/* FS changes: nothing is known of it, so that who needs it leaves and has it looked at. */
static void forget_fs(struct lift *l)
{
    ir_value both = ir_get(&l->ir, SLOT(jit.fp_level));

    interpret_if(l, binary(l, IR_NE, binary(l, IR_SHR, both, 32), 0));
    l->fp_level = LIFT_FP_OFF;
}

static void write_sstatus(struct lift *l, const struct csr_use *a, ir_value old, u64 mask)
{
    ir_value new = merged(l, a, old, mask);
    u64 refused = (MODE | (a->how == CLEARS ? 0 : MSTATUS_SIE)) & mask;

    if (mask == MSTATUS_SIE && a->how == SETS)
        interpret_if(l, pending(l));
    else if (refused)
        interpret_if(l, binary(l, IR_NE,
                               binary(l, IR_AND, ir_binary(&l->ir, IR_XOR, old, new), refused), 0));
    if (mask & MSTATUS_FS) {
        forget_fs(l);
        ir_put(&l->ir, SLOT(jit.fp_level), ir_const(&l->ir, 0));
    }
    ir_put(&l->ir, SLOT(csr.mstatus), new);
}

/* Kernels toggle SUM alone; and who knows what a register holds. */
static bool is_call(const struct csr_use *a, bool known, u64 mask)
{
    return a->writes && a->how != WRITES && (!known || ((mask & MODE) && !(mask & ~MODE)));
}

static enum lift_end lift_sstatus(struct lift *l, u64 insn)
{
    const struct csr_use a = use_of(l, insn);
    u64 mask = SSTATUS_WRITABLE & (l->floats ? UINT64_MAX : ~MSTATUS_FS), bits = 0;
    bool known = ir_is_const(&l->ir, a.value, &bits);
    ir_value old, seen = 0;

    if (a.how != WRITES)
        mask &= bits;
    if (is_call(&a, known, mask)) {
        l->whole = true;
        l->fp_level = LIFT_FP_OFF;
        return LIFT_GOES_ON;
    }
    guard(l, insn);
    old = ir_get(&l->ir, SLOT(csr.mstatus));
    if (a.reads)
        seen = visible(l, old);
    if (a.writes)
        write_sstatus(l, &a, old, mask);
    if (a.reads)
        lift_rd(l, insn, seen);
    return LIFT_GOES_ON;
}

void lift_zero(struct lift *l, u64 insn)
{
    ir_value priv = ir_get(&l->ir, SLOT(jit.priv));
    ir_value machine = ir_get(&l->ir, SLOT(csr.menvcfg));
    ir_value user = ir_binary(&l->ir, IR_AND, machine, ir_get(&l->ir, SLOT(csr.senvcfg)));
    ir_value allowed = ir_select(&l->ir, priv, machine, user);

    if (l->guests)
        allowed = ir_binary(&l->ir, IR_AND, allowed, ir_get(&l->ir, SLOT(csr.h.zero)));
    interpret_if(l, binary(l, IR_EQ, binary(l, IR_AND, allowed, ENVCFG_CBZE), 0));
    ir_zero(&l->ir, CACHE_BLOCK,
            binary(l, IR_AND, lift_rs(l, insn_rs1(insn)), ~(u64)(CACHE_BLOCK - 1)), (s64)insn);
}

enum lift_end lift_csr(struct lift *l, u64 insn)
{
    const u64 aligned = l->halves ? ~UINT64_C(1) : ~UINT64_C(3);

    switch (insn_imm(insn) & 0xfff) {
    case CSR_sscratch:
        return lift_plain(l, insn, SLOT(csr.sscratch), UINT64_MAX);
    case CSR_sepc:
        return lift_plain(l, insn, SLOT(csr.sepc), aligned);
    case CSR_scause:
        return lift_plain(l, insn, SLOT(csr.scause), CAUSE_WRITABLE);
    case CSR_stval:
        return lift_plain(l, insn, SLOT(csr.stval), UINT64_MAX);
    case CSR_mscratch:
        return lift_plain(l, insn, SLOT(csr.mscratch), UINT64_MAX);
    case CSR_mepc:
        return lift_plain(l, insn, SLOT(csr.mepc), aligned);
    case CSR_mcause:
        return lift_plain(l, insn, SLOT(csr.mcause), CAUSE_WRITABLE);
    case CSR_mtval:
        return lift_plain(l, insn, SLOT(csr.mtval), UINT64_MAX);
    case CSR_sstatus:
        return lift_sstatus(l, insn);
    case CSR_mstatus:
    case CSR_frm:
    case CSR_fcsr:
        l->fp_level = LIFT_FP_OFF;
        __attribute__((fallthrough));
    case CSR_sie:
    case CSR_sip:
    case CSR_stimecmp:
    case CSR_mie:
    case CSR_mip:
    case CSR_cycle:
    case CSR_time:
    case CSR_instret:
        l->whole = true;
        return LIFT_GOES_ON;
    case CSR_fflags:
        return lift_fflags(l, insn);
    default:
        return lift_go(l, insn);
    }
}
