/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hart: all architectural state of one RISC-V hardware thread, its software TLB, and the ports
 * through which it reaches the world. One host thread owns a hart while it runs; what other
 * threads may touch is atomic and marked so.
 *
 * Sources: RISC-V Unprivileged ISA 20240411, Privileged Architecture 20240411 and the ratified
 * extensions named in spec/riscv.def and rv/isa.def.
 */
#ifndef COSM_RV_HART_H
#define COSM_RV_HART_H

#include "base/types.h"
#include "port/bus.h"
#include "port/entropy.h"
#include "port/gmem.h"
#include "rv/isa.h"
#include "rv/tlb.h"

#include <stdatomic.h>

#define PAGE_SHIFT 12
#define PAGE_SIZE  (UINT64_C(1) << PAGE_SHIFT)
#define PAGE_MASK  (~(PAGE_SIZE - 1))

/* PRIV_VIRT is V of the H extension: where a mode is asked for, S is HS, and guests have VS and VU.
 */
#define PRIV_VIRT 4
enum priv {
    PRIV_U = 0,
    PRIV_S = 1,
    PRIV_M = 3,
    PRIV_VU = PRIV_VIRT | PRIV_U,
    PRIV_VS = PRIV_VIRT | PRIV_S,
    PRIV_COUNT
};

enum access {
    ACCESS_READ,
    ACCESS_WRITE,
    ACCESS_EXEC,
    ACCESS_READ_CODE /* HLVX: reads what may be executed; to rv/mmu.h only */
};

/* Privileged Architecture, table "mcause values after trap". */
enum cause {
    CAUSE_INSN_MISALIGNED = 0,
    CAUSE_INSN_ACCESS = 1,
    CAUSE_ILLEGAL = 2,
    CAUSE_BREAKPOINT = 3,
    CAUSE_LOAD_MISALIGNED = 4,
    CAUSE_LOAD_ACCESS = 5,
    CAUSE_STORE_MISALIGNED = 6,
    CAUSE_STORE_ACCESS = 7,
    CAUSE_ECALL_U = 8,
    CAUSE_ECALL_S = 9,
    CAUSE_ECALL_VS = 10,
    CAUSE_ECALL_M = 11,
    CAUSE_INSN_PAGE = 12,
    CAUSE_LOAD_PAGE = 13,
    CAUSE_STORE_PAGE = 15,
    CAUSE_INSN_GUEST_PAGE = 20,
    CAUSE_LOAD_GUEST_PAGE = 21,
    CAUSE_VIRTUAL = 22,
    CAUSE_STORE_GUEST_PAGE = 23,
};

/* Interrupt numbers: bits of mip, mie, mideleg. */
enum irq {
    IRQ_SSI = 1,
    IRQ_VSSI = 2,
    IRQ_MSI = 3,
    IRQ_STI = 5,
    IRQ_VSTI = 6,
    IRQ_MTI = 7,
    IRQ_SEI = 9,
    IRQ_VSEI = 10,
    IRQ_MEI = 11,
    IRQ_LCOFI = 13,
};

/* Index 32 of x takes writes to x0, so that no handler tests for it. */
#define REG_SINK 32

#define PMP_ENTRIES 16
#define HPM_FIRST   3 /* hpmcounter3..31 */
#define HPM_COUNT   29

/* The registers that S-mode and VS-mode have each: those of the mode that is not in force. */
struct csr_bank {
    u64 status; /* CSR_BANK_STATUS of mstatus */
    u64 tvec, scratch, epc, cause, tval, atp;
};

/* Of the H extension: see rv/csr_hyper.h. */
struct hyper_csrs {
    u64 hstatus, hedeleg, hideleg, htimedelta, henvcfg, hstateen[4], htval, htinst, hgatp;
    u64 mtval2, mtinst, vstimecmp;
    u64 hidden_fs; /* vsstatus.FS while HS has FS off and V is 1: mstatus.FS is 0 then */
    u64 zero;      /* menvcfg-like: what guests may do of CBZE; all ones while V is 0 */
    u32 hcounteren;
    struct csr_bank other;
};

/* CSR values as software left them; legal by construction (written through csr.c only). While V is
 * 1, the registers of S-mode here, and their fields of mstatus, are those of VS-mode. */
struct csrs {
    u64 mstatus; /* SD is computed on read */
    u64 medeleg, mideleg, mie, mtvec, mscratch, mepc, mcause, mtval;
    u64 menvcfg, mseccfg, mstateen[4];
    u64 stvec, sscratch, sepc, scause, stval, satp, senvcfg, sstateen[4], stimecmp;
    u32 mcounteren, scounteren, mcountinhibit;
    u32 fflags, frm;
    u8 pmpcfg[PMP_ENTRIES];
    u64 pmpaddr[PMP_ENTRIES];
    u64 hpmevent[HPM_COUNT];
    u64 mcycle, minstret, hpmcounter[HPM_COUNT]; /* when hart->insns was counted_insns */
    u64 counted_insns;
    u32 counting;       /* bit n: counter n counts now; event, inhibition and mode folded in */
    bool mode_inhibits; /* some counter's counting depends on the mode */
    struct hyper_csrs h;
};

/* Bytes that a PMP entry matches; both ends belong to it. */
struct pmp_range {
    u64 first, last;
};

struct gva_range {
    gva_t first, last; /* first > last: empty */
};

/* trap.cause of no exception: a device took a store and asked for attention, which is to be paid
 * right after this instruction, in every engine. */
#define CAUSE_ATTEND UINT64_C(0x1001)

/* A pending exception, from the place that found it to hart_take_trap. */
struct trap {
    u64 cause; /* enum cause */
    u64 tval;
    /* Of guest-page faults: the guest-physical address >> 2; and htinst if that is known. */
    u64 tval2, tinst;
    bool guest; /* an access as a guest, by HLV or HSV, faulted */
};

/* What another thread asks of a hart; it looks at each taken jump and before it sleeps. */
enum attn {
    ATTN_IRQ = 1 << 0,        /* mip, mie or the like changed: look for an interrupt */
    ATTN_PAUSE = 1 << 1,      /* leave the engine: exec has something to say */
    ATTN_FLUSH_TLB = 1 << 2,  /* drop all translations */
    ATTN_FLUSH_CODE = 1 << 3, /* behave as after FENCE.I */
    ATTN_PROTECT = 1 << 4,    /* drop write entries of pages that hold decoded code */
    ATTN_ENGINE = 1 << 5,     /* the translating engine's own; no other need act on it */
};

/* Why the engine returned. */
enum hart_exit {
    HART_EXIT_ATTN,  /* attn holds ATTN_PAUSE */
    HART_EXIT_WFI,   /* pc is past a WFI and nothing pends */
    HART_EXIT_YIELD, /* a spin hint: let another hart run */
    HART_EXIT_BREAK, /* pc is at a debugger's breakpoint; nothing of it executed */
    HART_EXIT_WATCH, /* a watched access is about to happen; nothing of it executed */
    HART_EXIT_STEP,  /* the one instruction asked for is done */
    HART_EXIT_LIMIT, /* insns has reached limit; nothing beyond it was begun */
};

struct hart;
struct code_map;
struct code_cache;
struct debug_points;
struct jit_hart;
struct jit_observer;

/* What surrounds a hart. Shared by the harts of a VM, filled before they run, outlives them. */
struct hart_env {
    struct gmem *gmem;
    struct bus bus;
    struct entropy entropy;
    u64 (*time)(void *ctx); /* the time CSR: mtime */
    /* stimecmp changed: raise or clear IRQ_STI now and, if it lies ahead, later. */
    void (*set_stimecmp)(void *ctx, struct hart *hart, u64 time);
    /* The same for vstimecmp and IRQ_VSTI, by a guest's time: the time CSR + delta. NULL: no H. */
    void (*set_vstimecmp)(void *ctx, struct hart *hart, u64 time, u64 delta);
    /* An ECALL from S-mode: true if the platform served it as SBI (x[10], x[11] are set). NULL:
     * M-mode firmware does. */
    bool (*ecall)(void *ctx, struct hart *hart);
    void *ctx;
    /* A trap is about to be taken: pc and mode are still those of before. NULL: nobody listens. */
    void (*trapped)(void *ctx, struct hart *hart, u64 cause, u64 tval);
    void *trapped_ctx;
    struct code_map *code_map;
    struct hart **harts; /* all of the VM, for cross-hart protection */
    u32 hart_count;
    bool limited; /* harts run with limits: translated code must look at them */
    const struct jit_observer *jit_observer; /* see exec/jit.h; NULL: nobody listens */
};

#define HART_NO_LIMIT UINT64_MAX

#define HART_CHANGED_PAGES 16

struct hart {
    /* What translated code shares with its engine: see jit/backend.h. What it uses most lies close
     * together, from fp_live to x[26]. */
    struct {
        struct jit_hart *engine; /* NULL: interpreter only */
        u64 limit;               /* insns from which on translated code must not go on */
        u64 away, turn;
        u64 priv;          /* csr_level */
        u64 site;          /* to be widened: see struct jit_engine */
        s64 view_writable; /* see jit_view.c */
        s32 view_credit;   /* the same */
        u32 patch, source, fp_round;
        _Alignas(8) u32 fp_level; /* fp_live lies beside it, for both to be one slot */
        u32 fp_live;
        u64 page;
        void *jumps;
        u64 left;
        u64 view; /* addresses below it may be in the view; follows data_mode */
    } jit;
    struct tlb_table *data_tlb; /* of the current data mode: &tlb.table[data_mode] */
    u32 site_mode;              /* tlb_pool_of(data_mode) */
    _Atomic u32 attn;           /* enum attn, any thread */
    u64 x[33];
    u64 f[32]; /* NaN-boxed */
    u64 pc;
    u64 insns; /* instructions retired, ever; up to date outside the engine */
    /*
     * The engine returns HART_EXIT_LIMIT when insns has reached this, exactly, before it attends or
     * begins anything else. Each exception lowers it by one, so that a hart which does nothing but
     * trap comes back, too. Set while the hart does not run, in a VM whose env says so (limited);
     * the hart's thread may lower it meanwhile if it asks for attention, too.
     */
    u64 limit;
    enum hart_exit stepped; /* after HART_EXIT_STEP of a WFI or a spin hint: what it would return */
    enum priv priv;         /* U, S or M, */
    enum priv mode;         /* and with V */
    u32 data_mode;          /* enum tlb_mode */
    u32 csr_level; /* privilege by which translated code may access CSRs; elsewhere they decide */
    u32 lent;      /* not 0: data is accessed as a guest's, in mode lent - 1: see rv/mem.h */
    _Atomic u32 attending; /* 1 while the hart acts on bits that it took out of attn */
    _Atomic u32 asleep;    /* 1 while it waits; it attends before it runs again */

    struct csrs csr;
    struct isa isa;                          /* extensions present; fixed */
    struct pmp_range pmp_range[PMP_ENTRIES]; /* derived from pmpcfg and pmpaddr by pmp.c */
    u32 pmp_active;                          /* bit n: entry n matches some address */
    bool pmp_open;                           /* everybody may do everything everywhere */
    /* Hulls of superpages that the TLB holds parts of, by V, global or not and address sign. */
    struct gva_range tlb_large[2][2][2];
    u32 id; /* mhartid */
    struct hart_env *env;

    /* Interrupts: wires follow lines of the board; soft holds what CSR writes and IPIs set. */
    _Atomic u64 irq_wires;
    _Atomic u64 irq_soft;

    struct trap trap; /* set by whoever returns false */

    /* LR/SC: host address and the value that LR read; NULL: none. */
    void *reserved;
    u64 reserved_value;
    u64 reserved_size;

    /* Code: see code_cache.h. */
    struct code_cache *code;
    _Atomic u64 code_ack; /* code_map epoch up to which stale write entries are gone */
    u64 code_attended;    /* the same; its own, and it does not move while the hart sleeps */

    /* Counted up by code_cache.c for engines with caches of their own: links from virtual pages,
     * FENCE.I, all code to be forgotten. */
    u32 map_changes, code_changes, code_flushes;
    /* Of links from virtual pages, only those that are not global; or only this page's. */
    u32 space_changes, page_changes;
    gva_t changed_page[HART_CHANGED_PAGES]; /* the nth at n % HART_CHANGED_PAGES, from 0 */

    struct debug_points *debug; /* NULL: none; read-only while the hart runs */
    u64 debug_address;          /* of HART_EXIT_WATCH */
    enum access debug_access;

    struct {
        /* traps: exceptions. Under a limit they count as instructions do. */
        u64 tlb_fills, tlb_flushes, slow_accesses, mmio, code_pages, code_drops, traps, interrupts;
        u64 blocks, interpreted, unguarded;
        u64 views, view_pages, view_faults; /* given to address spaces; mapped; of the host */
    } stats;

    struct tlb tlb; /* last: large, and mostly never touched */
};

/* Power-on state: M-mode, pc = entry, everything else as the specification demands. */
void hart_reset(struct hart *hart, u64 entry);

/*
 * As M-mode firmware hands over to S-mode: traps delegated but for ECALL from S, counters open,
 * PMP open, stimecmp enabled; pc, a0 = hart id, a1 = arg.
 */
void hart_enter_supervisor(struct hart *hart, u64 pc, u64 arg);

/* Records an exception and returns false: return hart_raise(...) */
static inline bool hart_raise(struct hart *hart, enum cause cause, u64 tval)
{
    hart->trap.cause = cause;
    hart->trap.tval = tval;
    return false;
}

/* Tells a hart to look; any thread. Does not wake it from sleep: exec does. */
static inline void hart_attention(struct hart *hart, u32 attn)
{
    atomic_fetch_or_explicit(&hart->attn, attn, memory_order_seq_cst);
}

#endif
