/* SPDX-License-Identifier: BSD-2-Clause */
/* Traps: delegation, entry, return, the choice of an interrupt, reset and the firmware's handover.
 */
#include "rv/trap.h"

#include "base/mem.h"
#include "rv/csr.h"
#include "rv/csr_counters.h"
#include "rv/mmu.h"
#include "rv/pmp.h"

#define CAUSE_INTERRUPT BIT(63)

void trap_set_priv(struct hart *hart, enum priv priv)
{
    counter_mode_change(hart, priv);
    hart->priv = priv;
    mmu_update_mode(hart);
}

/* Where a trap of this cause starts: interrupts may be vectored. */
static u64 vector(u64 tvec, u64 cause)
{
    u64 base = tvec & ~UINT64_C(3);

    if ((tvec & 1) && (cause & CAUSE_INTERRUPT))
        return base + 4 * (cause & ~CAUSE_INTERRUPT);
    return base;
}

static void enter_supervisor_handler(struct hart *hart, u64 cause, u64 tval)
{
    u64 mstatus = hart->csr.mstatus & ~(MSTATUS_SPP | MSTATUS_SPIE | MSTATUS_SIE);

    if (hart->csr.mstatus & MSTATUS_SIE)
        mstatus |= MSTATUS_SPIE;
    if (hart->priv == PRIV_S)
        mstatus |= MSTATUS_SPP;
    hart->csr.mstatus = mstatus;
    hart->csr.scause = cause;
    hart->csr.sepc = hart->pc;
    hart->csr.stval = tval;
    hart->pc = vector(hart->csr.stvec, cause);
    trap_set_priv(hart, PRIV_S);
}

static void enter_machine_handler(struct hart *hart, u64 cause, u64 tval)
{
    u64 mstatus = hart->csr.mstatus & ~(MSTATUS_MPP | MSTATUS_MPIE | MSTATUS_MIE);

    if (hart->csr.mstatus & MSTATUS_MIE)
        mstatus |= MSTATUS_MPIE;
    mstatus |= (u64)hart->priv << 11;
    hart->csr.mstatus = mstatus;
    hart->csr.mcause = cause;
    hart->csr.mepc = hart->pc;
    hart->csr.mtval = tval;
    hart->pc = vector(hart->csr.mtvec, cause);
    trap_set_priv(hart, PRIV_M);
}

static void tell(struct hart *hart, u64 cause, u64 tval)
{
    if (UNLIKELY(hart->env->trapped))
        hart->env->trapped(hart->env->trapped_ctx, hart, cause, tval);
}

void trap_exception(struct hart *hart)
{
    u64 cause = hart->trap.cause;

    tell(hart, cause, hart->trap.tval);
    if (hart->priv != PRIV_M && (hart->csr.medeleg >> cause & 1))
        enter_supervisor_handler(hart, cause, hart->trap.tval);
    else
        enter_machine_handler(hart, cause, hart->trap.tval);
}

int trap_pending(struct hart *hart)
{
    static const u8 order[] = {IRQ_MEI, IRQ_MSI, IRQ_MTI, IRQ_SEI, IRQ_SSI, IRQ_STI, IRQ_LCOFI};
    u64 pending = csr_mip(hart) & hart->csr.mie, takeable = 0;
    u64 machine = pending & ~hart->csr.mideleg, supervisor = pending & hart->csr.mideleg;

    if (LIKELY(!pending))
        return -1;
    if (hart->priv != PRIV_M || (hart->csr.mstatus & MSTATUS_MIE))
        takeable = machine;
    /* All that goes to M-mode comes before all that goes to S-mode. */
    if (!takeable &&
        (hart->priv == PRIV_U || (hart->priv == PRIV_S && (hart->csr.mstatus & MSTATUS_SIE))))
        takeable = supervisor;
    for (u32 i = 0; takeable && i < ARRAY_SIZE(order); i++) {
        if (takeable >> order[i] & 1)
            return order[i];
    }
    return -1;
}

void trap_interrupt(struct hart *hart, int irq)
{
    u64 cause = CAUSE_INTERRUPT | (u64)irq;

    tell(hart, cause, 0);
    if (hart->priv != PRIV_M && (hart->csr.mideleg >> irq & 1))
        enter_supervisor_handler(hart, cause, 0);
    else
        enter_machine_handler(hart, cause, 0);
}

bool trap_wakes(struct hart *hart)
{
    return csr_mip(hart) & hart->csr.mie;
}

bool trap_mret(struct hart *hart)
{
    u64 mstatus = hart->csr.mstatus;
    enum priv priv = (enum priv)bits_get(mstatus, 11, 2);

    if (hart->priv != PRIV_M)
        return hart_raise(hart, CAUSE_ILLEGAL, 0);
    mstatus &= ~(MSTATUS_MIE | MSTATUS_MPP);
    if (mstatus & MSTATUS_MPIE)
        mstatus |= MSTATUS_MIE;
    mstatus |= MSTATUS_MPIE;
    if (priv != PRIV_M)
        mstatus &= ~MSTATUS_MPRV;
    hart->csr.mstatus = mstatus;
    hart->pc = hart->csr.mepc;
    trap_set_priv(hart, priv);
    csr_poll_irq(hart);
    return true;
}

bool trap_sret(struct hart *hart)
{
    u64 mstatus = hart->csr.mstatus;
    enum priv priv = mstatus & MSTATUS_SPP ? PRIV_S : PRIV_U;

    if (hart->priv == PRIV_U || (hart->priv == PRIV_S && (mstatus & MSTATUS_TSR)))
        return hart_raise(hart, CAUSE_ILLEGAL, 0);
    mstatus &= ~(MSTATUS_SIE | MSTATUS_SPP | MSTATUS_MPRV);
    if (mstatus & MSTATUS_SPIE)
        mstatus |= MSTATUS_SIE;
    mstatus |= MSTATUS_SPIE;
    hart->csr.mstatus = mstatus;
    hart->pc = hart->csr.sepc;
    trap_set_priv(hart, priv);
    csr_poll_irq(hart);
    return true;
}

void hart_reset(struct hart *hart, u64 entry)
{
    memset(hart->x, 0, sizeof(hart->x));
    memset(hart->f, 0, sizeof(hart->f));
    hart->pc = entry;
    hart->priv = PRIV_M;
    hart->reserved = NULL;
    hart->limit = HART_NO_LIMIT;
    csr_reset(hart);
    tlb_init(&hart->tlb);
    mmu_flush(hart);
    mmu_update_mode(hart);
}

/* A supervisor finds what SBI firmware commonly leaves: all that it may have, it has. */
static void open_to_supervisor(struct hart *hart)
{
    static const struct {
        u16 number;
        u64 value;
    } handover[] = {
        {CSR_medeleg, ~(BIT(CAUSE_ECALL_S) | BIT(CAUSE_ECALL_M))},
        {CSR_mideleg, UINT64_MAX},
        {CSR_mie, 0},
        {CSR_mcounteren, UINT64_MAX},
        {CSR_scounteren, UINT64_MAX},
        {CSR_menvcfg, ENVCFG_STCE | ENVCFG_PBMTE | ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE},
        {CSR_mstateen0, STATEEN_SE | STATEEN_ENVCFG},
        {CSR_mstateen1, STATEEN_SE},
        {CSR_mstateen2, STATEEN_SE},
        {CSR_mstateen3, STATEEN_SE},
        {CSR_pmpaddr0, UINT64_MAX},
        {CSR_pmpcfg0, PMP_NAPOT << 3 | PMP_RWX},
        {CSR_satp, 0},
        {CSR_mstatus, MSTATUS_MPIE | (UINT64_C(1) << 13)}, /* FS initial */
    };

    for (u32 i = 0; i < ARRAY_SIZE(handover); i++) {
        /* What this hart lacks needs no opening. */
        if (!csr_poke(hart, handover[i].number, handover[i].value))
            continue;
    }
}

void hart_enter_supervisor(struct hart *hart, u64 pc, u64 arg)
{
    open_to_supervisor(hart);
    hart->x[10] = hart->id;
    hart->x[11] = arg;
    hart->pc = pc;
    trap_set_priv(hart, PRIV_S);
}
