/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CSRs and instructions of HS-mode (RISC-V Privileged Architecture, chapters Supervisor-Level ISA
 * and "H" Extension; AIA chapter 2). Only what the hypervisor itself uses.
 */
#ifndef COSM_METAL_CSR_H
#define COSM_METAL_CSR_H

#include "base/bits.h"

#define csr_read(csr)                                               \
    ({                                                              \
        u64 csr_v;                                                  \
        __asm__ volatile("csrr %0, " #csr : "=r"(csr_v)::"memory"); \
        csr_v;                                                      \
    })
#define csr_write(csr, v) __asm__ volatile("csrw " #csr ", %0" ::"rK"((u64)(v)) : "memory")
#define csr_set(csr, v)   __asm__ volatile("csrs " #csr ", %0" ::"rK"((u64)(v)) : "memory")
#define csr_clear(csr, v) __asm__ volatile("csrc " #csr ", %0" ::"rK"((u64)(v)) : "memory")

/* The struct vcpu that entry.S keeps in tp. */
static inline void *thread_pointer(void)
{
    void *tp;

    __asm__("mv %0, tp" : "=r"(tp));
    return tp;
}

static inline void wait_for_interrupt(void)
{
    __asm__ volatile("wfi");
}

/* In a loop that waits for another hart (Zihintpause). */
static inline void pause_hint(void)
{
    __asm__ volatile(".insn i 0x0f, 0, x0, x0, 0x010");
}

static inline void fence_i(void)
{
    __asm__ volatile("fence.i" ::: "memory");
}

/* What memory holds is there before a device's register is written. */
static inline void fence_to_device(void)
{
    __asm__ volatile("fence w, o" ::: "memory");
}

/* A device's register is read before memory is. */
static inline void fence_from_device(void)
{
    __asm__ volatile("fence i, r" ::: "memory");
}

/* sstatus, vsstatus */
#define STATUS_SIE        BIT(1)
#define STATUS_SPIE       BIT(5)
#define STATUS_SPP        BIT(8)
#define STATUS_FS         (UINT64_C(3) << 13)
#define STATUS_FS_INITIAL (UINT64_C(1) << 13)
#define STATUS_FS_DIRTY   (UINT64_C(3) << 13)
#define STATUS_VS         (UINT64_C(3) << 9) /* all bits: dirty */
#define STATUS_VS_INITIAL (UINT64_C(1) << 9) /* less this bit, dirty is clean */
#define STATUS_SUM        BIT(18)
#define STATUS_MXR        BIT(19)
#define STATUS_UXL        (UINT64_C(2) << 32)

#define HSTATUS_GVA         BIT(6)
#define HSTATUS_SPV         BIT(7)
#define HSTATUS_SPVP        BIT(8)
#define HSTATUS_VGEIN_SHIFT 12
#define HSTATUS_VGEIN       GENMASK(17, 12)
#define HSTATUS_VTVM        BIT(20)
#define HSTATUS_VTW         BIT(21)
#define HSTATUS_VSXL        (UINT64_C(2) << 32)

/* Interrupts: bit numbers in sip, sie, hvip, hideleg. */
#define IRQ_SSI  1
#define IRQ_VSSI 2
#define IRQ_STI  5
#define IRQ_VSTI 6
#define IRQ_SEI  9
#define IRQ_VSEI 10
#define IRQ_SGEI 12
#define IRQ_VS   (BIT(IRQ_VSSI) | BIT(IRQ_VSTI) | BIT(IRQ_VSEI))

#define CAUSE_INTERRUPT BIT(63)

enum trap_cause {
    CAUSE_FETCH_MISALIGNED = 0,
    CAUSE_FETCH_ACCESS = 1,
    CAUSE_ILLEGAL = 2,
    CAUSE_BREAKPOINT = 3,
    CAUSE_LOAD_MISALIGNED = 4,
    CAUSE_LOAD_ACCESS = 5,
    CAUSE_STORE_MISALIGNED = 6,
    CAUSE_STORE_ACCESS = 7,
    CAUSE_ECALL_U = 8,
    CAUSE_ECALL_VS = 10,
    CAUSE_FETCH_PAGE = 12,
    CAUSE_LOAD_PAGE = 13,
    CAUSE_STORE_PAGE = 15,
    CAUSE_FETCH_GUEST_PAGE = 20,
    CAUSE_LOAD_GUEST_PAGE = 21,
    CAUSE_VIRTUAL = 22,
    CAUSE_STORE_GUEST_PAGE = 23,
};

/* What the guest handles itself: all exceptions that need nothing of the hypervisor. */
#define HEDELEG_GUEST                                                                \
    (BIT(CAUSE_FETCH_MISALIGNED) | BIT(CAUSE_ILLEGAL) | BIT(CAUSE_BREAKPOINT) |      \
     BIT(CAUSE_LOAD_MISALIGNED) | BIT(CAUSE_STORE_MISALIGNED) | BIT(CAUSE_ECALL_U) | \
     BIT(CAUSE_FETCH_PAGE) | BIT(CAUSE_LOAD_PAGE) | BIT(CAUSE_STORE_PAGE) |          \
     BIT(CAUSE_FETCH_ACCESS) | BIT(CAUSE_LOAD_ACCESS) | BIT(CAUSE_STORE_ACCESS))

#define HENVCFG_STCE  BIT(63)
#define HENVCFG_PBMTE BIT(62)
#define HENVCFG_ADUE  BIT(61)
#define HENVCFG_CBZE  BIT(7)
#define HENVCFG_CBCFE BIT(6)
#define HENVCFG_CBIE  (UINT64_C(3) << 4)
#define HENVCFG_GUEST (HENVCFG_STCE | HENVCFG_PBMTE | HENVCFG_CBZE | HENVCFG_CBCFE | HENVCFG_CBIE)

/* hcounteren */
#define COUNTER_CY BIT(0)
#define COUNTER_TM BIT(1)
#define COUNTER_IR BIT(2)

/* What guests may touch, if the hart has Smstateen: senvcfg, and the AIA's CSRs. */
#define HSTATEEN0_GUEST (BIT(62) | BIT(60) | BIT(59) | BIT(58))

#define HGATP_SV39X4     (UINT64_C(8) << 60)
#define HGATP_VMID_SHIFT 44
#define SATP_SV39        (UINT64_C(8) << 60)

/* Page table entries, both stages. */
#define PTE_V         BIT(0)
#define PTE_R         BIT(1)
#define PTE_W         BIT(2)
#define PTE_X         BIT(3)
#define PTE_U         BIT(4)
#define PTE_A         BIT(6)
#define PTE_D         BIT(7)
#define PTE_PPN_SHIFT 10

/* Sstc's and the AIA's CSRs by number: older assemblers lack the names. */
#define CSR_STIMECMP  0x14d
#define CSR_VSTIMECMP 0x24d
#define CSR_SISELECT  0x150
#define CSR_SIREG     0x151
#define CSR_STOPEI    0x15c
#define CSR_VSISELECT 0x250

#endif
