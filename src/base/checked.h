/* SPDX-License-Identifier: BSD-2-Clause */
/* Arithmetic on sizes and offsets that a guest or a file controls: false means overflow. */
#ifndef COSM_BASE_CHECKED_H
#define COSM_BASE_CHECKED_H

#include "base/bits.h"

static inline MUST_CHECK bool checked_add(u64 a, u64 b, u64 *sum)
{
    return !__builtin_add_overflow(a, b, sum);
}

static inline MUST_CHECK bool checked_mul(u64 a, u64 b, u64 *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

static inline MUST_CHECK bool checked_align_up(u64 v, u64 align, u64 *aligned)
{
    u64 sum;

    if (!checked_add(v, align - 1, &sum))
        return false;
    *aligned = align_down(sum, align);
    return true;
}

/* Does [start, start + len) lie within [base, base + size)? Never overflows. */
static inline bool range_within(u64 start, u64 len, u64 base, u64 size)
{
    return start >= base && start - base <= size && len <= size - (start - base);
}

/* Do [a, a + alen) and [b, b + blen) share a byte? Neither range may wrap. */
static inline bool range_overlaps(u64 a, u64 alen, u64 b, u64 blen)
{
    return alen && blen && (a <= b ? b - a < alen : a - b < blen);
}

#endif
