/* SPDX-License-Identifier: BSD-2-Clause */
/* Timer extension (SBI 2.0 chapter 6). */
#include "sbi/state.h"

#define TIME_SET_TIMER 0

void sbi_set_timer(struct sbi *sbi, u32 hart, u64 time)
{
    pmu_count(sbi, hart, PMU_FW_SET_TIMER);
    sbi->platform->set_timer(sbi->ctx, hart, time);
}

struct sbi_ret sbi_time_serve(struct sbi *sbi, u32 hart, const struct sbi_call *call)
{
    if (call->func != TIME_SET_TIMER)
        return sbi_fail(SBI_ERR_NOT_SUPPORTED);
    sbi_set_timer(sbi, hart, call->arg[0]);
    return sbi_done(0);
}
