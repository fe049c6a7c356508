/* SPDX-License-Identifier: BSD-2-Clause */
/* Traps: delegation, entry, return, the choice of an interrupt, reset and the firmware's handover.
 */
#include "rv/trap.h"

#include "base/mem.h"
#include "rv/csr.h"
#include "rv/csr_counters.h"
#include "rv/csr_hyper.h"
#include "rv/mmu.h"
#include "rv/pmp.h"

#define CAUSE_INTERRUPT BIT(63)

void trap_set_mode(struct hart *hart, enum priv mode)
{
    if (UNLIKELY((hart->mode ^ mode) & PRIV_VIRT))
        hyper_swap(hart);
    counter_mode_change(hart, mode);
    hart->mode = mode;
    hart->priv = mode & ~PRIV_VIRT;
    hart->csr_level = UNLIKELY(hyper_hides_fs(hart)) ? PRIV_U : hart->priv;
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

/* What the H extension says of a trap beyond cause and tval. */
struct more {
    bool gva; /* tval is a guest's virtual address */
    u64 tval2, tinst;
};

#define CAUSES_OF_DATA                                                                   \
    (BIT(CAUSE_LOAD_MISALIGNED) | BIT(CAUSE_LOAD_ACCESS) | BIT(CAUSE_STORE_MISALIGNED) | \
     BIT(CAUSE_STORE_ACCESS) | BIT(CAUSE_LOAD_PAGE) | BIT(CAUSE_STORE_PAGE) |            \
     BIT(CAUSE_LOAD_GUEST_PAGE) | BIT(CAUSE_STORE_GUEST_PAGE))
#define CAUSES_OF_CODE                                                             \
    (BIT(CAUSE_INSN_MISALIGNED) | BIT(CAUSE_INSN_ACCESS) | BIT(CAUSE_BREAKPOINT) | \
     BIT(CAUSE_INSN_PAGE) | BIT(CAUSE_INSN_GUEST_PAGE))
#define CAUSES_OF_GUEST_PAGE \
    (BIT(CAUSE_INSN_GUEST_PAGE) | BIT(CAUSE_LOAD_GUEST_PAGE) | BIT(CAUSE_STORE_GUEST_PAGE))

/* Of the exception in hart->trap. Without guests there is nothing to be said. */
static struct more more_of(struct hart *hart)
{
    const u64 cause = BIT(hart->trap.cause);
    const bool guests_data = hart->trap.guest || (mmu_data_priv(hart) & PRIV_VIRT);
    struct more m = {0};

    m.gva = cause & CAUSES_OF_DATA ? guests_data : cause & CAUSES_OF_CODE && hyper_is_guest(hart);
    if (cause & CAUSES_OF_GUEST_PAGE) {
        m.tval2 = hart->trap.tval2;
        m.tinst = hart->trap.tinst;
    }
    if (m.gva && (cause & CAUSES_OF_DATA) && !m.tinst)
        m.tinst = hyper_transformed(hart, hart->trap.tval);
    hart->trap.guest = false;
    return m;
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
    trap_set_mode(hart, PRIV_S | (hart->mode & PRIV_VIRT));
}

/* From a guest or not; else as enter_supervisor_handler, which is a guest's own. */
static void enter_hypervisor_handler(struct hart *hart, u64 cause, u64 tval, struct more more)
{
    struct hyper_csrs *h = &hart->csr.h;

    h->hstatus &= ~(HSTATUS_SPV | HSTATUS_GVA);
    if (hyper_is_guest(hart)) {
        u64 spvp = hart->priv == PRIV_S ? HSTATUS_SPVP : 0;

        h->hstatus = bits_merge(h->hstatus, HSTATUS_SPVP, spvp) | HSTATUS_SPV;
        hyper_swap(hart);
    }
    h->hstatus |= more.gva ? HSTATUS_GVA : 0;
    h->htval = more.tval2;
    h->htinst = more.tinst;
    enter_supervisor_handler(hart, cause, tval);
}

static void enter_machine_handler(struct hart *hart, u64 cause, u64 tval, struct more more)
{
    const u64 gone = MSTATUS_MPP | MSTATUS_MPIE | MSTATUS_MIE | MSTATUS_MPV | MSTATUS_GVA;
    u64 from_guest = hyper_is_guest(hart) ? MSTATUS_MPV : 0, mstatus;

    if (UNLIKELY(from_guest))
        hyper_swap(hart);
    mstatus = (hart->csr.mstatus & ~gone) | from_guest | (more.gva ? MSTATUS_GVA : 0);

    if (hart->csr.mstatus & MSTATUS_MIE)
        mstatus |= MSTATUS_MPIE;
    mstatus |= (u64)hart->priv << 11;
    hart->csr.mstatus = mstatus;
    hart->csr.mcause = cause;
    hart->csr.mepc = hart->pc;
    hart->csr.mtval = tval;
    hart->csr.h.mtval2 = more.tval2;
    hart->csr.h.mtinst = more.tinst;
    hart->pc = vector(hart->csr.mtvec, cause);
    trap_set_mode(hart, PRIV_M);
}

static void tell(struct hart *hart, u64 cause, u64 tval)
{
    if (UNLIKELY(hart->env->trapped))
        hart->env->trapped(hart->env->trapped_ctx, hart, cause, tval);
}

void trap_exception(struct hart *hart)
{
    const u64 cause = hart->trap.cause, tval = hart->trap.tval;
    const bool delegated = hart->priv != PRIV_M && (hart->csr.medeleg >> cause & 1);
    struct more more = {0};

    tell(hart, cause, tval);
    if (UNLIKELY(isa_has(&hart->isa, ISA_H)))
        more = more_of(hart);
    if (!delegated)
        enter_machine_handler(hart, cause, tval, more);
    else if (hyper_is_guest(hart) && (hart->csr.h.hedeleg >> cause & 1))
        enter_supervisor_handler(hart, cause, tval);
    else
        enter_hypervisor_handler(hart, cause, tval, more);
}

/* Of those that are pending, what may be taken now: all that goes to M-mode comes before all that
 * goes to (H)S-mode, and that before what goes to a guest. */
static u64 takeable_of(const struct hart *hart, u64 pending)
{
    const u64 mideleg = hart->csr.mideleg, hideleg = hart->csr.h.hideleg;
    const bool below = hart->priv == PRIV_U, guest = hyper_is_guest(hart);
    const bool enabled = below || (hart->priv == PRIV_S && (hart->csr.mstatus & MSTATUS_SIE));
    u64 takeable = 0;

    if (hart->priv != PRIV_M || (hart->csr.mstatus & MSTATUS_MIE))
        takeable = pending & ~mideleg;
    if (!takeable && (enabled || guest))
        takeable = pending & mideleg & ~hideleg;
    if (!takeable && enabled && guest)
        takeable = pending & hideleg;
    return takeable;
}

int trap_pending(struct hart *hart)
{
    static const u8 order[] = {IRQ_MEI, IRQ_MSI,  IRQ_MTI,  IRQ_SEI,  IRQ_SSI,
                               IRQ_STI, IRQ_VSEI, IRQ_VSSI, IRQ_VSTI, IRQ_LCOFI};
    u64 pending = csr_mip(hart) & hart->csr.mie, takeable;

    if (LIKELY(!pending))
        return -1;
    takeable = takeable_of(hart, pending);
    for (u32 i = 0; takeable && i < ARRAY_SIZE(order); i++) {
        if (takeable >> order[i] & 1)
            return order[i];
    }
    return -1;
}

void trap_interrupt(struct hart *hart, int irq)
{
    const struct more none = {0};
    u64 cause = CAUSE_INTERRUPT | (u64)irq;

    tell(hart, cause, 0);
    if (hart->priv == PRIV_M || !(hart->csr.mideleg >> irq & 1))
        enter_machine_handler(hart, cause, 0, none);
    else if (hyper_is_guest(hart) && (hart->csr.h.hideleg >> irq & 1))
        enter_supervisor_handler(hart, cause - 1, 0); /* VSSI as SSI and so on */
    else
        enter_hypervisor_handler(hart, cause, 0, none);
}

bool trap_wakes(struct hart *hart)
{
    return csr_mip(hart) & hart->csr.mie;
}

bool trap_mret(struct hart *hart)
{
    u64 mstatus = hart->csr.mstatus;
    enum priv mode = (enum priv)bits_get(mstatus, 11, 2);

    if (hart->priv != PRIV_M)
        return hart_raise(hart, CAUSE_ILLEGAL, 0);
    if (mode != PRIV_M && (mstatus & MSTATUS_MPV))
        mode |= PRIV_VIRT;
    mstatus &= ~(MSTATUS_MIE | MSTATUS_MPP | MSTATUS_MPV);
    if (mstatus & MSTATUS_MPIE)
        mstatus |= MSTATUS_MIE;
    mstatus |= MSTATUS_MPIE;
    if (mode != PRIV_M)
        mstatus &= ~MSTATUS_MPRV;
    hart->csr.mstatus = mstatus;
    hart->pc = hart->csr.mepc;
    trap_set_mode(hart, mode);
    csr_poll_irq(hart);
    return true;
}

bool trap_sret(struct hart *hart)
{
    u64 mstatus = hart->csr.mstatus, *hstatus = &hart->csr.h.hstatus;
    enum priv mode = mstatus & MSTATUS_SPP ? PRIV_S : PRIV_U;

    if (hyper_is_guest(hart)) {
        if (hart->priv == PRIV_U || (*hstatus & HSTATUS_VTSR))
            return hart_raise(hart, CAUSE_VIRTUAL, 0);
        mode |= PRIV_VIRT;
    } else if (hart->priv == PRIV_U || (hart->priv == PRIV_S && (mstatus & MSTATUS_TSR))) {
        return hart_raise(hart, CAUSE_ILLEGAL, 0);
    } else if (UNLIKELY(*hstatus & HSTATUS_SPV)) {
        mode |= PRIV_VIRT;
        *hstatus &= ~HSTATUS_SPV;
    }
    mstatus &= ~(MSTATUS_SIE | MSTATUS_SPP | MSTATUS_MPRV);
    if (mstatus & MSTATUS_SPIE)
        mstatus |= MSTATUS_SIE;
    mstatus |= MSTATUS_SPIE;
    hart->csr.mstatus = mstatus;
    hart->pc = hart->csr.sepc;
    trap_set_mode(hart, mode);
    csr_poll_irq(hart);
    return true;
}

void hart_reset(struct hart *hart, u64 entry)
{
    memset(hart->x, 0, sizeof(hart->x));
    memset(hart->f, 0, sizeof(hart->f));
    hart->pc = entry;
    hart->priv = hart->mode = PRIV_M;
    hart->csr_level = PRIV_M;
    hart->lent = 0;
    hart->trap.guest = false;
    hart->reserved = NULL;
    hart->limit = HART_NO_LIMIT;
    csr_reset(hart);
    tlb_init(&hart->tlb, isa_has(&hart->isa, ISA_H));
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
        {CSR_medeleg, ~(BIT(CAUSE_ECALL_S) | BIT(CAUSE_ECALL_M))}, /* guests' are HS's to serve */
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
    trap_set_mode(hart, PRIV_S);
}
