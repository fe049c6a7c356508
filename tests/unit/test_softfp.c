/* SPDX-License-Identifier: BSD-2-Clause */
/* rv/softfp against the host's floating point, an exact binary16 reference and chosen values. */
#include "rv/softfp.h"

#include "tests/test.h"

#include <fenv.h>
#include <math.h>

/* Hosts that detect tininess before rounding disagree on UF at the edge: there it is not compared.
 */
#if defined(__x86_64__) || defined(__riscv)
#define HOST_FLAGS 31u
#else
#define HOST_FLAGS (31u & ~FP_UF)
#endif

#define HOST_ROUNDS 40000
#define MAX_REPORTS 20u

static const int host_rounding[4] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};

struct op {
    const char *name;
    u64 (*soft)(u64 a, u64 b, u64 c, enum fp_round rm, u32 *flags);
    u64 (*host)(u64 a, u64 b, u64 c);
};

static u64 random_state = UINT64_C(0x9e3779b97f4a7c15);

/* xorshift64*: the same numbers on every run. */
static u64 random_next(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * UINT64_C(0x2545f4914f6cdd1d);
}

/* An encoding with a preference for the edges of the exponent's and the fraction's range. */
static u64 random_float(unsigned frac_bits, unsigned exp_bits)
{
    u64 frac_max = (UINT64_C(1) << frac_bits) - 1, exp_max = (UINT64_C(1) << exp_bits) - 1;
    u64 frac = random_next() & frac_max, exp = random_next() & exp_max, kind = random_next();

    if (kind & 1)
        frac &= random_next() & random_next();
    if ((kind >> 1 & 3) == 0)
        frac = (random_next() % 5 - 2) & frac_max;
    if (kind >> 3 & 1)
        frac ^= frac_max;
    switch (kind >> 4 & 7) {
    case 0:
        exp = random_next() % 3;
        break;
    case 1:
        exp = exp_max - random_next() % 3;
        break;
    case 2:
        exp = exp_max / 2 + random_next() % (2 * frac_bits) - frac_bits;
        break;
    case 3:
        exp = exp_max / 2 + random_next() % 5 - 2;
        break;
    case 4:
        exp = exp_max / 4 + random_next() % 6 - 3;
        break;
    }
    return (kind >> 63) << (frac_bits + exp_bits) | (exp & exp_max) << frac_bits | frac;
}

static u64 random_f16(void)
{
    return random_float(10, 5);
}

static u64 random_f32(void)
{
    return random_float(23, 8);
}

static u64 random_f64(void)
{
    return random_float(52, 11);
}

static float f32_value(u64 raw)
{
    u32 low = (u32)raw;
    float v;

    memcpy(&v, &low, sizeof(v));
    return v;
}

static double f64_value(u64 raw)
{
    double v;

    memcpy(&v, &raw, sizeof(v));
    return v;
}

static u64 f32_raw(float v)
{
    u32 raw;

    memcpy(&raw, &v, sizeof(raw));
    return v != v ? F32_NAN : raw;
}

static u64 f64_raw(double v)
{
    u64 raw;

    memcpy(&raw, &v, sizeof(raw));
    return v != v ? F64_NAN : raw;
}

static u32 host_flags(void)
{
    int e = fetestexcept(FE_ALL_EXCEPT);

    return (e & FE_INEXACT ? FP_NX : 0u) | (e & FE_UNDERFLOW ? FP_UF : 0u) |
           (e & FE_OVERFLOW ? FP_OF : 0u) | (e & FE_DIVBYZERO ? FP_DZ : 0u) |
           (e & FE_INVALID ? FP_NV : 0u);
}

struct result {
    u64 value;
    u32 flags;
};

static void expect(const char *name, unsigned rm, const u64 in[3], struct result got,
                   struct result want)
{
    if (got.value == want.value && got.flags == want.flags)
        return;
    if (test_failures++ < MAX_REPORTS)
        printf("# %s rm %u (%" PRIx64 ", %" PRIx64 ", %" PRIx64 ") = %" PRIx64 " flags %x, "
               "want %" PRIx64 " flags %x\n",
               name, rm, in[0], in[1], in[2], got.value, got.flags, want.value, want.flags);
}

/* The volatile copies keep the compiler from moving an operation past the flag accesses. */
#define SOFT_AND_HOST(F, T, op, soft_call, host_expr)                             \
    static u64 soft_##F##_##op(u64 a, u64 b, u64 c, enum fp_round rm, u32 *flags) \
    {                                                                             \
        return soft_call;                                                         \
    }                                                                             \
    static u64 host_##F##_##op(u64 a, u64 b, u64 c)                               \
    {                                                                             \
        volatile T x = F##_value(a), y = F##_value(b), z = F##_value(c), r;       \
        volatile u64 n = a;                                                       \
        r = host_expr;                                                            \
        (void)x, (void)y, (void)z, (void)n;                                       \
        return F##_raw(r);                                                        \
    }

#define ARITHMETIC(F, T, sqrt_fn, fma_fn)                                     \
    SOFT_AND_HOST(F, T, add, F##_add(a, b, rm, flags), x + y)                 \
    SOFT_AND_HOST(F, T, sub, F##_sub(a, b, rm, flags), x - y)                 \
    SOFT_AND_HOST(F, T, mul, F##_mul(a, b, rm, flags), x *y)                  \
    SOFT_AND_HOST(F, T, div, F##_div(a, b, rm, flags), x / y)                 \
    SOFT_AND_HOST(F, T, sqrt, F##_sqrt(a, rm, flags), sqrt_fn(x))             \
    SOFT_AND_HOST(F, T, fma, F##_fma(a, b, c, rm, flags), fma_fn(x, y, z))    \
    SOFT_AND_HOST(F, T, from_s32, F##_from_s32((s32)a, rm, flags), (T)(s32)n) \
    SOFT_AND_HOST(F, T, from_u32, F##_from_u32((u32)a, rm, flags), (T)(u32)n) \
    SOFT_AND_HOST(F, T, from_s64, F##_from_s64((s64)a, rm, flags), (T)(s64)n) \
    SOFT_AND_HOST(F, T, from_u64, F##_from_u64(a, rm, flags), (T)n)

ARITHMETIC(f32, float, sqrtf, fmaf)
ARITHMETIC(f64, double, sqrt, fma)

static u64 soft_narrow(u64 a, u64 b, u64 c, enum fp_round rm, u32 *flags)
{
    return f64_to_f32(a, rm, flags);
}

static u64 host_narrow(u64 a, u64 b, u64 c)
{
    volatile double x = f64_value(a);
    volatile float r = (float)x;

    return f32_raw(r);
}

static u64 soft_widen(u64 a, u64 b, u64 c, enum fp_round rm, u32 *flags)
{
    return f32_to_f64(a, rm, flags);
}

static u64 host_widen(u64 a, u64 b, u64 c)
{
    volatile float x = f32_value(a);
    volatile double r = x;

    return f64_raw(r);
}

#define OP(F, op)                                    \
    {                                                \
#F "_" #op, soft_##F##_##op, host_##F##_##op \
    }

static const struct op f32_ops[] = {
    OP(f32, add),
    OP(f32, sub),
    OP(f32, mul),
    OP(f32, div),
    OP(f32, sqrt),
    OP(f32, fma),
    {"f32_to_f64", soft_widen, host_widen},
};
static const struct op f64_ops[] = {
    OP(f64, add),
    OP(f64, sub),
    OP(f64, mul),
    OP(f64, div),
    OP(f64, sqrt),
    OP(f64, fma),
    {"f64_to_f32", soft_narrow, host_narrow},
};
static const struct op int_ops[] = {
    OP(f32, from_s32), OP(f32, from_u32), OP(f32, from_s64), OP(f32, from_u64),
    OP(f64, from_s32), OP(f64, from_u32), OP(f64, from_s64), OP(f64, from_u64),
};

static void compare_with_host(const struct op *op, unsigned rm, const u64 in[3])
{
    struct result got = {0, 0}, want;

    got.value = op->soft(in[0], in[1], in[2], (enum fp_round)rm, &got.flags);
    fesetround(host_rounding[rm]);
    feclearexcept(FE_ALL_EXCEPT);
    want.value = op->host(in[0], in[1], in[2]);
    want.flags = host_flags() & HOST_FLAGS;
    fesetround(FE_TONEAREST);
    got.flags &= HOST_FLAGS;
    expect(op->name, rm, in, got, want);
}

/* Infinity times zero plus a quiet NaN: IEEE lets a host choose about NV, RISC-V does not. */
static bool is_host_choice(const u64 in[3], unsigned frac_bits, u64 sign)
{
    u64 inf = (sign - 1) & ~((UINT64_C(1) << frac_bits) - 1), a = in[0] & ~sign, b = in[1] & ~sign;

    return ((a == inf && !b) || (!a && b == inf)) && (in[2] & ~sign) > inf;
}

TEST(f32_like_host)
{
    for (unsigned i = 0; i < HOST_ROUNDS; i++) {
        u64 in[3] = {random_f32(), random_f32(), random_f32()};

        if (i % 4 == 0) /* cancellation in fma */
            in[2] = f32_raw(-f32_value(in[0]) * f32_value(in[1])) ^ (random_next() & 1);
        if (i % 8 == 1)
            in[1] = in[0] ^ F32_SIGN ^ (random_next() & 3);
        if (is_host_choice(in, 23, F32_SIGN))
            continue;
        for (unsigned rm = 0; rm < 4; rm++)
            for (unsigned k = 0; k < ARRAY_SIZE(f32_ops); k++)
                compare_with_host(&f32_ops[k], rm, in);
    }
}

TEST(f64_like_host)
{
    for (unsigned i = 0; i < HOST_ROUNDS; i++) {
        u64 in[3] = {random_f64(), random_f64(), random_f64()};

        if (i % 4 == 0)
            in[2] = f64_raw(-f64_value(in[0]) * f64_value(in[1])) ^ (random_next() & 1);
        if (i % 8 == 1)
            in[1] = in[0] ^ F64_SIGN ^ (random_next() & 3);
        if (i % 8 == 2) /* near binary32's limits, for the conversion */
            in[0] = f32_to_f64(random_f32(), FP_RNE, &(u32){0}) + random_next() % 0x40000000;
        if (is_host_choice(in, 52, F64_SIGN))
            continue;
        for (unsigned rm = 0; rm < 4; rm++)
            for (unsigned k = 0; k < ARRAY_SIZE(f64_ops); k++)
                compare_with_host(&f64_ops[k], rm, in);
    }
}

TEST(from_int_like_host)
{
    for (unsigned i = 0; i < HOST_ROUNDS / 4; i++) {
        u64 in[3] = {random_next() >> (random_next() & 63), 0, 0};

        if (i & 1)
            in[0] = ((u64)(i % 5) << (random_next() & 63)) + random_next() % 5 - 2;
        if (!in[0]) /* clang's inline code makes a u64 of 0 into -0 in RDN */
            continue;
        for (unsigned rm = 0; rm < 4; rm++)
            for (unsigned k = 0; k < ARRAY_SIZE(int_ops); k++)
                compare_with_host(&int_ops[k], rm, in);
    }
}

/* The C library's, called through pointers: compilers inline rint for round-to-nearest only. */
static double (*volatile const host_rint)(double) = rint;
static double (*volatile const host_round)(double) = round;

/* v rounded to an integral value, exactly: the host's rint, or round for RMM. */
static double integral(double v, unsigned rm)
{
    double r;

    if (rm == FP_RMM)
        return host_round(v);
    fesetround(host_rounding[rm]);
    r = host_rint(v);
    fesetround(FE_TONEAREST);
    return r;
}

/* What FCVT writes for v: bounds are doubles, low inclusive and high exclusive. */
static struct result int_reference(double v, unsigned rm, double low, double high, u64 min, u64 max)
{
    double r = integral(v, rm);

    if (v != v || r >= high)
        return (struct result){max, FP_NV};
    if (r < low)
        return (struct result){min, FP_NV};
    if (r < 0)
        return (struct result){(u64)(s64)r, r != v ? FP_NX : 0};
    /* A 32-bit result is sign-extended, also an unsigned one. */
    return (struct result){high == 0x1p32 ? (u64)(s32)(u32)(u64)r : (u64)r, r != v ? FP_NX : 0};
}

#define CHECK_TO_INT(F, raw, v, rm)                                                        \
    do {                                                                                   \
        u64 in_[3] = {raw, 0, 0};                                                          \
        struct result g_ = {0, 0};                                                         \
        g_.value = F##_to_s32(raw, rm, &g_.flags);                                         \
        expect(#F "_to_s32", rm, in_, g_,                                                  \
               int_reference(v, rm, -0x1p31, 0x1p31, (u64)INT32_MIN, INT32_MAX));          \
        g_.flags = 0;                                                                      \
        g_.value = F##_to_u32(raw, rm, &g_.flags);                                         \
        expect(#F "_to_u32", rm, in_, g_, int_reference(v, rm, 0, 0x1p32, 0, UINT64_MAX)); \
        g_.flags = 0;                                                                      \
        g_.value = F##_to_s64(raw, rm, &g_.flags);                                         \
        expect(#F "_to_s64", rm, in_, g_,                                                  \
               int_reference(v, rm, -0x1p63, 0x1p63, (u64)INT64_MIN, INT64_MAX));          \
        g_.flags = 0;                                                                      \
        g_.value = F##_to_u64(raw, rm, &g_.flags);                                         \
        expect(#F "_to_u64", rm, in_, g_, int_reference(v, rm, 0, 0x1p64, 0, UINT64_MAX)); \
    } while (0)

TEST(to_int_by_reference)
{
    for (unsigned i = 0; i < HOST_ROUNDS / 2; i++) {
        u64 a = random_f32(), b = random_f64();

        if (i & 1) /* next to the limits of the integers and to halves */
            b = f64_raw(ldexp((double)(s64)(i % 9) - 4, (int)(random_next() % 66) - 1)) +
                random_next() % 5 - 2;
        for (enum fp_round rm = FP_RNE; rm <= FP_RMM; rm++) {
            CHECK_TO_INT(f32, a, (double)f32_value(a), rm);
            CHECK_TO_INT(f64, b, f64_value(b), rm);
        }
    }
}

static void check_integral(u64 a, enum fp_round rm)
{
    u64 in[3] = {a, 0, 0};
    double v = f64_value(a), r = integral(v, rm);
    bool snan = f64_classify(a) == 0x100;
    struct result got = {0, 0}, want = {f64_raw(r), snan ? FP_NV : 0};

    got.value = f64_round(a, rm, &got.flags);
    expect("f64_round", rm, in, got, want);
    want.flags |= r != v && v == v ? FP_NX : 0;
    got.flags = 0;
    got.value = f64_roundnx(a, rm, &got.flags);
    expect("f64_roundnx", rm, in, got, want);
}

TEST(round_by_reference)
{
    for (unsigned i = 0; i < HOST_ROUNDS; i++) {
        u64 a = random_f64(), b = random_f32();
        enum fp_round rm = (enum fp_round)(i % 5);
        u32 flags = 0;

        check_integral(a, rm);
        CHECK_EQ(f32_round(b, rm, &flags), f32_raw((float)integral((double)f32_value(b), rm)));
    }
}

/* The exact value of a finite binary16 magnitude; the code of infinity gives 2^16. */
static double f16_magnitude(u64 code)
{
    u64 exp = code >> 10 & 31, frac = code & 1023;

    return exp ? ldexp((double)(1024 + frac), (int)exp - 25) : ldexp((double)frac, -24);
}

static double f16_value(u64 code)
{
    double m = f16_magnitude(code & 0x7fff);

    if ((code & 0x7fff) > 0x7c00)
        m = NAN;
    else if ((code & 0x7fff) == 0x7c00)
        m = INFINITY;
    return code & F16_SIGN ? -m : m;
}

/* Does m, low < m < high, round to high? */
static bool rounds_to_high(double m, double low, double high, bool low_odd, bool sign, unsigned rm)
{
    double middle = (low + high) / 2;

    switch (rm) {
    case FP_RTZ:
        return false;
    case FP_RDN:
        return sign;
    case FP_RUP:
        return !sign;
    case FP_RMM:
        return m >= middle;
    default:
        return m > middle || (m == middle && low_odd);
    }
}

/* v, which is no NaN, as binary16 by search among all its values. */
static struct result f16_reference(double v, unsigned rm)
{
    bool sign = signbit(v), up, tiny;
    u64 low = 0, high = 0x7c00, sign_bit = sign ? F16_SIGN : 0;
    double m = fabs(v), below_normal = 0x1p-14 - 0x1p-25;

    if (isinf(v))
        return (struct result){sign_bit | 0x7c00, 0};
    if (m >= 0x1p16) {
        up = rounds_to_high(1, 0, 1.5, true, sign, rm);
        return (struct result){sign_bit | (up ? 0x7c00 : 0x7bff), FP_OF | FP_NX};
    }
    while (high - low > 1) {
        u64 middle = (low + high) / 2;

        if (f16_magnitude(middle) <= m)
            low = middle;
        else
            high = middle;
    }
    if (f16_magnitude(low) == m)
        return (struct result){sign_bit | low, 0};
    up = rounds_to_high(m, f16_magnitude(low), f16_magnitude(high), low & 1, sign, rm);
    tiny = m < below_normal ||
           (m < 0x1p-14 &&
            !(m > below_normal && rounds_to_high(m, below_normal, 0x1p-14, true, sign, rm)));
    return (struct result){sign_bit | (up ? high : low),
                           FP_NX | (tiny ? FP_UF : 0) | (up && high == 0x7c00 ? FP_OF : 0)};
}

TEST(f16_every_value)
{
    for (u64 a = 0; a < 0x10000; a++) {
        double v = f16_value(a);
        u64 in[3] = {a, 0, 0};
        u32 snan = v != v && !(a & 0x200) ? FP_NV : 0, flags = 0;

        CHECK_EQ(f16_to_f64(a, FP_RNE, &flags), f64_raw(v));
        CHECK_EQ(f16_to_f32(a, FP_RNE, &flags), f32_raw((float)v));
        CHECK_EQ(flags, snan);
        for (enum fp_round rm = FP_RNE; rm <= FP_RMM; rm++) {
            struct result got = {0, 0}, want = {F16_NAN, snan | (v < 0 ? FP_NV : 0)};

            got.value = f16_sqrt(a, rm, &got.flags);
            if (v >= 0)
                want = f16_reference(sqrt(v), rm);
            expect("f16_sqrt", rm, in, got, want);
            CHECK_TO_INT(f16, a, v, rm);
            got.flags = 0;
            got.value = f16_roundnx(a, rm, &got.flags);
            want = v == v ? f16_reference(integral(v, rm), rm) : (struct result){F16_NAN, snan};
            want.flags |= v == v && integral(v, rm) != v ? FP_NX : 0;
            expect("f16_roundnx", rm, in, got, want);
            if (v == v)
                CHECK_EQ(f16_from_s32((s32)a - 0x8000, rm, &flags),
                         f16_reference((double)((s32)a - 0x8000), rm).value);
        }
    }
}

static void check_f16(const char *name, const u64 in[3], unsigned rm, struct result got, double v)
{
    if (v == v)
        expect(name, rm, in, got, f16_reference(v, rm));
    else
        CHECK_EQ(got.value, F16_NAN);
}

/* The double sum, with the sign that rm gives an exact zero. */
static double sum_in(double x, double y, unsigned rm)
{
    double sum = x + y;

    if (sum == 0 && signbit(x) != signbit(y))
        return rm == FP_RDN ? -0.0 : 0.0;
    return sum;
}

/* Was x + y exact as a double? (Knuth's two-sum.) */
static bool is_sum_exact(double x, double y)
{
    volatile double s = x + y, t = s - x, u = s - t;

    return x - u == 0 && y - t == 0;
}

/*
 * Sums and products of binary16 are exact as doubles, and quotients cannot come so near to a
 * value or a midpoint of binary16 that rounding them to a double first would matter.
 */
static void check_f16_pair(const u64 in[3], enum fp_round rm)
{
    double x = f16_value(in[0]), y = f16_value(in[1]), z = f16_value(in[2]);
    struct result got = {0, 0};

    got.value = f16_add(in[0], in[1], rm, &got.flags);
    check_f16("f16_add", in, rm, got, sum_in(x, y, rm));
    got.flags = 0;
    got.value = f16_sub(in[0], in[1], rm, &got.flags);
    check_f16("f16_sub", in, rm, got, sum_in(x, -y, rm));
    got.flags = 0;
    got.value = f16_mul(in[0], in[1], rm, &got.flags);
    check_f16("f16_mul", in, rm, got, x * y);
    got.flags = 0;
    got.value = f16_div(in[0], in[1], rm, &got.flags);
    if (y != 0)
        check_f16("f16_div", in, rm, got, x / y);
    got.flags = 0;
    got.value = f16_fma(in[0], in[1], in[2], rm, &got.flags);
    if (isfinite(x) && isfinite(y) && isfinite(z) && is_sum_exact(x * y, z))
        check_f16("f16_fma", in, rm, got, sum_in(x * y, z, rm));
}

TEST(f16_pairs_by_reference)
{
    for (unsigned i = 0; i < 2 * HOST_ROUNDS; i++) {
        u64 in[3] = {random_f16(), random_f16(), random_f16()};

        for (enum fp_round rm = FP_RNE; rm <= FP_RMM; rm++)
            check_f16_pair(in, rm);
    }
}

TEST(to_f16_by_reference)
{
    for (unsigned i = 0; i < HOST_ROUNDS; i++) {
        /* An exact value or a midpoint of binary16, then its neighbours. */
        u64 code = random_f16() & 0x7fff;
        double v = (f16_magnitude(code) + f16_magnitude(code + (i & 1))) / 2;
        u64 raw = (f64_raw(v) + random_next() % 5 - 2) ^ (random_next() & F64_SIGN);
        u64 raw32 = (f32_raw((float)v) + random_next() % 5 - 2) ^ (random_next() & F32_SIGN);

        for (enum fp_round rm = FP_RNE; rm <= FP_RMM; rm++) {
            u64 in[3] = {raw, raw32, 0};
            struct result got = {0, 0};

            got.value = f64_to_f16(raw, rm, &got.flags);
            check_f16("f64_to_f16", in, rm, got, f64_value(raw));
            got.flags = 0;
            got.value = f32_to_f16(raw32, rm, &got.flags);
            check_f16("f32_to_f16", in, rm, got, (double)f32_value(raw32));
        }
    }
}

/* Of the neighbours that RTZ and away-from-zero give, RMM takes the nearer, or at a tie the latter.
 */
static u64 f32_rmm_reference(double exact, u64 toward, u64 away)
{
    double low = fabs((double)f32_value(toward)), high = fabs((double)f32_value(away));

    return fabs(exact) >= (low + high) / 2 ? away : toward;
}

TEST(f32_rmm_by_neighbours)
{
    u32 flags = 0;

    for (unsigned i = 0; i < HOST_ROUNDS; i++) {
        u64 a = random_f32(), b = random_f32(), got, toward, away;
        double exact;

        if (i & 1) /* short operands give ties */
            a &= ~UINT64_C(0xfff), b = (b & ~UINT64_C(0x7ff)) | 0x800;
        exact = (double)f32_value(a) * (double)f32_value(b);
        got = f32_mul(a, b, FP_RMM, &flags);
        toward = f32_mul(a, b, FP_RTZ, &flags);
        away = f32_mul(a, b, signbit(exact) ? FP_RDN : FP_RUP, &flags);
        if (isfinite(f32_value(away)))
            CHECK_EQ(got, f32_rmm_reference(exact, toward, away));
    }
}

TEST(f64_rmm_at_ties)
{
    for (unsigned i = 0; i < HOST_ROUNDS; i++) {
        /* Whole numbers of 53 bits, so that one half is half a unit in the last place. */
        u64 n = (UINT64_C(1) << 52) + (random_next() >> 13), a = f64_raw((double)n);
        u64 half = f64_raw(0.5), less = half - 1, one = f64_raw(1.0);
        u32 flags = 0;

        CHECK_EQ(f64_add(a, half, FP_RMM, &flags), a + 1);
        CHECK_EQ(flags, FP_NX);
        CHECK_EQ(f64_add(a, less, FP_RMM, &flags), a);
        CHECK_EQ(f64_sub(a ^ F64_SIGN, half, FP_RMM, &flags), (a + 1) ^ F64_SIGN);
        CHECK_EQ(f64_fma(a, one, half, FP_RMM, &flags), a + 1);
        CHECK_EQ(f64_fma(a, one, less, FP_RMM, &flags), a);
        CHECK_EQ(f64_from_u64(2 * n + 1, FP_RMM, &flags), f64_raw(2.0 * (double)n) + 1);
    }
}

/* One line: what a pair of operands gives, for each comparison and selection. */
struct pair {
    u64 a, b;
    u64 min, max, minm, maxm;
    unsigned eq, lt, le;  /* results */
    u32 quiet, signaling; /* flags of eq, min, ltq.. and of lt, le */
};

#define P0  UINT64_C(0)
#define M0  F64_SIGN
#define P1  UINT64_C(0x3ff0000000000000)
#define M1  UINT64_C(0xbff0000000000000)
#define M2  UINT64_C(0xc000000000000000)
#define INF UINT64_C(0x7ff0000000000000)
#define QN  UINT64_C(0xfff8000000000123)
#define SN  UINT64_C(0x7ff0000000000001)
#define NN  F64_NAN

static const struct pair pairs[] = {
    {P0, M0, M0, P0, M0, P0, 1, 0, 1, 0, 0},
    {M0, P0, M0, P0, M0, P0, 1, 0, 1, 0, 0},
    {P1, P1, P1, P1, P1, P1, 1, 0, 1, 0, 0},
    {M1, P1, M1, P1, M1, P1, 0, 1, 1, 0, 0},
    {P1, M1, M1, P1, M1, P1, 0, 0, 0, 0, 0},
    {M2, M1, M2, M1, M2, M1, 0, 1, 1, 0, 0},
    {P1, INF, P1, INF, P1, INF, 0, 1, 1, 0, 0},
    {INF | M0, M2, INF | M0, M2, INF | M0, M2, 0, 1, 1, 0, 0},
    {P1, QN, P1, P1, NN, NN, 0, 0, 0, 0, FP_NV},
    {QN, INF, INF, INF, NN, NN, 0, 0, 0, 0, FP_NV},
    {SN, P1, P1, P1, NN, NN, 0, 0, 0, FP_NV, FP_NV},
    {QN, SN, NN, NN, NN, NN, 0, 0, 0, FP_NV, FP_NV},
    {QN, QN, NN, NN, NN, NN, 0, 0, 0, 0, FP_NV},
};

#define CHECK_PAIR(call, want, want_flags) \
    do {                                   \
        flags = 0;                         \
        CHECK_EQ(call, want);              \
        CHECK_EQ(flags, want_flags);       \
    } while (0)

TEST(compare_and_select)
{
    for (const struct pair *p = pairs; p < pairs + ARRAY_SIZE(pairs); p++) {
        u32 flags;

        CHECK_PAIR(f64_min(p->a, p->b, &flags), p->min, p->quiet);
        CHECK_PAIR(f64_max(p->a, p->b, &flags), p->max, p->quiet);
        CHECK_PAIR(f64_minm(p->a, p->b, &flags), p->minm, p->quiet);
        CHECK_PAIR(f64_maxm(p->a, p->b, &flags), p->maxm, p->quiet);
        CHECK_PAIR(f64_eq(p->a, p->b, &flags), p->eq, p->quiet);
        CHECK_PAIR(f64_lt(p->a, p->b, &flags), p->lt, p->signaling);
        CHECK_PAIR(f64_le(p->a, p->b, &flags), p->le, p->signaling);
        CHECK_PAIR(f64_ltq(p->a, p->b, &flags), p->lt, p->quiet);
        CHECK_PAIR(f64_leq(p->a, p->b, &flags), p->le, p->quiet);
    }
}

TEST(compare_like_host)
{
    u32 flags = 0;

    for (unsigned i = 0; i < HOST_ROUNDS; i++) {
        u64 a = random_f32(), b = i & 3 ? random_f32() : a ^ (random_next() & (F32_SIGN | 1));
        u64 h = random_f16(), k = random_f16();

        CHECK_EQ(f32_eq(a, b, &flags), f32_value(a) == f32_value(b));
        CHECK_EQ(f32_lt(a, b, &flags), f32_value(a) < f32_value(b));
        CHECK_EQ(f32_le(a, b, &flags), f32_value(a) <= f32_value(b));
        CHECK_EQ(f16_eq(h, k, &flags), f16_value(h) == f16_value(k));
        CHECK_EQ(f16_lt(h, k, &flags), f16_value(h) < f16_value(k));
        CHECK_EQ(f16_leq(h, k, &flags), f16_value(h) <= f16_value(k));
    }
}

TEST(classify)
{
    static const u64 f64_classes[10] = {
        INF | M0, M1, M0 | 1, M0, P0, 1, P1, INF, SN, QN,
    };
    static const u64 f32_classes[10] = {
        0xff800000, 0x80800000, 0x807fffff, 0x80000000, 0,
        0x007fffff, 0x7f7fffff, 0x7f800000, 0xffbfffff, 0x7fc00000,
    };
    static const u64 f16_classes[10] = {
        0xfc00, 0xfbff, 0x83ff, 0x8000, 0, 1, 0x0400, 0x7c00, 0x7dff, 0xfe00,
    };

    for (unsigned i = 0; i < 10; i++) {
        CHECK_EQ(f64_classify(f64_classes[i]), 1u << i);
        CHECK_EQ(f32_classify(f32_classes[i]), 1u << i);
        CHECK_EQ(f16_classify(f16_classes[i]), 1u << i);
    }
}

TEST(upper_bits_are_ignored)
{
    u64 box16 = ~UINT64_C(0xffff), box32 = ~UINT64_C(0xffffffff);
    u32 flags = 0;

    CHECK_EQ(f16_add(box16 | 0x3c00, box16 | 0x8000, FP_RNE, &flags), 0x3c00);
    CHECK_EQ(f32_min(box32 | 0x3f800000, F32_NAN, &flags), 0x3f800000);
    CHECK_EQ(f32_round(box32 | 0x7f000000, FP_RNE, &flags), 0x7f000000);
    CHECK_EQ(f32_eq(box32, F32_SIGN, &flags), 1);
    CHECK_EQ(flags, 0);
}

TEST(zeros_infinities_and_nan)
{
    u32 flags;

    CHECK_PAIR(f64_sub(INF, INF, FP_RNE, &flags), NN, FP_NV);
    CHECK_PAIR(f64_add(INF, INF, FP_RNE, &flags), INF, 0);
    CHECK_PAIR(f64_mul(INF, M0, FP_RNE, &flags), NN, FP_NV);
    CHECK_PAIR(f64_div(P0, M0, FP_RNE, &flags), NN, FP_NV);
    CHECK_PAIR(f64_div(M1, P0, FP_RNE, &flags), INF | M0, FP_DZ);
    CHECK_PAIR(f64_div(INF, P0, FP_RNE, &flags), INF, 0);
    CHECK_PAIR(f64_sqrt(M0, FP_RNE, &flags), M0, 0);
    CHECK_PAIR(f64_sqrt(M1, FP_RNE, &flags), NN, FP_NV);
    CHECK_PAIR(f64_fma(INF, P0, QN, FP_RNE, &flags), NN, FP_NV);
    CHECK_PAIR(f64_fma(INF, P1, INF | M0, FP_RNE, &flags), NN, FP_NV);
    CHECK_PAIR(f64_fma(P1, P1, QN, FP_RNE, &flags), NN, 0);
    CHECK_PAIR(f64_add(P1, M1, FP_RDN, &flags), M0, 0);
    CHECK_PAIR(f64_fma(P1, P1, M1, FP_RDN, &flags), M0, 0);
    CHECK_PAIR(f64_from_u64(0, FP_RDN, &flags), P0, 0);
    CHECK_PAIR(f64_from_s32(0, FP_RDN, &flags), P0, 0);
    CHECK_PAIR(f64_to_f32(SN, FP_RNE, &flags), F32_NAN, FP_NV);
    CHECK_PAIR(f32_to_f64(0xffc00001, FP_RNE, &flags), NN, 0);
    CHECK_PAIR(f64_round(SN, FP_RNE, &flags), NN, FP_NV);
    CHECK_PAIR(f64_round(f64_raw(-0.25), FP_RNE, &flags), M0, 0);
}

TEST(to_s32_modulo)
{
    static const struct {
        double in;
        s32 out;
        u32 flags;
    } rows[] = {
        {0, 0, 0},
        {-1.75, -1, FP_NX},
        {0x1p31, INT32_MIN, FP_NV},
        {-0x1p31, INT32_MIN, 0},
        {-0x1p31 - 0.5, INT32_MIN, FP_NX},
        {-0x1p31 - 1, INT32_MAX, FP_NV},
        {0x1p32 + 5, 5, FP_NV},
        {-0x1p32 - 5.5, -5, FP_NV},
        {0x1.fffffffffffffp52, -1, FP_NV},
        {0x1.fffffffffffffp83, INT32_MIN, FP_NV},
        {0x1.8000000000001p62, 1024, FP_NV},
        {0x1.0000000000001p83, INT32_MIN, FP_NV},
        {0x1p84, 0, FP_NV},
        {0x1p1023, 0, FP_NV},
        {INFINITY, 0, FP_NV},
        {NAN, 0, FP_NV},
        {0x1p-1074, 0, FP_NX},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        u32 flags;

        CHECK_PAIR(f64_to_s32_mod(f64_raw(rows[i].in), &flags), (u64)rows[i].out, rows[i].flags);
    }
}

TEST(fli_constants)
{
    static const double values[30] = {
        -1.0,  0,      0x1p-16, 0x1p-15, 0x1p-8, 0x1p-7, 0.0625, 0.125, 0.25,   0.3125,
        0.375, 0.4375, 0.5,     0.625,   0.75,   0.875,  1.0,    1.25,  1.5,    1.75,
        2.0,   2.5,    3.0,     4.0,     8.0,    16.0,   128.0,  256.0, 0x1p15, 0x1p16,
    };

    for (unsigned i = 0; i < 30; i++) {
        if (i == 1)
            continue;
        CHECK_EQ(f64_fli(i), f64_raw(values[i]));
        CHECK_EQ(f32_fli(i), f32_raw((float)values[i]));
        CHECK_EQ(f16_fli(i), i == 29 ? 0x7c00 : f16_reference(values[i], FP_RNE).value);
    }
    CHECK_EQ(f64_fli(1), UINT64_C(0x0010000000000000));
    CHECK_EQ(f32_fli(1), 0x00800000);
    CHECK_EQ(f16_fli(1), 0x0400);
    CHECK_EQ(f64_fli(30), INF);
    CHECK_EQ(f32_fli(30), 0x7f800000);
    CHECK_EQ(f16_fli(30), 0x7c00);
    CHECK_EQ(f64_fli(31), F64_NAN);
    CHECK_EQ(f32_fli(31), F32_NAN);
    CHECK_EQ(f16_fli(31), F16_NAN);
}

/* With the inexact flag set the host may do the work: the same value, and the other flags too. */
#define CHECK_HARD(call_with)                                                         \
    do {                                                                              \
        u32 soft_flags = 0, hard_flags = FP_NX;                                       \
        u64 soft_value = call_with(&soft_flags), hard_value = call_with(&hard_flags); \
        if (soft_value != hard_value || (soft_flags | FP_NX) != hard_flags) {         \
            CHECK_EQ(hard_value, soft_value);                                         \
            CHECK_EQ(hard_flags, soft_flags | FP_NX);                                 \
        }                                                                             \
    } while (0)

#define CHECK_HARD_ALL(F, a, b, c) \
    do {                           \
        CHECK_HARD(F##_add_);      \
        CHECK_HARD(F##_sub_);      \
        CHECK_HARD(F##_mul_);      \
        CHECK_HARD(F##_div_);      \
        CHECK_HARD(F##_fma_);      \
    } while (0)

#define f64_add_(flags) f64_add(a, b, rm, flags)
#define f64_sub_(flags) f64_sub(a, b, rm, flags)
#define f64_mul_(flags) f64_mul(a, b, rm, flags)
#define f64_div_(flags) f64_div(a, b, rm, flags)
#define f64_fma_(flags) f64_fma(a, b, c, rm, flags)
#define f32_add_(flags) f32_add(a, b, rm, flags)
#define f32_sub_(flags) f32_sub(a, b, rm, flags)
#define f32_mul_(flags) f32_mul(a, b, rm, flags)
#define f32_div_(flags) f32_div(a, b, rm, flags)
#define f32_fma_(flags) f32_fma(a, b, c, rm, flags)

TEST(host_arithmetic_is_indistinguishable)
{
    for (unsigned i = 0; i < HOST_ROUNDS; i++) {
        enum fp_round rm = i % 8 ? FP_RNE : (enum fp_round)(random_next() % 5);
        u64 a = random_f64(), b = random_f64(), c = random_f64();

        CHECK_HARD_ALL(f64, a, b, c);
        a = random_f32();
        b = random_f32();
        c = random_f32();
        CHECK_HARD_ALL(f32, a, b, c);
    }
}

TEST_MAIN()
