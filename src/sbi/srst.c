/* SPDX-License-Identifier: BSD-2-Clause */
/* System reset extension (SBI 2.0 chapter 10). */
#include "sbi/state.h"

#define SRST_RESET 0

enum { REASON_NONE, REASON_SYSTEM_FAILURE };

struct sbi_ret sbi_srst_serve(struct sbi *sbi, u32 hart, const struct sbi_call *call)
{
    /* Both are 32-bit parameters: what stands above is not looked at. */
    u32 type = (u32)call->arg[0], reason = (u32)call->arg[1];

    if (call->func != SRST_RESET)
        return sbi_fail(SBI_ERR_NOT_SUPPORTED);
    if (type > SBI_RESET_WARM_REBOOT || reason > REASON_SYSTEM_FAILURE)
        return sbi_fail(SBI_ERR_INVALID_PARAM);
    sbi->platform->system_reset(sbi->ctx, (enum sbi_reset_type)type,
                                reason == REASON_SYSTEM_FAILURE);
    return sbi_done(0);
}
