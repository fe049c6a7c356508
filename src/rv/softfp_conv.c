/* SPDX-License-Identifier: BSD-2-Clause */
/* Floating-point conversions: between formats, to and from integers, integral values, FLI. */
#include "rv/softfp.h"

#include "rv/softfp_int.h"

FP_CORE u64 fp_convert(u64 a, struct fp_format from, struct fp_format to, enum fp_round rm,
                       u32 *flags)
{
    struct fp_num x = fp_unpack(a, from);

    switch (x.kind) {
    case FP_ZERO:
        return fp_zero(x.sign, to);
    case FP_INF:
        return fp_inf(x.sign, to);
    case FP_NAN:
        if (fp_is_snan(a, from))
            *flags |= FP_NV;
        return fp_nan(to);
    case FP_FINITE:
        break;
    }
    return fp_pack(x.sign, x.exp, x.sig, to, rm, flags);
}

/* A finite magnitude rounded to an integer; needs x.exp <= 63. */
FP_CORE u64 fp_round_to_int(struct fp_num x, enum fp_round rm, bool *lost)
{
    u64 sig = x.sig;
    int shift = FP_LEAD - x.exp;

    if (shift <= 0) {
        *lost = false;
        return sig << -shift;
    }
    if (shift > FP_LEAD) {
        sig = fp_shift_right_jam(sig, (unsigned)(shift - FP_LEAD));
        shift = FP_LEAD;
    }
    return fp_round_sig(sig, (unsigned)shift, x.sign, rm, lost);
}

/* A target integer type. */
struct fp_int {
    unsigned bits;
    bool is_signed;
};

#define FP_S32 ((struct fp_int){32, true})
#define FP_U32 ((struct fp_int){32, false})
#define FP_S64 ((struct fp_int){64, true})
#define FP_U64 ((struct fp_int){64, false})

/* The greatest magnitude that type t has on that side of zero. */
FP_CORE u64 fp_int_limit(struct fp_int t, bool sign)
{
    if (!t.is_signed)
        return sign ? 0 : GENMASK(t.bits - 1, 0);
    return GENMASK(t.bits - 2, 0) + sign;
}

FP_CORE u64 fp_to_int(u64 a, struct fp_int t, struct fp_format f, enum fp_round rm, u32 *flags)
{
    struct fp_num x = fp_unpack(a, f);
    bool sign = x.sign && x.kind != FP_NAN, lost = false;
    u64 limit = fp_int_limit(t, sign), magnitude = 0;

    if (x.kind == FP_FINITE && x.exp <= 63)
        magnitude = fp_round_to_int(x, rm, &lost);
    if (UNLIKELY(x.kind > FP_FINITE || x.exp > 63 || magnitude > limit)) {
        *flags |= FP_NV;
        magnitude = limit;
    } else if (lost) {
        *flags |= FP_NX;
    }
    return sext(sign ? 0 - magnitude : magnitude, t.bits);
}

u64 f64_to_s32_mod(u64 a, u32 *flags)
{
    struct fp_num x = fp_unpack(a, FP_F64);
    u64 magnitude = 0;
    bool lost;

    f64_to_s32(a, FP_RTZ, flags);
    if (x.kind == FP_FINITE && x.exp <= 63)
        magnitude = fp_round_to_int(x, FP_RTZ, &lost);
    else if (x.kind == FP_FINITE && x.exp < FP_LEAD + 64)
        magnitude = x.sig << (x.exp - FP_LEAD);
    return sext(x.sign ? 0 - magnitude : magnitude, 32);
}

FP_CORE u64 fp_from_int(bool sign, u64 magnitude, struct fp_format f, enum fp_round rm, u32 *flags)
{
    if (!magnitude)
        return 0;
    return fp_normalize_pack(sign, FP_LEAD, magnitude, f, rm, flags);
}

FP_CORE u64 fp_from_signed(s64 v, struct fp_format f, enum fp_round rm, u32 *flags)
{
    return fp_from_int(v < 0, v < 0 ? 0 - (u64)v : (u64)v, f, rm, flags);
}

FP_CORE u64 fp_to_integral(u64 a, bool exact, struct fp_format f, enum fp_round rm, u32 *flags)
{
    struct fp_num x = fp_unpack(a, f);
    u64 magnitude;
    bool lost;

    if (x.kind == FP_NAN)
        return fp_convert(a, f, f, rm, flags);
    if (x.kind != FP_FINITE || x.exp >= (s32)f.frac)
        return a & fp_mask(f);
    magnitude = fp_round_to_int(x, rm, &lost);
    if (exact && lost)
        *flags |= FP_NX;
    return fp_zero(x.sign, f) | fp_from_int(false, magnitude, f, rm, flags);
}

/* The FLI constants as binary32; entry 1 stands for the format's smallest normal number. */
static const u32 fp_constants[32] = {
    0xbf800000, 0x00800000, 0x37800000, 0x38000000, 0x3b800000, 0x3c000000, 0x3d800000, 0x3e000000,
    0x3e800000, 0x3ea00000, 0x3ec00000, 0x3ee00000, 0x3f000000, 0x3f200000, 0x3f400000, 0x3f600000,
    0x3f800000, 0x3fa00000, 0x3fc00000, 0x3fe00000, 0x40000000, 0x40200000, 0x40400000, 0x40800000,
    0x41000000, 0x41800000, 0x43000000, 0x43800000, 0x47000000, 0x47800000, 0x7f800000, 0x7fc00000,
};

FP_CORE u64 fp_constant(unsigned index, struct fp_format f)
{
    u32 ignored = 0; /* 2^16 overflows binary16, to infinity as FLI.H wants it */

    if (index == 1)
        return BIT(f.frac);
    return fp_convert(fp_constants[index & 31], FP_F32, f, FP_RNE, &ignored);
}

#define FP_DEFINE(F, format)                                \
    u64 F##_round(u64 a, enum fp_round rm, u32 *flags)      \
    {                                                       \
        return fp_to_integral(a, false, format, rm, flags); \
    }                                                       \
    u64 F##_roundnx(u64 a, enum fp_round rm, u32 *flags)    \
    {                                                       \
        return fp_to_integral(a, true, format, rm, flags);  \
    }                                                       \
    u64 F##_to_s32(u64 a, enum fp_round rm, u32 *flags)     \
    {                                                       \
        return fp_to_int(a, FP_S32, format, rm, flags);     \
    }                                                       \
    u64 F##_to_u32(u64 a, enum fp_round rm, u32 *flags)     \
    {                                                       \
        return fp_to_int(a, FP_U32, format, rm, flags);     \
    }                                                       \
    u64 F##_to_s64(u64 a, enum fp_round rm, u32 *flags)     \
    {                                                       \
        return fp_to_int(a, FP_S64, format, rm, flags);     \
    }                                                       \
    u64 F##_to_u64(u64 a, enum fp_round rm, u32 *flags)     \
    {                                                       \
        return fp_to_int(a, FP_U64, format, rm, flags);     \
    }                                                       \
    u64 F##_from_s32(s32 v, enum fp_round rm, u32 *flags)   \
    {                                                       \
        return fp_from_signed(v, format, rm, flags);        \
    }                                                       \
    u64 F##_from_u32(u32 v, enum fp_round rm, u32 *flags)   \
    {                                                       \
        return fp_from_int(false, v, format, rm, flags);    \
    }                                                       \
    u64 F##_from_s64(s64 v, enum fp_round rm, u32 *flags)   \
    {                                                       \
        return fp_from_signed(v, format, rm, flags);        \
    }                                                       \
    u64 F##_from_u64(u64 v, enum fp_round rm, u32 *flags)   \
    {                                                       \
        return fp_from_int(false, v, format, rm, flags);    \
    }                                                       \
    u64 F##_fli(unsigned index)                             \
    {                                                       \
        return fp_constant(index, format);                  \
    }

FP_DEFINE(f16, FP_F16)
FP_DEFINE(f32, FP_F32)
FP_DEFINE(f64, FP_F64)

#define FP_DEFINE_CONVERT(name, from, to)          \
    u64 name(u64 a, enum fp_round rm, u32 *flags)  \
    {                                              \
        return fp_convert(a, from, to, rm, flags); \
    }

FP_DEFINE_CONVERT(f16_to_f32, FP_F16, FP_F32)
FP_DEFINE_CONVERT(f16_to_f64, FP_F16, FP_F64)
FP_DEFINE_CONVERT(f32_to_f16, FP_F32, FP_F16)
FP_DEFINE_CONVERT(f32_to_f64, FP_F32, FP_F64)
FP_DEFINE_CONVERT(f64_to_f16, FP_F64, FP_F16)
FP_DEFINE_CONVERT(f64_to_f32, FP_F64, FP_F32)
