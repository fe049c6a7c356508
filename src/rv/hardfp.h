/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's floating point where it cannot be told from the software one: round to nearest even,
 * the inexact flag set already, operands normal (or zero), the result normal and not next to the
 * subnormal ones (it may have been tiny before rounding). Then no other flag can come, no NaN is
 * made, and IEEE 754 leaves one answer. Everything else is softfp's.
 *
 * The host's rounding mode is its default, to nearest even, all the time.
 */
#ifndef COSM_RV_HARDFP_H
#define COSM_RV_HARDFP_H

#include "rv/softfp.h"

#include <float.h>

#if FLT_EVAL_METHOD == 0
#define HARDFP_WORKS 1
#else
#define HARDFP_WORKS 0
#endif

static inline bool hardfp_may(enum fp_round rm, const u32 *flags)
{
    return HARDFP_WORKS && rm == FP_RNE && (*flags & FP_NX);
}

/* Is the exponent field neither 0 (zero, subnormal) nor all ones (infinity, NaN)? */
static inline bool hardfp_is_normal(u64 v, unsigned fraction, u64 exponents)
{
    return (((v >> fraction) + 1) & exponents) > 1;
}

static inline bool f64_is_normal(u64 v)
{
    return hardfp_is_normal(v, 52, 0x7ff);
}

/* The least exponent is out: a result there may have been tiny before it was rounded up. */
static inline bool f64_is_result(u64 v)
{
    return f64_is_normal(v) && (v >> 52 & 0x7ff) > 1;
}

static inline bool f32_is_normal(u64 v)
{
    return hardfp_is_normal(v, 23, 0xff);
}

static inline bool f32_is_result(u64 v)
{
    return f32_is_normal(v) && (v >> 23 & 0xff) > 1;
}

static inline bool f64_is_operand(u64 v)
{
    return f64_is_normal(v) || !(v << 1);
}

static inline bool f32_is_operand(u64 v)
{
    return f32_is_normal(v) || !(u32)(v << 1);
}

union hardfp_f64 {
    u64 bits;
    double value;
};

union hardfp_f32 {
    u32 bits;
    float value;
};

#define HARDFP_BINARY(F, name, op)                                  \
    static inline bool hard_##F##_##name(u64 a, u64 b, u64 *result) \
    {                                                               \
        union hardfp_##F x, y, r;                                   \
        if (!F##_is_operand(a) || !F##_is_operand(b))               \
            return false;                                           \
        x.bits = (__typeof__(x.bits))a;                             \
        y.bits = (__typeof__(y.bits))b;                             \
        r.value = x.value op y.value;                               \
        *result = r.bits;                                           \
        return F##_is_result(r.bits);                               \
    }
HARDFP_BINARY(f64, add, +)
HARDFP_BINARY(f64, sub, -)
HARDFP_BINARY(f64, mul, *)
HARDFP_BINARY(f64, div, /)
HARDFP_BINARY(f32, add, +)
HARDFP_BINARY(f32, sub, -)
HARDFP_BINARY(f32, mul, *)
HARDFP_BINARY(f32, div, /)
#undef HARDFP_BINARY

#if defined(__x86_64__)
/* Without FMA3 the C library would do it in software. */
#define HARDFP_FMA_TARGET __attribute__((target("fma")))
#define HARDFP_HAS_FMA    __builtin_cpu_supports("fma")
#elif defined(__FP_FAST_FMA)
#define HARDFP_FMA_TARGET
#define HARDFP_HAS_FMA 1
#else
#define HARDFP_FMA_TARGET
#define HARDFP_HAS_FMA 0
#endif

#define HARDFP_FUSED(F, fused)                                                                  \
    HARDFP_FMA_TARGET static bool hard_##F##_fma_host(u64 a, u64 b, u64 c, u64 *result)         \
    {                                                                                           \
        union hardfp_##F x, y, z, r;                                                            \
        x.bits = (__typeof__(x.bits))a;                                                         \
        y.bits = (__typeof__(y.bits))b;                                                         \
        z.bits = (__typeof__(z.bits))c;                                                         \
        r.value = fused(x.value, y.value, z.value);                                             \
        *result = r.bits;                                                                       \
        return F##_is_result(r.bits);                                                           \
    }                                                                                           \
    static inline bool hard_##F##_fma(u64 a, u64 b, u64 c, u64 *result)                         \
    {                                                                                           \
        return HARDFP_HAS_FMA && F##_is_operand(a) && F##_is_operand(b) && F##_is_operand(c) && \
               hard_##F##_fma_host(a, b, c, result);                                            \
    }
HARDFP_FUSED(f64, __builtin_fma)
HARDFP_FUSED(f32, __builtin_fmaf)
#undef HARDFP_FUSED

#endif
