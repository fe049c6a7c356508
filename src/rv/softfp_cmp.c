/* SPDX-License-Identifier: BSD-2-Clause */
/* Floating-point comparison, minimum, maximum and classification. */
#include "rv/softfp.h"

#include "rv/softfp_int.h"

/* a < b for encodings that are not NaN, with -0 below +0: sign-magnitude order. */
FP_CORE bool fp_is_below(u64 a, u64 b, struct fp_format f)
{
    bool sign = fp_sign(a, f);

    if (sign != fp_sign(b, f))
        return sign;
    return a != b && sign != (a < b);
}

FP_CORE bool fp_has_nan(u64 a, u64 b, bool quiet, struct fp_format f, u32 *flags)
{
    if (LIKELY(!fp_is_nan(a, f) && !fp_is_nan(b, f)))
        return false;
    if (!quiet || fp_is_snan(a, f) || fp_is_snan(b, f))
        *flags |= FP_NV;
    return true;
}

FP_CORE bool fp_are_zero(u64 a, u64 b, struct fp_format f)
{
    return !((a | b) & ~fp_sign_bit(f));
}

/* Is a before b, where or_equal admits equality too? */
FP_CORE u64 fp_less(u64 a, u64 b, bool or_equal, bool quiet, struct fp_format f, u32 *flags)
{
    a &= fp_mask(f);
    b &= fp_mask(f);
    if (fp_has_nan(a, b, quiet, f, flags))
        return 0;
    if (a == b || fp_are_zero(a, b, f))
        return or_equal;
    return fp_is_below(a, b, f);
}

FP_CORE u64 fp_eq(u64 a, u64 b, struct fp_format f, u32 *flags)
{
    a &= fp_mask(f);
    b &= fp_mask(f);
    if (fp_has_nan(a, b, true, f, flags))
        return 0;
    return a == b || fp_are_zero(a, b, f);
}

/* The lesser or greater operand; nan_wins tells minimum from minimumNumber. */
FP_CORE u64 fp_select(u64 a, u64 b, bool greater, bool nan_wins, struct fp_format f, u32 *flags)
{
    a &= fp_mask(f);
    b &= fp_mask(f);
    if (fp_has_nan(a, b, true, f, flags)) {
        if (nan_wins || (fp_is_nan(a, f) && fp_is_nan(b, f)))
            return fp_nan(f);
        return fp_is_nan(a, f) ? b : a;
    }
    return fp_is_below(a, b, f) != greater ? a : b;
}

FP_CORE u64 fp_classify(u64 a, struct fp_format f)
{
    u64 magnitude = a & (fp_sign_bit(f) - 1);
    unsigned rank; /* 0 zero, 1 subnormal, 2 normal, 3 infinity */

    if (fp_is_nan(a, f))
        return fp_is_snan(a, f) ? BIT(8) : BIT(9);
    if (magnitude >= fp_inf(false, f))
        rank = 3;
    else if (magnitude >> f.frac)
        rank = 2;
    else
        rank = magnitude != 0;
    return fp_sign(a, f) ? BIT(3 - rank) : BIT(4 + rank);
}

#define FP_DEFINE(F, format)                                 \
    u64 F##_min(u64 a, u64 b, u32 *flags)                    \
    {                                                        \
        return fp_select(a, b, false, false, format, flags); \
    }                                                        \
    u64 F##_max(u64 a, u64 b, u32 *flags)                    \
    {                                                        \
        return fp_select(a, b, true, false, format, flags);  \
    }                                                        \
    u64 F##_minm(u64 a, u64 b, u32 *flags)                   \
    {                                                        \
        return fp_select(a, b, false, true, format, flags);  \
    }                                                        \
    u64 F##_maxm(u64 a, u64 b, u32 *flags)                   \
    {                                                        \
        return fp_select(a, b, true, true, format, flags);   \
    }                                                        \
    u64 F##_eq(u64 a, u64 b, u32 *flags)                     \
    {                                                        \
        return fp_eq(a, b, format, flags);                   \
    }                                                        \
    u64 F##_lt(u64 a, u64 b, u32 *flags)                     \
    {                                                        \
        return fp_less(a, b, false, false, format, flags);   \
    }                                                        \
    u64 F##_le(u64 a, u64 b, u32 *flags)                     \
    {                                                        \
        return fp_less(a, b, true, false, format, flags);    \
    }                                                        \
    u64 F##_ltq(u64 a, u64 b, u32 *flags)                    \
    {                                                        \
        return fp_less(a, b, false, true, format, flags);    \
    }                                                        \
    u64 F##_leq(u64 a, u64 b, u32 *flags)                    \
    {                                                        \
        return fp_less(a, b, true, true, format, flags);     \
    }                                                        \
    u64 F##_classify(u64 a)                                  \
    {                                                        \
        return fp_classify(a, format);                       \
    }

FP_DEFINE(f16, FP_F16)
FP_DEFINE(f32, FP_F32)
FP_DEFINE(f64, FP_F64)
