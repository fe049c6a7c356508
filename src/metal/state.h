/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the hypervisor knows at run time, all of it in one static structure: there is no heap.
 *
 * A hart of the board runs with interrupts off whenever it is in HS-mode, on a stack of its own; it
 * is in HS-mode only to answer one trap. A vCPU belongs to one hart for ever, so its registers are
 * touched by that hart alone; what others want of it they put into its requests and kick the hart.
 */
#ifndef COSM_METAL_STATE_H
#define COSM_METAL_STATE_H

#include "metal/asm.h"
#include "metal/config.h"
#include "metal/csr.h"
#include "metal/decode.h"
#include "metal/schedule.h"
#include "metal/spinlock.h"
#include "sbi/state.h"

#include "base/log.h"

#include <stdatomic.h>

/* The configuration, patched into the image by the compiler of configurations. */
extern const struct metal_config metal_config;

enum vcpu_state {
    VCPU_STOPPED, /* the partition has not started it, or stopped it */
    VCPU_READY,   /* runs when its hart gives it time */
    VCPU_WAITING, /* until an interrupt is pending for it */
    VCPU_LOADING, /* its time goes into loading the partition's images; vCPU 0 alone */
    VCPU_ASKING,  /* until the service of a device answers */
};

/* Requests to a vCPU, bits; any hart sets them, its own answers and clears them. */
#define REQUEST_SSI       1u /* raise its software interrupt */
#define REQUEST_FENCE_I   2u
#define REQUEST_FENCE_VMA 4u   /* all addresses, all ASIDs */
#define REQUEST_IRQ       8u   /* look at the virtual interrupt controller again */
#define REQUEST_START     16u  /* at start_pc with start_arg */
#define REQUEST_HALT      32u  /* the partition stops: be stopped, and say so */
#define REQUEST_LOAD      64u  /* vCPU 0: begin the partition anew */
#define REQUEST_VDEV      128u /* its access may be answered */
#define REQUEST_TIMER     256u /* its hart's timer is to be set anew */

/* The CSRs of VS-mode, and for the return there, while the vCPU does not have its hart, as listed
 * once in vcpu.c. */
struct vcpu_csrs {
    u64 sstatus; /* SPP, SPIE, FS: where SRET leads */
    u64 hstatus;
    u64 vsstatus, vsie, vstvec, vsscratch, vsepc, vscause, vstval, vsatp, vstimecmp, hvip,
        scounteren, senvcfg, henvcfg;
    u64 vsiselect; /* METAL_INTC_AIA */
};

struct vcpu {
    /* entry.S knows these by the offsets of asm.h. */
    u64 x[32]; /* x[0]: the hart's stack pointer while the guest runs */
    u64 pc;
    /* The rest is C's. */
    struct vcpu_csrs csr;
    u64 f[32], fcsr;
    u64 vector[4]; /* vstart, vl, vtype, vcsr */
    const struct metal_vcpu *config;
    u8 *registers; /* for vectors: METAL_VECTOR_BYTES behind the core; NULL: it may not use them */
    struct partition *partition;
    struct sbi *sbi; /* the partition's */
    struct hart *hart;
    u32 number;              /* within the partition */
    u32 state;               /* enum vcpu_state */
    _Atomic u32 requests;    /* REQUEST_... */
    u64 start_pc, start_arg; /* for REQUEST_START; set before it by whoever won the race in HSM */
    bool yielded;            /* gave the rest of its window away */
    bool suspended;          /* VCPU_WAITING since HSM's or SUSP's suspend */
    u32 steal_sequence;      /* of what is told at steal_gpa; SBI_STEAL_NOWHERE: of nothing */
    u64 steal_gpa, stolen;   /* ticks in which it was ready and did not have its hart */
    u64 away_since;          /* ticks: ready without its hart; 0: it has it, or does not want it */
    u64 budget_left, replenish_at; /* METAL_HART_PRIORITY, ticks */
    struct access access;          /* VCPU_ASKING: what is answered */
    _Atomic u64 asked;             /* vdev.c */
};

_Static_assert(offsetof(struct vcpu, x) == VCPU_X && offsetof(struct vcpu, pc) == VCPU_PC,
               "entry.S");

/* To an IMSIC the identity, to an ACLINT SSWI device the bit it raises. */
#define KICK 1

struct hart {
    const struct metal_hart *config;
    u32 index;
    struct vcpu *_Atomic current; /* NULL: idle */
    struct vcpu *vector; /* whose vector registers it holds, saved or not; NULL: nobody's */
    _Atomic u32 up;      /* runs the hypervisor */
    bool resched;        /* hart_next is due before a guest runs; its own alone */
    volatile u32 *kick;  /* where a store of KICK gets its attention; NULL: firmware does */
    u64 timer;           /* ticks: what stimecmp is */
    u64 released;        /* METAL_HART_CYCLIC: start of the last slot that began */
    struct cycle cycle;  /* METAL_HART_CYCLIC */
    u64 due;             /* ticks: when what was picked last was to begin */
    u64 charged;         /* METAL_HART_PRIORITY: until when budgets are charged */
};

enum partition_state { PARTITION_STOPPED, PARTITION_HALTING, PARTITION_LOADING, PARTITION_RUNNING };

/* A loading's progress: what is done next. */
struct load {
    u16 region, image; /* within the partition's */
    u64 done;          /* bytes of it */
    bool cold;
};

struct vplic;
struct aia_domain;

struct partition {
    const struct metal_partition *config;
    u32 index;
    u64 hgatp;
    struct sbi *sbi;
    struct vplic *vplic;       /* METAL_INTC_PLIC: its controller; else NULL */
    struct aia_domain *domain; /* METAL_INTC_AIA: likewise */
    _Atomic u32 state;         /* enum partition_state */
    _Atomic u32 halting;       /* vCPUs that have not answered REQUEST_HALT */
    _Atomic u32 then; /* what follows when all have: enum metal_action STOP, RESTART or WARM */
    _Atomic u32 restarts;
    _Atomic u64 watchdog_at;              /* ticks; UINT64_MAX: not running */
    _Atomic u32 rule_count[METAL_EVENTS]; /* halts by each rule */
    struct log_limit log_limit;
    _Atomic u64 halted_at; /* ticks: for the trace */
    struct load load;
};

struct metal {
    struct hart hart[METAL_HARTS_MAX];
    struct vcpu vcpu[METAL_VCPUS_MAX];
    struct partition partition[METAL_PARTITIONS_MAX];
    _Atomic u32 alive;         /* partitions that are not stopped, and one for the board's start */
    _Atomic u32 plan_next;     /* wanted from the next frame on */
    struct spinlock plan_lock; /* over: */
    struct {
        u64 start; /* of a frame */
        u32 plan;  /* that is in force in it, as the first hart that came there found */
    } decided[4];
    u32 decisions;
    u64 origin;     /* ticks: the first frame of all harts */
    _Atomic u32 go; /* origin is there, all harts are up */
};

extern struct metal metal;

/* The calling hart: tp holds one of its vCPUs, in HS-mode too. */
static inline struct hart *hart_self(void)
{
    return ((struct vcpu *)thread_pointer())->hart;
}

static inline struct vcpu *partition_vcpu(struct partition *p, u32 number)
{
    return &metal.vcpu[metal_config.vcpu_of[p->config->vcpu_first + number]];
}

#endif
