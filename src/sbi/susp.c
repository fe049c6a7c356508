/* SPDX-License-Identifier: BSD-2-Clause */
/* System suspend extension (SBI 2.0 chapter 13): to RAM, the one type that is not a platform's own.
 */
#include "sbi/state.h"

#define SUSP_SYSTEM_SUSPEND 0
#define SUSPEND_TO_RAM      0

/* Nobody else can start a hart meanwhile: all others are stopped. */
static bool is_last(const struct sbi *sbi, u32 hart)
{
    for (u32 i = 0; i < sbi->hart_count; i++) {
        if (i != hart &&
            atomic_load_explicit(&sbi->hart[i].state, memory_order_acquire) != HSM_STOPPED)
            return false;
    }
    return true;
}

struct sbi_ret sbi_susp_serve(struct sbi *sbi, u32 hart, const struct sbi_call *call)
{
    if (call->func != SUSP_SYSTEM_SUSPEND)
        return sbi_fail(SBI_ERR_NOT_SUPPORTED);
    if ((u32)call->arg[0] != SUSPEND_TO_RAM)
        return sbi_fail(SBI_ERR_INVALID_PARAM);
    if (!is_last(sbi, hart))
        return sbi_fail(SBI_ERR_DENIED);
    return hsm_suspend(sbi, hart, call, true);
}
