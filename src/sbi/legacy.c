/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Legacy extensions (SBI 2.0 chapter 5): the extension id alone chooses the function, and only a0
 * returns. Hart masks come by virtual address, 0 meaning all harts; without the platform's
 * read_virtual the four functions that need it do not exist.
 */
#include "sbi/state.h"

#include "base/endian.h"

enum {
    LEGACY_SET_TIMER,
    LEGACY_PUTCHAR,
    LEGACY_GETCHAR,
    LEGACY_CLEAR_IPI,
    LEGACY_SEND_IPI,
    LEGACY_FENCE_I,
    LEGACY_SFENCE_VMA,
    LEGACY_SFENCE_VMA_ASID,
    LEGACY_SHUTDOWN,
};

bool sbi_legacy_probe(const struct sbi *sbi, u64 id)
{
    switch (id) {
    case LEGACY_CLEAR_IPI:
        return sbi->platform->clear_ipi != NULL;
    case LEGACY_SEND_IPI:
    case LEGACY_FENCE_I:
    case LEGACY_SFENCE_VMA:
    case LEGACY_SFENCE_VMA_ASID:
        return sbi->platform->read_virtual != NULL;
    default:
        return id <= LEGACY_SHUTDOWN;
    }
}

static enum sbi_error mask_load(struct sbi *sbi, u32 hart, gva_t at, u64 *harts)
{
    u8 bytes[8];

    if (at && !sbi->platform->read_virtual(sbi->ctx, hart, at, bytes, sizeof(bytes)))
        return SBI_ERR_INVALID_ADDRESS;
    if (!sbi_hart_mask(sbi, at ? le64_load(bytes) : 0, at ? 0 : UINT64_MAX, harts))
        return SBI_ERR_INVALID_PARAM;
    return SBI_SUCCESS;
}

static struct sbi_ret send_masked(struct sbi *sbi, u32 hart, const struct sbi_call *call)
{
    struct sbi_fence_range range = {.start = call->arg[1], .size = call->arg[2]};
    u64 harts;
    enum sbi_error error = mask_load(sbi, hart, call->arg[0], &harts);

    if (error != SBI_SUCCESS)
        return sbi_fail(error);
    switch (call->ext) {
    case LEGACY_SEND_IPI:
        sbi_send_ipis(sbi, hart, harts);
        return sbi_done(0);
    case LEGACY_FENCE_I:
        range.kind = SBI_FENCE_I;
        break;
    case LEGACY_SFENCE_VMA:
        range.kind = SBI_FENCE_VMA;
        break;
    default:
        range.kind = SBI_FENCE_VMA_ASID;
        range.asid = call->arg[3];
        break;
    }
    sbi_send_fence(sbi, hart, harts, range);
    return sbi_done(0);
}

struct sbi_ret sbi_legacy_serve(struct sbi *sbi, u32 hart, const struct sbi_call *call)
{
    u8 byte = (u8)call->arg[0];

    switch (call->ext) {
    case LEGACY_SET_TIMER:
        sbi_set_timer(sbi, hart, call->arg[0]);
        return sbi_done(0);
    case LEGACY_PUTCHAR:
        sbi->platform->console_write(sbi->ctx, &byte, 1);
        return sbi_done(0);
    case LEGACY_GETCHAR:
        /* The byte comes back in a0, -1 stands for none. */
        return (struct sbi_ret){.error = sbi->platform->console_read(sbi->ctx, &byte, 1) ? (s64)byte
                                                                                         : -1};
    case LEGACY_CLEAR_IPI:
        return (struct sbi_ret){.error = sbi->platform->clear_ipi(sbi->ctx, hart)};
    case LEGACY_SHUTDOWN:
        sbi->platform->system_reset(sbi->ctx, SBI_RESET_SHUTDOWN, false);
        return sbi_done(0);
    default:
        return send_masked(sbi, hart, call);
    }
}
