/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Steal-time accounting extension (SBI 2.0 chapter 16): a hart says where it wants to read how long
 * it was kept from running.
 */
#include "sbi/state.h"

#define STA_SET_SHMEM 0
#define SHMEM_BYTES   64 /* and its alignment */

bool sbi_sta_probe(const struct sbi *sbi, u64 id)
{
    return sbi->platform->steal_time != NULL;
}

struct sbi_ret sbi_sta_serve(struct sbi *sbi, u32 hart, const struct sbi_call *call)
{
    static const u64 zeros[SHMEM_BYTES / 8];
    u64 lo = call->arg[0], hi = call->arg[1], flags = call->arg[2];

    if (call->func != STA_SET_SHMEM)
        return sbi_fail(SBI_ERR_NOT_SUPPORTED);
    if (flags || ((lo & hi) != SBI_STEAL_NOWHERE && lo % SHMEM_BYTES))
        return sbi_fail(SBI_ERR_INVALID_PARAM);
    if ((lo & hi) != SBI_STEAL_NOWHERE &&
        (hi || !sbi->platform->memory_write(sbi->ctx, lo, zeros, SHMEM_BYTES)))
        return sbi_fail(SBI_ERR_INVALID_ADDRESS);
    sbi->platform->steal_time(sbi->ctx, hart, lo);
    return sbi_done(0);
}
