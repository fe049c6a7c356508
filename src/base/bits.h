/* SPDX-License-Identifier: BSD-2-Clause */
/* Bit fields, masks, alignment and sign extension on 64-bit values. */
#ifndef COSM_BASE_BITS_H
#define COSM_BASE_BITS_H

#include "base/types.h"

#define BIT(n) (UINT64_C(1) << (n))

/* Mask of bits hi..lo inclusive, 63 >= hi >= lo. */
#define GENMASK(hi, lo) ((~UINT64_C(0) >> (63 - (hi))) & (~UINT64_C(0) << (lo)))

/* Bits lo..lo+len-1 of v, right-aligned; 1 <= len <= 63. */
static inline u64 bits_get(u64 v, unsigned lo, unsigned len)
{
    return (v >> lo) & (BIT(len) - 1);
}

/* v with the bits of mask taken from bits. */
static inline u64 bits_merge(u64 v, u64 mask, u64 bits)
{
    return (v & ~mask) | (bits & mask);
}

/* Sign-extends the low len bits of v; 1 <= len <= 64. */
static inline u64 sext(u64 v, unsigned len)
{
    return (u64)((s64)(v << (64 - len)) >> (64 - len));
}

static inline u64 align_down(u64 v, u64 align)
{
    return v & ~(align - 1);
}

/* Wraps at 2^64: callers with untrusted v use checked_align_up. */
static inline u64 align_up(u64 v, u64 align)
{
    return (v + align - 1) & ~(align - 1);
}

static inline bool is_pow2(u64 v)
{
    return v && !(v & (v - 1));
}

/* Floor of log2; v must not be 0. */
static inline unsigned log2_floor(u64 v)
{
    return 63u - (unsigned)__builtin_clzll(v);
}

#endif
