/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RFENCE extension (SBI 2.0 chapter 8). The hfence functions need the hypervisor extension and are
 * not supported. Stopped harts are left out: they start with nothing cached.
 */
#include "sbi/state.h"

#include "base/checked.h"

enum { RFENCE_FENCE_I, RFENCE_SFENCE_VMA, RFENCE_SFENCE_VMA_ASID };

static const struct {
    enum pmu_fw_event sent, received;
} fence_events[] = {
    [SBI_FENCE_I] = {PMU_FW_FENCE_I_SENT, PMU_FW_FENCE_I_RECEIVED},
    [SBI_FENCE_VMA] = {PMU_FW_SFENCE_VMA_SENT, PMU_FW_SFENCE_VMA_RECEIVED},
    [SBI_FENCE_VMA_ASID] = {PMU_FW_SFENCE_VMA_ASID_SENT, PMU_FW_SFENCE_VMA_ASID_RECEIVED},
};

/* False: no address is fenced. A range that wraps becomes all addresses, which is never wrong. */
static bool range_normalize(struct sbi_fence_range *range)
{
    u64 end;

    if (range->kind == SBI_FENCE_I || (!range->start && !range->size) ||
        !checked_add(range->start, range->size, &end)) {
        range->start = 0;
        range->size = UINT64_MAX;
    }
    return range->size != 0;
}

void sbi_send_fence(struct sbi *sbi, u32 hart, u64 harts, struct sbi_fence_range range)
{
    if (!harts || !range_normalize(&range))
        return;
    for (u32 i = 0; i < sbi->hart_count; i++) {
        if (!(harts & BIT(i)))
            continue;
        pmu_count(sbi, hart, fence_events[range.kind].sent);
        pmu_count(sbi, i, fence_events[range.kind].received);
    }
    sbi->platform->remote_fence(sbi->ctx, hart, harts, &range);
}

struct sbi_ret sbi_rfence_serve(struct sbi *sbi, u32 hart, const struct sbi_call *call)
{
    struct sbi_fence_range range = {0};
    u64 harts;

    switch (call->func) {
    case RFENCE_FENCE_I:
        range.kind = SBI_FENCE_I;
        break;
    case RFENCE_SFENCE_VMA_ASID:
        range.kind = SBI_FENCE_VMA_ASID;
        range.start = call->arg[2];
        range.size = call->arg[3];
        range.asid = call->arg[4];
        break;
    case RFENCE_SFENCE_VMA:
        range.kind = SBI_FENCE_VMA;
        range.start = call->arg[2];
        range.size = call->arg[3];
        break;
    default:
        return sbi_fail(SBI_ERR_NOT_SUPPORTED);
    }
    if (!sbi_hart_mask(sbi, call->arg[0], call->arg[1], &harts))
        return sbi_fail(SBI_ERR_INVALID_PARAM);
    sbi_send_fence(sbi, hart, harts, range);
    return sbi_done(0);
}
