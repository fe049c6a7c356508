/* SPDX-License-Identifier: BSD-2-Clause */
/* The SBI's state and what its extensions need of each other; private to src/sbi. */
#ifndef COSM_SBI_STATE_H
#define COSM_SBI_STATE_H

#include "sbi/sbi.h"

#include <stdatomic.h>

/* The list of extensions served; a program may have its own (src/metal). */
#ifndef SBI_EXTENSIONS
#define SBI_EXTENSIONS "sbi/extensions.def"
#endif

/* 0: a program whose list has no pmu counts nothing either. */
#ifndef SBI_PMU
#define SBI_PMU 1
#endif

#define SBI_HW_COUNTERS_MAX 32
#define SBI_FW_COUNTERS     16
#define SBI_COUNTERS_MAX    (SBI_HW_COUNTERS_MAX + SBI_FW_COUNTERS)

/* Hart states as HSM reports them. */
enum hsm_state {
    HSM_STARTED,
    HSM_STOPPED,
    HSM_START_PENDING,
    HSM_STOP_PENDING,
    HSM_SUSPENDED,
    HSM_SUSPEND_PENDING,
    HSM_RESUME_PENDING,
};

/* Firmware events that this SBI sees happen: SBI PMU firmware event codes. */
enum pmu_fw_event {
    PMU_FW_SET_TIMER = 5,
    PMU_FW_IPI_SENT,
    PMU_FW_IPI_RECEIVED,
    PMU_FW_FENCE_I_SENT,
    PMU_FW_FENCE_I_RECEIVED,
    PMU_FW_SFENCE_VMA_SENT,
    PMU_FW_SFENCE_VMA_RECEIVED,
    PMU_FW_SFENCE_VMA_ASID_SENT,
    PMU_FW_SFENCE_VMA_ASID_RECEIVED,
    PMU_FW_END,
};

/* A logical PMU counter of one hart; used by that hart's thread alone. */
struct pmu_counter {
    bool configured, started;
    u32 event; /* SBI event index: type << 16 | code */
    u64 base;  /* firmware: started: event total at value 0; stopped: the value */
};

struct sbi_hart {
    _Atomic u32 state; /* enum hsm_state */
    /* Where a non-retentive suspend resumes; used by the hart's thread alone. */
    bool resume_elsewhere;
    gpa_t resume_pc;
    u64 resume_opaque;
    bool ad_updating_locked; /* by FWFT, until the hart is started anew */
#if SBI_PMU
    /* Events since reset, those received included: other harts count them up. */
    _Atomic u64 event_total[PMU_FW_END];
    struct pmu_counter counter[SBI_COUNTERS_MAX];
#endif
};

struct sbi {
    const struct sbi_platform *platform;
    void *ctx;
    const struct log *log;
    struct log_limit unknown_limit;
    u32 hart_count;
    struct sbi_hart hart[]; /* hart_count */
};

static inline struct sbi_ret sbi_done(u64 value)
{
    return (struct sbi_ret){.error = SBI_SUCCESS, .value = value};
}

static inline struct sbi_ret sbi_fail(enum sbi_error error)
{
    return (struct sbi_ret){.error = error};
}

/*
 * Each extension: serve answers one call of hart; probe, where a list has it as optional, says
 * whether extension id (within the line's range) is available with this platform.
 */
#define SBI_EXTENSION(name, id) \
    struct sbi_ret sbi_##name##_serve(struct sbi *sbi, u32 hart, const struct sbi_call *call);
#define SBI_SELDOM(name, eid) \
    COLD SBI_EXTENSION(name, eid) bool sbi_##name##_probe(const struct sbi *sbi, u64 id);
#define SBI_OPTIONAL(name, first, last) SBI_SELDOM(name, first)
#include SBI_EXTENSIONS
#undef SBI_EXTENSION
#undef SBI_SELDOM
#undef SBI_OPTIONAL

/* sbi.c: is extension id served here? */
bool sbi_probe(const struct sbi *sbi, u64 id);
/*
 * sbi.c: the harts that hart mask and base name (base ~0: all), less those that are stopped: bit n
 * is hart n. False: the mask names a hart that does not exist.
 */
MUST_CHECK bool sbi_hart_mask(const struct sbi *sbi, u64 mask, u64 base, u64 *harts);

/* time.c, ipi.c, rfence.c: what the legacy extension shares. */
void sbi_set_timer(struct sbi *sbi, u32 hart, u64 time);
void sbi_send_ipis(struct sbi *sbi, u32 hart, u64 harts);
void sbi_send_fence(struct sbi *sbi, u32 hart, u64 harts, struct sbi_fence_range range);

/* An event happened on hart. Any thread. */
static inline void pmu_count(struct sbi *sbi, u32 hart, enum pmu_fw_event event)
{
#if SBI_PMU
    /* Only the number matters, no other data depends on it: relaxed. */
    atomic_fetch_add_explicit(&sbi->hart[hart].event_total[event], 1, memory_order_relaxed);
#endif
}

/*
 * hsm.c: the calling hart suspends until an interrupt wakes it. elsewhere: it then goes on at the
 * call's second argument, with its third one; else behind the call.
 */
struct sbi_ret hsm_suspend(struct sbi *sbi, u32 hart, const struct sbi_call *call, bool elsewhere);
/* hsm.c: hart, which is not STARTED, executes an ecall, so whatever was pending for it to run is
 * over. */
void hsm_note_running(struct sbi *sbi, u32 hart);

#endif
