/* SPDX-License-Identifier: BSD-2-Clause */
/* IPI extension (SBI 2.0 chapter 7): software interrupts to other harts. */
#include "sbi/state.h"

#include "base/bits.h"

#define IPI_SEND 0

void sbi_send_ipis(struct sbi *sbi, u32 hart, u64 harts)
{
    for (u32 i = 0; i < sbi->hart_count; i++) {
        if (!(harts & BIT(i)))
            continue;
        pmu_count(sbi, hart, PMU_FW_IPI_SENT);
        pmu_count(sbi, i, PMU_FW_IPI_RECEIVED);
        sbi->platform->send_ipi(sbi->ctx, i);
    }
}

struct sbi_ret sbi_ipi_serve(struct sbi *sbi, u32 hart, const struct sbi_call *call)
{
    u64 harts;

    if (call->func != IPI_SEND)
        return sbi_fail(SBI_ERR_NOT_SUPPORTED);
    if (!sbi_hart_mask(sbi, call->arg[0], call->arg[1], &harts))
        return sbi_fail(SBI_ERR_INVALID_PARAM);
    sbi_send_ipis(sbi, hart, harts);
    return sbi_done(0);
}
