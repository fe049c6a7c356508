/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Firmware features extension (SBI 3.0 chapter 18): what a hart does in hardware for S-mode.
 *
 * Misaligned accesses are always delegated, as there is nobody here to emulate them: that feature
 * reads 1 and is locked. Hardware updates of A and D (Svadu) start switched off, and are the
 * hart's to switch until it locks them.
 */
#include "sbi/state.h"

enum { FWFT_SET, FWFT_GET };

enum {
    FEATURE_MISALIGNED_DELEG,
    FEATURE_LANDING_PAD,
    FEATURE_SHADOW_STACK,
    FEATURE_DOUBLE_TRAP,
    FEATURE_PTE_AD_UPDATING,
    FEATURE_POINTER_MASKING,
    FEATURE_END, /* those that follow are reserved or a platform's own */
};

#define FLAG_LOCK 1u

/* The feature's value; an error if it has none. */
static struct sbi_ret feature_get(struct sbi *sbi, u32 hart, u32 feature)
{
    bool on;

    if (feature >= FEATURE_END)
        return sbi_fail(SBI_ERR_DENIED);
    if (feature == FEATURE_MISALIGNED_DELEG)
        return sbi_done(1);
    if (feature == FEATURE_PTE_AD_UPDATING && sbi->platform->ad_updating &&
        sbi->platform->ad_updating(sbi->ctx, hart, NULL, &on))
        return sbi_done(on);
    return sbi_fail(SBI_ERR_NOT_SUPPORTED);
}

static struct sbi_ret feature_set(struct sbi *sbi, u32 hart, u32 feature, u64 value, u64 flags)
{
    struct sbi_hart *h = &sbi->hart[hart];
    struct sbi_ret now = feature_get(sbi, hart, feature);
    bool on = value;

    if (now.error)
        return now;
    if (value > 1 || flags & ~(u64)FLAG_LOCK)
        return sbi_fail(SBI_ERR_INVALID_PARAM);
    if (feature == FEATURE_MISALIGNED_DELEG || h->ad_updating_locked)
        return value == now.value ? sbi_done(0) : sbi_fail(SBI_ERR_DENIED_LOCKED);
    if (!sbi->platform->ad_updating(sbi->ctx, hart, &on, &on))
        return sbi_fail(SBI_ERR_NOT_SUPPORTED);
    h->ad_updating_locked = flags & FLAG_LOCK;
    return sbi_done(0);
}

struct sbi_ret sbi_fwft_serve(struct sbi *sbi, u32 hart, const struct sbi_call *call)
{
    u32 feature = (u32)call->arg[0];

    switch (call->func) {
    case FWFT_SET:
        return feature_set(sbi, hart, feature, call->arg[1], call->arg[2]);
    case FWFT_GET:
        return feature_get(sbi, hart, feature);
    default:
        return sbi_fail(SBI_ERR_NOT_SUPPORTED);
    }
}
