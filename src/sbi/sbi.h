/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Supervisor Binary Interface, served to S-mode software by a hypervisor or by the simulated
 * platform itself (RISC-V SBI Specification 2.0, FWFT of 3.0). Freestanding; what it does to the
 * platform goes through struct sbi_platform.
 */
#ifndef COSM_SBI_SBI_H
#define COSM_SBI_SBI_H

#include "base/log.h"
#include "base/types.h"

#define SBI_HARTS_MAX 64

#define SBI_STEAL_NOWHERE UINT64_MAX

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
    SBI_ERR_DENIED_LOCKED = -14, /* SBI 3.0 */
};

enum sbi_reset_type { SBI_RESET_SHUTDOWN, SBI_RESET_COLD_REBOOT, SBI_RESET_WARM_REBOOT };

enum sbi_fence {
    SBI_FENCE_I,
    SBI_FENCE_VMA,      /* start, size */
    SBI_FENCE_VMA_ASID, /* start, size, asid */
};

/* A remote fence; start, size and asid as far as kind uses them. */
struct sbi_fence_range {
    enum sbi_fence kind;
    u64 start; /* gva, bytes */
    u64 size;  /* bytes */
    u64 asid;
};

/*
 * What the SBI asks of its platform. Hart numbers are 0..hart_count-1, and a guest's hart ids are
 * the same. Called on the calling hart's own thread, without a lock held; several harts call at
 * once. An op marked optional may be NULL: what needs it then answers NOT_SUPPORTED and does not
 * probe.
 */
struct sbi_platform {
    /*
     * Guest-physical memory as the guest's own software sees it: is all of [gpa, gpa + len) RAM
     * that can be written; copies of it. False: it is not, nothing was copied.
     */
    bool (*memory_is_valid)(void *ctx, gpa_t gpa, u64 len);
    bool (*memory_read)(void *ctx, gpa_t gpa, void *buf, size_t len);
    bool (*memory_write)(void *ctx, gpa_t gpa, const void *buf, size_t len);
    void (*set_timer)(void *ctx, u32 hart, u64 time); /* next S timer interrupt; clears STIP */
    void (*send_ipi)(void *ctx, u32 hart);            /* sets SSIP */
    bool (*clear_ipi)(void *ctx, u32 hart);           /* optional; clears SSIP, true: it was set */
    /*
     * Done on every hart of mask (bit n: hart n; hart, the caller, perhaps among them) before it
     * returns.
     * range is normalized: size UINT64_MAX with start 0 for all addresses, never 0, never wraps.
     */
    void (*remote_fence)(void *ctx, u32 hart, u64 mask, const struct sbi_fence_range *range);
    /*
     * Starts a stopped hart in S-mode at pc with a0 = hart, a1 = opaque, satp = 0, SIE = 0 and
     * nothing cached of earlier translations. Once it runs, the platform calls sbi_hart_started.
     */
    void (*hart_start)(void *ctx, u32 hart, gpa_t pc, u64 opaque);
    /* The calling hart stops after the ecall; then the platform calls sbi_hart_stopped. */
    void (*hart_stop)(void *ctx, u32 hart);
    /*
     * After the ecall the calling hart waits as WFI does, until an interrupt is pending and enabled
     * in sie (whatever SIE says); then the platform calls sbi_hart_resumed on the hart's thread.
     */
    void (*hart_suspend)(void *ctx, u32 hart);
    /* From within sbi_hart_resumed, after a non-retentive suspend; registers as hart_start. */
    void (*hart_resume)(void *ctx, u32 hart, gpa_t pc, u64 opaque);
    /*
     * Optional: how long hart has been kept from running is to be told in the struct of SBI 2.0
     * section 16.1 at gpa, 64 bytes of RAM, zeroed; SBI_STEAL_NOWHERE: no longer.
     */
    void (*steal_time)(void *ctx, u32 hart, gpa_t gpa);
    void (*system_reset)(void *ctx, enum sbi_reset_type type, bool failed); /* after the ecall */
    size_t (*console_write)(void *ctx, const u8 *bytes, size_t len);        /* bytes taken */
    /* Optional: the calling hart is due for something else; calls that may be done in part end. */
    bool (*is_pressed)(void *ctx);
    size_t (*console_read)(void *ctx, u8 *bytes, size_t len); /* bytes taken, 0: none waiting */
    /* Optional: reads S-mode virtual memory as the calling hart's loads would; false: a fault. */
    bool (*read_virtual)(void *ctx, u32 hart, gva_t gva, void *buf, size_t len);
    /*
     * Optional: hardware updates of A and D on the calling hart: switches them to *set unless that
     * is NULL, and says in *on how they are then. False: the hart cannot do them.
     */
    bool (*ad_updating)(void *ctx, u32 hart, const bool *set, bool *on);
    /*
     * Counters of the calling hart, index < counter_count and not 1: CSR number 0xC00 + index. May
     * be NULL if counter_count is 0. A platform lets cycle and instret run from reset on.
     */
    u64 (*counter_read)(void *ctx, u32 hart, u32 index);
    void (*counter_write)(void *ctx, u32 hart, u32 index, u64 value);
    /*
     * Chooses what counter index >= 3 counts (event: SBI PMU event index, data: for raw events,
     * inhibit: bits of SBI_PMU_INH_*) and leaves it stopped. False: it cannot count that.
     */
    bool (*counter_config)(void *ctx, u32 hart, u32 index, u32 event, u64 data, u32 inhibit);
    void (*counter_start)(void *ctx, u32 hart, u32 index); /* from 3 on: may raise LCOFI */
    void (*counter_stop)(void *ctx, u32 hart, u32 index);
    u64 mvendorid, marchid, mimpid;
    u32 counter_count; /* hardware counters: cycle, time (not offered), instret, hpm3..; <= 32 */
};

/* counter_config's inhibit: do not count in these modes (hints, SBI 2.0 section 11.3). */
#define SBI_PMU_INH_U 0x20u
#define SBI_PMU_INH_S 0x40u
#define SBI_PMU_INH_M 0x80u

/* Registers a0..a7 of an ecall, as the SBI calling convention has them (SBI 2.0 chapter 3). */
struct sbi_call {
    u64 arg[6];
    u64 func; /* a6 */
    u64 ext;  /* a7 */
};

struct sbi_ret {
    s64 error; /* a0: an enum sbi_error; of a legacy call, whatever it returns */
    u64 value; /* a1; not of a legacy call, which leaves a1 as it was */
};

/* Is extension ext one of the legacy ones (SBI 2.0 chapter 5)? */
static inline bool sbi_is_legacy(u64 ext)
{
    return ext <= 0xf;
}

struct sbi; /* state: HSM states, PMU, firmware counters; size from sbi_size */

/*
 * Memory for the state comes from the caller (sbi_size bytes, aligned to 16), zeroed or not.
 * platform, ctx and log outlive it. Hart boot_hart is STARTED, all others STOPPED.
 */
size_t sbi_size(u32 hart_count);
void sbi_init(struct sbi *sbi, const struct sbi_platform *platform, void *ctx,
              const struct log *log, u32 hart_count, u32 boot_hart);

/* Serves one ecall of hart, on its thread. Harts call concurrently. */
struct sbi_ret sbi_ecall(struct sbi *sbi, u32 hart, const struct sbi_call *call);

/*
 * The platform tells that a hart runs after hart_start, has stopped after hart_stop (it can be
 * started again from now on), or woke after hart_suspend. Any thread, but for resumed.
 */
void sbi_hart_started(struct sbi *sbi, u32 hart);
void sbi_hart_stopped(struct sbi *sbi, u32 hart);
void sbi_hart_resumed(struct sbi *sbi, u32 hart);

#endif
