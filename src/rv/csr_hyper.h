/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor extension's registers (Privileged Architecture, chapter "H" Extension, H 1.0).
 *
 * Theory of operation. S-mode and VS-mode have a set of registers each; those of the mode in force
 * are where S-mode's have always been (struct csrs), so that all that looks there, translated code
 * too, needs no case for guests. hyper_swap exchanges the sets where V changes. With V 0 the
 * registers vsstatus, vstvec and so on are thus csr.h.other; with V 1 HS's are.
 *
 * FS: both levels must allow floating point. What makes the guest's dirty makes HS's dirty when V
 * becomes 0: if the guest's was dirty before, that says more than happened, which is allowed.
 * Where HS has it off, mstatus.FS is 0 while V is 1 and the guest's own is csr.h.hidden_fs.
 *
 * GEILEN is 0: there is no hgeie, hgeip that is not 0, nor an SGEI.
 */
#ifndef COSM_RV_CSR_HYPER_H
#define COSM_RV_CSR_HYPER_H

#include "rv/csr.h"

#define HSTATUS_GVA  BIT(6)
#define HSTATUS_SPV  BIT(7)
#define HSTATUS_SPVP BIT(8)
#define HSTATUS_HU   BIT(9)
#define HSTATUS_VTVM BIT(20)
#define HSTATUS_VTW  BIT(21)
#define HSTATUS_VTSR BIT(22)
#define HSTATUS_VSXL GENMASK(33, 32)

/* Of mstatus, what there is once for S-mode and once for VS-mode. */
#define CSR_BANK_STATUS (SSTATUS_WRITABLE | MSTATUS_UXL)

/* Interrupts of VS-mode: in mip, mie, mideleg and hideleg. */
#define MIP_VS (BIT(IRQ_VSSI) | BIT(IRQ_VSTI) | BIT(IRQ_VSEI))

/* Pseudoinstructions of htinst, for RV64: a PTE of the VS-stage could not be read, not written. */
#define TINST_PTE_READ  UINT64_C(0x3000)
#define TINST_PTE_WRITE UINT64_C(0x3020)

/* Does V hold? */
static inline bool hyper_is_guest(const struct hart *hart)
{
    return hart->mode & PRIV_VIRT;
}

/* CSR_BANK_STATUS as HS-mode and as VS-mode has it (a hidden FS aside), and vsatp. */
static inline u64 hyper_hs_status(const struct hart *hart)
{
    return hyper_is_guest(hart) ? hart->csr.h.other.status : hart->csr.mstatus;
}

static inline u64 hyper_vs_status(const struct hart *hart)
{
    return hyper_is_guest(hart) ? hart->csr.mstatus : hart->csr.h.other.status;
}

static inline u64 hyper_vs_atp(const struct hart *hart)
{
    return hyper_is_guest(hart) ? hart->csr.satp : hart->csr.h.other.atp;
}

/* V changes: exchanges the sets of registers, V in hart->mode, and what depends on it but for the
 * tables of the TLB, which the change of mode that follows picks. */
void hyper_swap(struct hart *hart);

/* While V is 1 and HS has FS off. */
bool hyper_hides_fs(const struct hart *hart);

/* Bits of an interrupt register as a guest sees them, and the reverse: by 1 lower. */
static inline u64 hyper_to_guest(const struct hart *hart, u64 bits)
{
    return (bits & MIP_VS & hart->csr.h.hideleg) >> 1;
}

static inline u64 hyper_from_guest(const struct hart *hart, u64 bits)
{
    return bits << 1 & MIP_VS & hart->csr.h.hideleg;
}

/* What vstimecmp, htimedelta or the enables of the timer follow from has changed. */
void hyper_update_timer(struct hart *hart);

/* What guests may do of CBZE has changed. */
void hyper_update_zero(struct hart *hart);

/* henvcfg, in which what menvcfg does not have is 0. */
u64 hyper_envcfg(const struct hart *hart);

/* The transformed instruction at hart->pc for mtinst and htinst, of a load or store that faulted at
 * tval; 0: it is none. */
u64 hyper_transformed(struct hart *hart, u64 tval);

/* Power-on values, before the rest of csr_reset. */
void hyper_reset(struct hart *hart);

/* For spec/csr.def. */
u64 hyper_read(struct hart *hart, u32 number);
void hyper_write_status(struct hart *hart, u32 number, u64 value, u64 touched);
void hyper_write_deleg(struct hart *hart, u32 number, u64 value, u64 touched);
u64 hyper_read_irq(struct hart *hart, u32 number);
void hyper_write_irq(struct hart *hart, u32 number, u64 value, u64 touched);
void hyper_write_counteren(struct hart *hart, u32 number, u64 value, u64 touched);
void hyper_write_time(struct hart *hart, u32 number, u64 value, u64 touched);
void hyper_write_envcfg(struct hart *hart, u32 number, u64 value, u64 touched);
u64 hyper_read_stateen(struct hart *hart, u32 number);
void hyper_write_stateen(struct hart *hart, u32 number, u64 value, u64 touched);
void hyper_write_trap(struct hart *hart, u32 number, u64 value, u64 touched);
void hyper_write_gatp(struct hart *hart, u32 number, u64 value, u64 touched);
u64 hyper_read_guest(struct hart *hart, u32 number);
void hyper_write_guest(struct hart *hart, u32 number, u64 value, u64 touched);

#endif
