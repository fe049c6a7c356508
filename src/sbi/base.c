/* SPDX-License-Identifier: BSD-2-Clause */
/* Base extension (SBI 2.0 chapter 4): versions, identity, which extensions exist. */
#include "sbi/state.h"

#define SPEC_VERSION (UINT64_C(2) << 24 | 0)

/*
 * The specification's list gives small numbers out in order and has none for Cosm. "COSM" in ASCII
 * is far from all of them, so nobody's quirk for another implementation applies to this one.
 */
#define IMPL_ID      UINT64_C(0x434F534D)
#define IMPL_VERSION (UINT64_C(0) << 16 | 1) /* major, minor */

enum {
    BASE_SPEC_VERSION,
    BASE_IMPL_ID,
    BASE_IMPL_VERSION,
    BASE_PROBE_EXTENSION,
    BASE_MVENDORID,
    BASE_MARCHID,
    BASE_MIMPID,
};

struct sbi_ret sbi_base_serve(struct sbi *sbi, u32 hart, const struct sbi_call *call)
{
    switch (call->func) {
    case BASE_SPEC_VERSION:
        return sbi_done(SPEC_VERSION);
    case BASE_IMPL_ID:
        return sbi_done(IMPL_ID);
    case BASE_IMPL_VERSION:
        return sbi_done(IMPL_VERSION);
    case BASE_PROBE_EXTENSION:
        return sbi_done(sbi_probe(sbi, call->arg[0]));
    case BASE_MVENDORID:
        return sbi_done(sbi->platform->mvendorid);
    case BASE_MARCHID:
        return sbi_done(sbi->platform->marchid);
    case BASE_MIMPID:
        return sbi_done(sbi->platform->mimpid);
    default:
        return sbi_fail(SBI_ERR_NOT_SUPPORTED);
    }
}
