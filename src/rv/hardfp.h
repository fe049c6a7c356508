/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's floating point where it cannot be told from the software one: round to nearest even,
 * operands normal (or zero), the result normal and not next to the subnormal ones (it may have been
 * tiny before rounding). Then inexact is the only flag that can come, no NaN is made, and IEEE 754
 * leaves one answer. Everything else is softfp's.
 *
 * Whether a result is inexact is asked only until the flag is set, by computing the rounding error,
 * which is itself a floating-point number: Knuth's TwoSum for sums, a fused multiply-add for
 * products and quotients (Muller et al., Handbook of Floating-Point Arithmetic, chapter 4).
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

static inline bool hardfp_may(enum fp_round rm)
{
    return HARDFP_WORKS && rm == FP_RNE;
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

static inline void hardfp_note(bool inexact, u32 *flags)
{
    if (inexact)
        *flags |= FP_NX;
}

static inline double hardfp_sum_error(double x, double y, double sum)
{
    double part = sum - x;

    return (x - (sum - part)) + (y - part);
}

static inline float hardfp_sum_error_f32(float x, float y, float sum)
{
    float part = sum - x;

    return (x - (sum - part)) + (y - part);
}

#define HARDFP_OPERANDS(F)                        \
    union hardfp_##F x, y, r;                     \
    if (!F##_is_operand(a) || !F##_is_operand(b)) \
        return false;                             \
    x.bits = (__typeof__(x.bits))a;               \
    y.bits = (__typeof__(y.bits))b;
#define HARDFP_RESULT(F)        \
    *result = r.bits;           \
    if (!F##_is_result(r.bits)) \
        return false;           \
    if (*flags & FP_NX)         \
        return true;

static inline bool hard_f64_add(u64 a, u64 b, u64 *result, u32 *flags)
{
    HARDFP_OPERANDS(f64)
    r.value = x.value + y.value;
    HARDFP_RESULT(f64)
    hardfp_note(hardfp_sum_error(x.value, y.value, r.value) != 0, flags);
    return true;
}

static inline bool hard_f64_sub(u64 a, u64 b, u64 *result, u32 *flags)
{
    return hard_f64_add(a, b ^ F64_SIGN, result, flags);
}

static inline bool hard_f32_add(u64 a, u64 b, u64 *result, u32 *flags)
{
    HARDFP_OPERANDS(f32)
    r.value = x.value + y.value;
    HARDFP_RESULT(f32)
    hardfp_note(hardfp_sum_error_f32(x.value, y.value, r.value) != 0, flags);
    return true;
}

static inline bool hard_f32_sub(u64 a, u64 b, u64 *result, u32 *flags)
{
    return hard_f32_add(a, b ^ F32_SIGN, result, flags);
}

/* A product of singles is exact in a double. */
static inline bool hard_f32_mul(u64 a, u64 b, u64 *result, u32 *flags)
{
    HARDFP_OPERANDS(f32)
    r.value = x.value * y.value;
    HARDFP_RESULT(f32)
    hardfp_note((double)r.value != (double)x.value * (double)y.value, flags);
    return true;
}

static inline bool hard_f32_div(u64 a, u64 b, u64 *result, u32 *flags)
{
    HARDFP_OPERANDS(f32)
    r.value = x.value / y.value;
    HARDFP_RESULT(f32)
    hardfp_note((double)r.value * (double)y.value != (double)x.value, flags);
    return true;
}

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

HARDFP_FMA_TARGET static double hardfp_fma(double x, double y, double z)
{
    return __builtin_fma(x, y, z);
}

HARDFP_FMA_TARGET static float hardfp_fma_f32(float x, float y, float z)
{
    return __builtin_fmaf(x, y, z);
}

/* Is the rounding error of a product or quotient of this size a number, not lost below? */
static inline bool f64_has_error(u64 v)
{
    return (v >> 52 & 0x7ff) > 120;
}

static inline bool hard_f64_mul(u64 a, u64 b, u64 *result, u32 *flags)
{
    HARDFP_OPERANDS(f64)
    r.value = x.value * y.value;
    HARDFP_RESULT(f64)
    if (!f64_has_error(r.bits) || !HARDFP_HAS_FMA)
        return false;
    hardfp_note(hardfp_fma(x.value, y.value, -r.value) != 0, flags);
    return true;
}

static inline bool hard_f64_div(u64 a, u64 b, u64 *result, u32 *flags)
{
    HARDFP_OPERANDS(f64)
    r.value = x.value / y.value;
    HARDFP_RESULT(f64)
    if (!f64_has_error(a) || !HARDFP_HAS_FMA)
        return false;
    hardfp_note(hardfp_fma(r.value, y.value, -x.value) != 0, flags);
    return true;
}

/* Not yet inexact: x * y must be a number p (else softfp decides), then the sum p + z tells. */
static inline bool hard_f64_fma(u64 a, u64 b, u64 c, u64 *result, u32 *flags)
{
    union hardfp_f64 z, p;
    HARDFP_OPERANDS(f64)
    if (!f64_is_operand(c) || !HARDFP_HAS_FMA)
        return false;
    z.bits = c;
    r.value = hardfp_fma(x.value, y.value, z.value);
    HARDFP_RESULT(f64)
    p.value = x.value * y.value;
    if (!f64_is_result(p.bits) || !f64_has_error(p.bits) ||
        hardfp_fma(x.value, y.value, -p.value) != 0)
        return false;
    hardfp_note(hardfp_sum_error(p.value, z.value, r.value) != 0, flags);
    return true;
}

/* The sum of an exact product and z either is a double, or has too many bits for a single. */
static inline bool hard_f32_fma(u64 a, u64 b, u64 c, u64 *result, u32 *flags)
{
    union hardfp_f32 z;
    double product, sum;
    HARDFP_OPERANDS(f32)
    if (!f32_is_operand(c) || !HARDFP_HAS_FMA)
        return false;
    z.bits = (u32)c;
    r.value = hardfp_fma_f32(x.value, y.value, z.value);
    HARDFP_RESULT(f32)
    product = (double)x.value * (double)y.value;
    sum = product + (double)z.value;
    hardfp_note(sum != (double)r.value || hardfp_sum_error(product, (double)z.value, sum) != 0,
                flags);
    return true;
}

#undef HARDFP_OPERANDS
#undef HARDFP_RESULT

#endif
