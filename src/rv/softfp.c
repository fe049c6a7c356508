/* SPDX-License-Identifier: BSD-2-Clause */
/* Floating-point arithmetic: add, subtract, multiply, divide, square root, fused multiply-add. */
#include "rv/softfp.h"

#include "rv/hardfp.h"
#include "rv/softfp_int.h"

/* The result of an operation with at least one NaN operand (pass a known number for none). */
FP_CORE u64 fp_propagate(u64 a, u64 b, u64 c, struct fp_format f, u32 *flags)
{
    if (fp_is_snan(a, f) || fp_is_snan(b, f) || fp_is_snan(c, f))
        *flags |= FP_NV;
    return fp_nan(f);
}

/* x + y for finite ones. Bits jammed by alignment stay far below what rounding looks at: a sum
 * loses at most one leading bit when the exponents differ by two or more, else nothing is jammed,
 * as all formats leave at least ten low bits of sig clear. */
FP_CORE u64 fp_add_finite(struct fp_num x, struct fp_num y, struct fp_format f, enum fp_round rm,
                          u32 *flags)
{
    if (x.exp < y.exp || (x.exp == y.exp && x.sig < y.sig)) {
        struct fp_num t = x;

        x = y;
        y = t;
    }
    y.sig = fp_shift_right_jam(y.sig, (unsigned)(x.exp - y.exp));
    if (x.sign == y.sign)
        x.sig += y.sig;
    else
        x.sig -= y.sig;
    if (!x.sig)
        return fp_zero(rm == FP_RDN, f);
    return fp_normalize_pack(x.sign, x.exp, x.sig, f, rm, flags);
}

FP_CORE u64 fp_add(u64 a, u64 b, struct fp_format f, enum fp_round rm, u32 *flags)
{
    struct fp_num x = fp_unpack(a, f), y = fp_unpack(b, f);

    if (LIKELY(x.kind == FP_FINITE && y.kind == FP_FINITE))
        return fp_add_finite(x, y, f, rm, flags);
    if (x.kind == FP_NAN || y.kind == FP_NAN)
        return fp_propagate(a, b, 0, f, flags);
    if (x.kind == FP_INF && y.kind == FP_INF && x.sign != y.sign)
        return fp_invalid(f, flags);
    if (x.kind == FP_INF || y.kind == FP_INF)
        return fp_inf(x.kind == FP_INF ? x.sign : y.sign, f);
    if (x.kind == FP_FINITE || y.kind == FP_FINITE)
        return (x.kind == FP_FINITE ? a : b) & fp_mask(f);
    return fp_zero(x.sign == y.sign ? x.sign : rm == FP_RDN, f);
}

FP_CORE u64 fp_mul(u64 a, u64 b, struct fp_format f, enum fp_round rm, u32 *flags)
{
    struct fp_num x = fp_unpack(a, f), y = fp_unpack(b, f);
    bool sign = x.sign != y.sign;

    if (LIKELY(x.kind == FP_FINITE && y.kind == FP_FINITE)) {
        u128 product = (u128)x.sig * y.sig;
        u64 sig = (u64)(product >> FP_LEAD) | ((product & (BIT(FP_LEAD) - 1)) != 0);

        return fp_normalize_pack(sign, x.exp + y.exp, sig, f, rm, flags);
    }
    if (x.kind == FP_NAN || y.kind == FP_NAN)
        return fp_propagate(a, b, 0, f, flags);
    if (x.kind == FP_INF || y.kind == FP_INF)
        return x.kind == FP_ZERO || y.kind == FP_ZERO ? fp_invalid(f, flags) : fp_inf(sign, f);
    return fp_zero(sign, f);
}

/* x.sig / y.sig with bit FP_LEAD or the one below it leading, and the remainder jammed. */
FP_CORE u64 fp_divide_sigs(u64 n, u64 d, struct fp_format f)
{
    unsigned spare = FP_LEAD - f.frac;

    /* Narrow formats have enough quotient bits in a plain 64-bit division. */
    if (spare > f.frac + 2) {
        u64 d_short = d >> spare;

        return n / d_short << f.frac | (n % d_short != 0);
    }
    u128 wide = (u128)n << FP_LEAD;
    u64 q = (u64)(wide / d);

    return q | ((u128)q * d != wide);
}

FP_CORE u64 fp_div(u64 a, u64 b, struct fp_format f, enum fp_round rm, u32 *flags)
{
    struct fp_num x = fp_unpack(a, f), y = fp_unpack(b, f);
    bool sign = x.sign != y.sign;

    if (LIKELY(x.kind == FP_FINITE && y.kind == FP_FINITE))
        return fp_normalize_pack(sign, x.exp - y.exp, fp_divide_sigs(x.sig, y.sig, f), f, rm,
                                 flags);
    if (x.kind == FP_NAN || y.kind == FP_NAN)
        return fp_propagate(a, b, 0, f, flags);
    if (x.kind == y.kind)
        return fp_invalid(f, flags);
    if (x.kind == FP_INF)
        return fp_inf(sign, f);
    if (y.kind == FP_ZERO) {
        *flags |= FP_DZ;
        return fp_inf(sign, f);
    }
    return fp_zero(sign, f);
}

/* a * b / 2^64. */
FP_CORE u64 fp_mul_high(u64 a, u64 b)
{
    return (u64)((u128)a * b >> 64);
}

/*
 * The square root of x * 2^62, rounded down, 2^62 <= x < 2^64. Seen as fixed point, X = x / 2^62
 * lies in [1, 4). Newton's y (3 - X y^2) / 2 for 1 / sqrt(X) doubles the good bits of the linear
 * first guess (3.5 bits) and stays below the true value, so nothing overflows; the comparisons at
 * the end take at most a few steps and make the result exact.
 */
static u64 fp_sqrt_floor(u64 x)
{
    const u64 three = UINT64_C(0xc000000000000000);
    u128 n = (u128)x << 62;
    u64 y = UINT64_C(0x8880000000000000) - fp_mul_high(x, UINT64_C(0x4e00000000000000));
    u64 s;

    for (unsigned i = 0; i < 5; i++) {
        /* Bits after the point: y 63, y * y 62, X and its product with that 62. */
        u64 xyy = (u64)((u128)fp_mul_high(y, y) * x >> 62);

        y = fp_mul_high(y, three - xyy) << 1;
    }
    s = (u64)((u128)x * y >> 63);
    while ((u128)s * s > n)
        s--;
    while ((u128)(s + 1) * (s + 1) <= n)
        s++;
    return s;
}

FP_CORE u64 fp_sqrt(u64 a, struct fp_format f, enum fp_round rm, u32 *flags)
{
    struct fp_num x = fp_unpack(a, f);
    bool odd = x.exp & 1;
    u64 wide, root;

    if (x.kind == FP_NAN)
        return fp_propagate(a, 0, 0, f, flags);
    if (x.kind == FP_ZERO)
        return a & fp_mask(f);
    if (x.sign)
        return fp_invalid(f, flags);
    if (x.kind == FP_INF)
        return fp_inf(false, f);
    wide = odd ? x.sig << 1 : x.sig;
    root = fp_sqrt_floor(wide);
    root |= (u128)root * root != (u128)wide << FP_LEAD;
    return fp_pack(false, (x.exp - odd) / 2, root, f, rm, flags);
}

FP_CORE unsigned fp_wide_log2(u128 v)
{
    return v >> 64 ? 64 + log2_floor((u64)(v >> 64)) : log2_floor((u64)v);
}

FP_CORE u128 fp_wide_shift_right_jam(u128 v, unsigned n)
{
    if (n == 0)
        return v;
    if (n > 127)
        return v != 0;
    return v >> n | ((v << (128 - n)) != 0);
}

/* fp_add_finite's twin for wide significands whose leading bit is 2 * FP_LEAD. */
FP_CORE u64 fp_add_wide(struct fp_num x, u128 xs, struct fp_num y, u128 ys, struct fp_format f,
                        enum fp_round rm, u32 *flags)
{
    u128 sum;
    int over;

    ys = fp_wide_shift_right_jam(ys, (unsigned)(x.exp - y.exp));
    sum = x.sign == y.sign ? xs + ys : xs - ys;
    if (!sum)
        return fp_zero(rm == FP_RDN, f);
    over = (int)fp_wide_log2(sum) - FP_LEAD;
    if (over >= 0)
        sum = fp_wide_shift_right_jam(sum, (unsigned)over);
    else
        sum <<= -over;
    return fp_pack(x.sign, x.exp + over - FP_LEAD, (u64)sum, f, rm, flags);
}

/* x * y + z with x and y finite; z is finite or zero. */
FP_CORE u64 fp_fma_finite(struct fp_num x, struct fp_num y, struct fp_num z, struct fp_format f,
                          enum fp_round rm, u32 *flags)
{
    struct fp_num p = {FP_FINITE, x.sign != y.sign, x.exp + y.exp, 0};
    u128 ps = (u128)x.sig * y.sig, zs = (u128)z.sig << FP_LEAD;

    if (ps >> (2 * FP_LEAD + 1)) {
        ps >>= 1; /* exact: twenty low bits are clear at least */
        p.exp++;
    }
    if (z.kind == FP_ZERO)
        z.exp = p.exp;
    if (p.exp > z.exp || (p.exp == z.exp && ps >= zs))
        return fp_add_wide(p, ps, z, zs, f, rm, flags);
    return fp_add_wide(z, zs, p, ps, f, rm, flags);
}

FP_CORE u64 fp_fma(u64 a, u64 b, u64 c, struct fp_format f, enum fp_round rm, u32 *flags)
{
    struct fp_num x = fp_unpack(a, f), y = fp_unpack(b, f), z = fp_unpack(c, f);
    bool sign = x.sign != y.sign;

    if (LIKELY(x.kind == FP_FINITE && y.kind == FP_FINITE && z.kind <= FP_FINITE))
        return fp_fma_finite(x, y, z, f, rm, flags);
    /* Infinity times zero is invalid even when the addend is a quiet NaN. */
    if ((x.kind == FP_INF && y.kind == FP_ZERO) || (x.kind == FP_ZERO && y.kind == FP_INF))
        return fp_invalid(f, flags);
    if (x.kind == FP_NAN || y.kind == FP_NAN || z.kind == FP_NAN)
        return fp_propagate(a, b, c, f, flags);
    if (x.kind == FP_INF || y.kind == FP_INF)
        return z.kind == FP_INF && z.sign != sign ? fp_invalid(f, flags) : fp_inf(sign, f);
    if (z.kind == FP_ZERO)
        return fp_zero(z.sign == sign ? sign : rm == FP_RDN, f);
    return c & fp_mask(f);
}

/* Lets the host do it where nobody can tell (rv/hardfp.h); result_ is the call's to fill. */
#define FP_HARD(call)                 \
    do {                              \
        u64 result_;                  \
        if (hardfp_may(rm) && (call)) \
            return result_;           \
    } while (0)
#define FP_SOFT_ONLY(call) \
    do {                   \
    } while (0)

#define FP_DEFINE(F, format, HARD)                                    \
    u64 F##_add(u64 a, u64 b, enum fp_round rm, u32 *flags)           \
    {                                                                 \
        HARD(hard_##F##_add(a, b, &result_, flags));                  \
        return fp_add(a, b, format, rm, flags);                       \
    }                                                                 \
    u64 F##_sub(u64 a, u64 b, enum fp_round rm, u32 *flags)           \
    {                                                                 \
        HARD(hard_##F##_sub(a, b, &result_, flags));                  \
        return fp_add(a, b ^ fp_sign_bit(format), format, rm, flags); \
    }                                                                 \
    u64 F##_mul(u64 a, u64 b, enum fp_round rm, u32 *flags)           \
    {                                                                 \
        HARD(hard_##F##_mul(a, b, &result_, flags));                  \
        return fp_mul(a, b, format, rm, flags);                       \
    }                                                                 \
    u64 F##_div(u64 a, u64 b, enum fp_round rm, u32 *flags)           \
    {                                                                 \
        HARD(hard_##F##_div(a, b, &result_, flags));                  \
        return fp_div(a, b, format, rm, flags);                       \
    }                                                                 \
    u64 F##_sqrt(u64 a, enum fp_round rm, u32 *flags)                 \
    {                                                                 \
        return fp_sqrt(a, format, rm, flags);                         \
    }                                                                 \
    u64 F##_fma(u64 a, u64 b, u64 c, enum fp_round rm, u32 *flags)    \
    {                                                                 \
        HARD(hard_##F##_fma(a, b, c, &result_, flags));               \
        return fp_fma(a, b, c, format, rm, flags);                    \
    }

FP_DEFINE(f16, FP_F16, FP_SOFT_ONLY)
FP_DEFINE(f32, FP_F32, FP_HARD)
FP_DEFINE(f64, FP_F64, FP_HARD)
