/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hart state management (SBI 2.0 chapter 9).
 *
 * Every transition is one compare-and-swap, so of several harts that start the same one exactly
 * one wins, and who loses reports the state it lost to:
 *
 *     STOPPED -> START_PENDING   hart_start, on the starter's thread
 *     START_PENDING -> STARTED   sbi_hart_started, or the hart's first ecall
 *     STARTED -> STOP_PENDING    hart_stop, on the hart's own thread
 *     STOP_PENDING -> STOPPED    sbi_hart_stopped, when its thread no longer runs the guest
 *     STARTED -> SUSPENDED       hart_suspend, on the hart's own thread
 *     SUSPENDED -> RESUME_PENDING -> STARTED   sbi_hart_resumed, on the hart's own thread
 */
#include "sbi/state.h"

enum { HSM_HART_START, HSM_HART_STOP, HSM_HART_GET_STATUS, HSM_HART_SUSPEND };

/* Suspend types; bit 31 stands for "state is lost, resume at an address". */
#define SUSPEND_RETENTIVE     0x00000000u
#define SUSPEND_NON_RETENTIVE 0x80000000u
#define SUSPEND_PLATFORM      0x70000000u /* any of these bits: the platform's own */

static bool state_change(struct sbi *sbi, u32 hart, u32 from, u32 to)
{
    /* Acquire and release: what a hart did before it stopped is seen by who starts it. */
    return atomic_compare_exchange_strong_explicit(&sbi->hart[hart].state, &from, to,
                                                   memory_order_acq_rel, memory_order_acquire);
}

static u32 state_get(struct sbi *sbi, u32 hart)
{
    return atomic_load_explicit(&sbi->hart[hart].state, memory_order_acquire);
}

/* Can a hart begin to execute here? RAM, writable, at an even address. */
static bool entry_is_valid(const struct sbi *sbi, gpa_t pc)
{
    return pc % 2 == 0 && sbi->platform->memory_is_valid(sbi->ctx, pc, 2);
}

void hsm_note_running(struct sbi *sbi, u32 hart)
{
    u32 state = state_get(sbi, hart);

    if (state == HSM_START_PENDING || state == HSM_SUSPENDED)
        state_change(sbi, hart, state, HSM_STARTED);
}

void sbi_hart_started(struct sbi *sbi, u32 hart)
{
    state_change(sbi, hart, HSM_START_PENDING, HSM_STARTED);
}

void sbi_hart_stopped(struct sbi *sbi, u32 hart)
{
    state_change(sbi, hart, HSM_STOP_PENDING, HSM_STOPPED);
}

void sbi_hart_resumed(struct sbi *sbi, u32 hart)
{
    struct sbi_hart *h = &sbi->hart[hart];

    if (!state_change(sbi, hart, HSM_SUSPENDED, HSM_RESUME_PENDING))
        return;
    if (h->resume_elsewhere)
        sbi->platform->hart_resume(sbi->ctx, hart, h->resume_pc, h->resume_opaque);
    h->resume_elsewhere = false;
    state_change(sbi, hart, HSM_RESUME_PENDING, HSM_STARTED);
}

static struct sbi_ret hart_start(struct sbi *sbi, const struct sbi_call *call)
{
    u64 target = call->arg[0];

    if (target >= sbi->hart_count)
        return sbi_fail(SBI_ERR_INVALID_PARAM);
    if (!entry_is_valid(sbi, call->arg[1]))
        return sbi_fail(SBI_ERR_INVALID_ADDRESS);
    if (!state_change(sbi, (u32)target, HSM_STOPPED, HSM_START_PENDING)) {
        /* On its way to STOPPED it is not available, but may be if the caller asks again. */
        return sbi_fail(state_get(sbi, (u32)target) == HSM_STOP_PENDING
                            ? SBI_ERR_FAILED
                            : SBI_ERR_ALREADY_AVAILABLE);
    }
    sbi->hart[target].ad_updating_locked = false;
    sbi->platform->hart_start(sbi->ctx, (u32)target, call->arg[1], call->arg[2]);
    return sbi_done(0);
}

static struct sbi_ret hart_stop(struct sbi *sbi, u32 hart)
{
    if (!state_change(sbi, hart, HSM_STARTED, HSM_STOP_PENDING))
        return sbi_fail(SBI_ERR_FAILED);
    sbi->platform->hart_stop(sbi->ctx, hart);
    return sbi_done(0);
}

static struct sbi_ret hart_get_status(struct sbi *sbi, u64 target)
{
    if (target >= sbi->hart_count)
        return sbi_fail(SBI_ERR_INVALID_PARAM);
    return sbi_done(state_get(sbi, (u32)target));
}

static enum sbi_error suspend_type_check(u32 type)
{
    if ((type & ~SUSPEND_NON_RETENTIVE) == SUSPEND_RETENTIVE)
        return SBI_SUCCESS;
    return type & SUSPEND_PLATFORM ? SBI_ERR_NOT_SUPPORTED : SBI_ERR_INVALID_PARAM;
}

struct sbi_ret hsm_suspend(struct sbi *sbi, u32 hart, const struct sbi_call *call, bool elsewhere)
{
    struct sbi_hart *h = &sbi->hart[hart];

    if (elsewhere && !entry_is_valid(sbi, call->arg[1]))
        return sbi_fail(SBI_ERR_INVALID_ADDRESS);
    h->resume_elsewhere = elsewhere;
    h->resume_pc = call->arg[1];
    h->resume_opaque = call->arg[2];
    if (!state_change(sbi, hart, HSM_STARTED, HSM_SUSPENDED))
        return sbi_fail(SBI_ERR_FAILED);
    sbi->platform->hart_suspend(sbi->ctx, hart);
    return sbi_done(0);
}

static struct sbi_ret hart_suspend(struct sbi *sbi, u32 hart, const struct sbi_call *call)
{
    u32 type = (u32)call->arg[0];
    enum sbi_error error = suspend_type_check(type);

    if (error != SBI_SUCCESS)
        return sbi_fail(error);
    return hsm_suspend(sbi, hart, call, type == SUSPEND_NON_RETENTIVE);
}

struct sbi_ret sbi_hsm_serve(struct sbi *sbi, u32 hart, const struct sbi_call *call)
{
    switch (call->func) {
    case HSM_HART_START:
        return hart_start(sbi, call);
    case HSM_HART_STOP:
        return hart_stop(sbi, hart);
    case HSM_HART_GET_STATUS:
        return hart_get_status(sbi, call->arg[0]);
    case HSM_HART_SUSPEND:
        return hart_suspend(sbi, hart, call);
    default:
        return sbi_fail(SBI_ERR_NOT_SUPPORTED);
    }
}
