/* SPDX-License-Identifier: BSD-2-Clause */
/* Control and status registers: numbers, fields, and access with WARL rules and permissions. */
#ifndef COSM_RV_CSR_H
#define COSM_RV_CSR_H

#include "rv/hart.h"

#define MSTATUS_SIE  BIT(1)
#define MSTATUS_MIE  BIT(3)
#define MSTATUS_SPIE BIT(5)
#define MSTATUS_UBE  BIT(6)
#define MSTATUS_MPIE BIT(7)
#define MSTATUS_SPP  BIT(8)
#define MSTATUS_VS   GENMASK(10, 9)
#define MSTATUS_MPP  GENMASK(12, 11)
#define MSTATUS_FS   GENMASK(14, 13)
#define MSTATUS_XS   GENMASK(16, 15)
#define MSTATUS_MPRV BIT(17)
#define MSTATUS_SUM  BIT(18)
#define MSTATUS_MXR  BIT(19)
#define MSTATUS_TVM  BIT(20)
#define MSTATUS_TW   BIT(21)
#define MSTATUS_TSR  BIT(22)
#define MSTATUS_UXL  GENMASK(33, 32)
#define MSTATUS_SXL  GENMASK(35, 34)
#define MSTATUS_GVA  BIT(38)
#define MSTATUS_MPV  BIT(39)
#define MSTATUS_SD   BIT(63)

/* Of mstatus, what sstatus shows. */
#define SSTATUS_WRITABLE \
    (MSTATUS_SIE | MSTATUS_SPIE | MSTATUS_SPP | MSTATUS_FS | MSTATUS_SUM | MSTATUS_MXR)
#define SSTATUS_READABLE (SSTATUS_WRITABLE | MSTATUS_UXL | MSTATUS_SD)

/* Of scause and mcause. */
#define CAUSE_WRITABLE (BIT(63) | GENMASK(5, 0))

#define ENVCFG_FIOM  BIT(0)
#define ENVCFG_CBIE  GENMASK(5, 4)
#define ENVCFG_CBCFE BIT(6)
#define ENVCFG_CBZE  BIT(7)
#define ENVCFG_ADUE  BIT(61)
#define ENVCFG_PBMTE BIT(62)
#define ENVCFG_STCE  BIT(63)

#define MSECCFG_MML   BIT(0)
#define MSECCFG_MMWP  BIT(1)
#define MSECCFG_RLB   BIT(2)
#define MSECCFG_USEED BIT(8)
#define MSECCFG_SSEED BIT(9)

/* mimpid, version 0.1.0, a byte each: tells reports about different releases apart. */
#define HART_MIMPID UINT64_C(0x000100)

/* Legal values of mstateen0..3: SE and, in mstateen0 alone, ENVCFG. */
#define STATEEN_SE     BIT(63)
#define STATEEN_ENVCFG BIT(62)

/* Numbers: CSR_sstatus and so on. */
enum csr_number {
#define CSR_FIELD(number, name, mask, ext, guard)    CSR_##name = (number),
#define CSR_FUNC(number, name, get, set, ext, guard) CSR_##name = (number),
#include "spec/csr.def"
#undef CSR_FIELD
#undef CSR_FUNC
};

/*
 * One CSR instruction: reads into *old unless !reads, then writes (old & ~clear | set) unless
 * !writes (CSRRW: clear = ~0, set = value; CSRRS: set = value; CSRRC: clear = value; in place,
 * with counters and SEIP as the specification has it). False: illegal or, of a guest, virtual
 * instruction, hart->trap set
 * with tval 0 for the caller to fill with the instruction's bits. May change mode tables, flush
 * TLBs, and set ATTN_IRQ on the hart itself where an interrupt may have become takeable.
 */
MUST_CHECK bool csr_access(struct hart *hart, u32 number, bool reads, bool writes, u64 clear,
                           u64 set, u64 *old);

/* For debuggers and tests: no permission check, reads without side effects. False: no such CSR. */
MUST_CHECK bool csr_peek(struct hart *hart, u32 number, u64 *value);
MUST_CHECK bool csr_poke(struct hart *hart, u32 number, u64 value);

/* Name by number and the reverse, NULL / UINT32_MAX where there is none. */
const char *csr_name(u32 number);
u32 csr_number(const char *name);

/* mip as software reads it: wires and soft bits. */
u64 csr_mip(struct hart *hart);

/* mie, and software's bits of mip, as their setters write them; touched: bits that change. */
void csr_write_mie(struct hart *hart, u64 value);
void csr_write_soft(struct hart *hart, u64 value, u64 touched);

/* A value for an envcfg register: of CBIE, CBCFE, CBZE, FIOM and `more` what the extensions have.
 */
u64 csr_envcfg_legal(const struct hart *hart, u64 value, u64 more);

/* Sets ATTN_IRQ if an interrupt would be taken now: after a change of mip, mie or an enable. */
void csr_poll_irq(struct hart *hart);

/* Power-on values of all CSRs; hart_reset does the rest. */
void csr_reset(struct hart *hart);

/* Sets FS to dirty after a write of f or fcsr. */
static inline void csr_fs_dirty(struct hart *hart)
{
    hart->csr.mstatus |= MSTATUS_FS;
}

#endif
