/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Supervisor Binary Interface, served to S-mode software by a hypervisor or by the simulated
 * platform itself (RISC-V SBI Specification 2.0). Freestanding; what it does to the platform goes
 * through struct sbi_platform.
 */
#ifndef COSM_SBI_SBI_H
#define COSM_SBI_SBI_H

#include "base/log.h"
#include "port/gmem.h"
#include "port/lock.h"

#define SBI_HARTS_MAX 64

enum sbi_error {
    SBI_SUCCESS = 0,
    SBI_ERR_FAILED = -1,
    SBI_ERR_NOT_SUPPORTED = -2,
    SBI_ERR_INVALID_PARAM = -3,
    SBI_ERR_DENIED = -4,
    SBI_ERR_INVALID_ADDRESS = -5,
    SBI_ERR_ALREADY_AVAILABLE = -6,
    SBI_ERR_ALREADY_STARTED = -7,
    SBI_ERR_ALREADY_STOPPED = -8,
    SBI_ERR_NO_SHMEM = -9,
};

enum sbi_reset_type { SBI_RESET_SHUTDOWN, SBI_RESET_COLD_REBOOT, SBI_RESET_WARM_REBOOT };

enum sbi_fence {
    SBI_FENCE_I,
    SBI_FENCE_VMA,      /* start, size */
    SBI_FENCE_VMA_ASID, /* start, size, asid */
};

/* A remote fence. size 0 with start 0, or size UINT64_MAX: all addresses. */
struct sbi_fence_range {
    enum sbi_fence kind;
    u64 start; /* gva, bytes */
    u64 size;  /* bytes */
    u64 asid;
};

/*
 * What the SBI asks of its platform. Hart numbers are 0..hart_count-1. Called on the calling
 * hart's own thread without the sbi's lock; ops on another hart may be called at any time.
 */
struct sbi_platform {
    void (*set_timer)(void *ctx, u32 hart, u64 time); /* next S timer interrupt; clears STIP */
    void (*send_ipi)(void *ctx, u32 hart);            /* sets SSIP */
    /* Done on every hart of mask (bit n: hart n), the caller included, before it returns. */
    void (*remote_fence)(void *ctx, u64 mask, const struct sbi_fence_range *range);
    /* Starts a stopped hart in S-mode at pc with a0 = hart, a1 = opaque, satp = 0, SIE = 0. */
    void (*hart_start)(void *ctx, u32 hart, gpa_t pc, u64 opaque);
    void (*hart_stop)(void *ctx, u32 hart); /* the calling hart; takes effect after the ecall */
    /* The calling hart sleeps until an enabled interrupt pends (WFI without needing SIE). */
    void (*hart_suspend)(void *ctx, u32 hart);
    void (*system_reset)(void *ctx, enum sbi_reset_type type, bool failed); /* after the ecall */
    void (*console_write)(void *ctx, const u8 *bytes, size_t len);
    size_t (*console_read)(void *ctx, u8 *bytes, size_t len); /* bytes taken, 0: none waiting */
    /* Counters of the calling hart: CSR number 0xC00 + index for index < 32. */
    u64 (*counter_read)(void *ctx, u32 hart, u32 index);
    void (*counter_write)(void *ctx, u32 hart, u32 index, u64 value);
    /* Lets counter index count (and raise LCOFI on overflow) or not; event: SBI PMU event code. */
    bool (*counter_start)(void *ctx, u32 hart, u32 index, u64 event);
    void (*counter_stop)(void *ctx, u32 hart, u32 index);
    u64 mvendorid, marchid, mimpid;
    u32 counter_count; /* hardware counters: cycle, time (unused), instret, hpm3.. */
    u32 cbom_block;    /* unused by base; kept for FWFT */
};

/* Registers of an ecall as the SBI calling convention has them. */
struct sbi_call {
    u64 ext;    /* a7 */
    u64 func;   /* a6 */
    u64 arg[6]; /* a0..a5 */
    u64 error;  /* out: a0, an enum sbi_error */
    u64 value;  /* out: a1 */
    bool legacy; /* out: a1 stays as it was (legacy extensions return in a0 alone) */
};

struct sbi; /* state: HSM states, PMU, firmware counters; size from sbi_size */

/*
 * Memory for the state comes from the caller (sbi_size bytes, aligned to 16), zeroed or not.
 * platform, ctx, gmem and log outlive it. Hart boot_hart is STARTED, all others STOPPED.
 */
size_t sbi_size(void);
void sbi_init(struct sbi *sbi, const struct sbi_platform *platform, void *ctx,
              const struct gmem *gmem, const struct log *log, u32 hart_count, u32 boot_hart);

/* Serves one ecall of hart, on its thread. Harts call concurrently. */
void sbi_ecall(struct sbi *sbi, u32 hart, struct sbi_call *call);

/* The platform tells that hart_stop took effect / a suspended hart woke. */
void sbi_hart_stopped(struct sbi *sbi, u32 hart);
void sbi_hart_resumed(struct sbi *sbi, u32 hart);

#endif
