/* SPDX-License-Identifier: BSD-2-Clause */
/* The core that softfp*.c specialise for each format: unpacked numbers, rounding and packing. */
#ifndef COSM_RV_SOFTFP_INT_H
#define COSM_RV_SOFTFP_INT_H

#include "base/bits.h"
#include "rv/softfp.h"

/* Inlined always, so that a constant format and its masks fold into each public function. */
#define FP_CORE static inline __attribute__((always_inline))

struct fp_format {
    unsigned frac; /* bits of the fraction field */
    unsigned exp;  /* bits of the exponent field */
};

#define FP_F16 ((struct fp_format){10, 5})
#define FP_F32 ((struct fp_format){23, 8})
#define FP_F64 ((struct fp_format){52, 11})

/* The leading bit of a finite number's significand: one spare bit above takes carries. */
#define FP_LEAD 62

enum fp_kind { FP_ZERO, FP_FINITE, FP_INF, FP_NAN };

/* A FINITE one is not zero; its magnitude is sig * 2^(exp - FP_LEAD), bit FP_LEAD of sig set. */
struct fp_num {
    enum fp_kind kind;
    bool sign;
    s32 exp;
    u64 sig;
};

FP_CORE unsigned fp_width(struct fp_format f)
{
    return 1 + f.exp + f.frac;
}

FP_CORE u64 fp_mask(struct fp_format f)
{
    return GENMASK(fp_width(f) - 1, 0);
}

FP_CORE u64 fp_sign_bit(struct fp_format f)
{
    return BIT(f.exp + f.frac);
}

FP_CORE s32 fp_bias(struct fp_format f)
{
    return (s32)BIT(f.exp - 1) - 1;
}

/* The exponent field of infinities and NaN. */
FP_CORE s32 fp_exp_max(struct fp_format f)
{
    return (s32)BIT(f.exp) - 1;
}

FP_CORE u64 fp_zero(bool sign, struct fp_format f)
{
    return sign ? fp_sign_bit(f) : 0;
}

FP_CORE u64 fp_inf(bool sign, struct fp_format f)
{
    return fp_zero(sign, f) | (u64)fp_exp_max(f) << f.frac;
}

FP_CORE u64 fp_nan(struct fp_format f)
{
    return fp_inf(false, f) | BIT(f.frac - 1);
}

FP_CORE u64 fp_invalid(struct fp_format f, u32 *flags)
{
    *flags |= FP_NV;
    return fp_nan(f);
}

FP_CORE bool fp_sign(u64 a, struct fp_format f)
{
    return a & fp_sign_bit(f);
}

FP_CORE bool fp_is_nan(u64 a, struct fp_format f)
{
    return (a & (fp_sign_bit(f) - 1)) > fp_inf(false, f);
}

FP_CORE bool fp_is_snan(u64 a, struct fp_format f)
{
    return fp_is_nan(a, f) && !(a & BIT(f.frac - 1));
}

/* v >> n, with the lowest bit of the result set when bits that are not 0 were lost; n is any. */
FP_CORE u64 fp_shift_right_jam(u64 v, unsigned n)
{
    if (n == 0)
        return v;
    if (n > 63)
        return v != 0;
    return v >> n | ((v << (64 - n)) != 0);
}

FP_CORE struct fp_num fp_unpack(u64 a, struct fp_format f)
{
    u64 frac = a & (BIT(f.frac) - 1);
    s32 exp = (s32)(a >> f.frac & (BIT(f.exp) - 1));
    struct fp_num n = {.kind = FP_FINITE, .sign = fp_sign(a, f)};

    if (UNLIKELY(exp == fp_exp_max(f))) {
        n.kind = frac ? FP_NAN : FP_INF;
    } else if (LIKELY(exp)) {
        n.exp = exp - fp_bias(f);
        n.sig = (frac | BIT(f.frac)) << (FP_LEAD - f.frac);
    } else if (frac) {
        unsigned lead = log2_floor(frac);

        n.exp = 1 - fp_bias(f) - (s32)(f.frac - lead);
        n.sig = frac << (FP_LEAD - lead);
    } else {
        n.kind = FP_ZERO;
    }
    return n;
}

/* sig without its low shift bits (0 < shift < 63), rounded; *lost tells whether they held any. */
FP_CORE u64 fp_round_sig(u64 sig, unsigned shift, bool sign, enum fp_round rm, bool *lost)
{
    u64 rest = sig & (BIT(shift) - 1), half = BIT(shift - 1), add = 0, kept;

    if (rm == FP_RNE || rm == FP_RMM)
        add = half;
    else if (rm == (sign ? FP_RDN : FP_RUP))
        add = BIT(shift) - 1;
    kept = (sig + add) >> shift;
    if (rm == FP_RNE && rest == half)
        kept &= ~UINT64_C(1);
    *lost = rest != 0;
    return kept;
}

FP_CORE u64 fp_overflow(bool sign, struct fp_format f, enum fp_round rm, u32 *flags)
{
    bool to_inf = rm == FP_RNE || rm == FP_RMM || rm == (sign ? FP_RDN : FP_RUP);

    *flags |= FP_OF | FP_NX;
    return fp_inf(sign, f) - !to_inf;
}

/* The encoding of a finite number with bit FP_LEAD of sig set; the lowest bit may be a jam. */
FP_CORE u64 fp_pack(bool sign, s32 exp, u64 sig, struct fp_format f, enum fp_round rm, u32 *flags)
{
    unsigned shift = FP_LEAD - f.frac;
    s32 field = exp + fp_bias(f);
    bool tiny = false, lost;
    u64 kept;

    if (UNLIKELY(field <= 0)) {
        /* After rounding: tiny unless full precision would carry into the smallest normal. */
        kept = fp_round_sig(sig, shift, sign, rm, &lost);
        tiny = field < 0 || kept <= GENMASK(f.frac, 0);
        sig = fp_shift_right_jam(sig, (unsigned)(1 - field));
        field = 1;
    }
    if (UNLIKELY(field >= fp_exp_max(f)))
        return fp_overflow(sign, f, rm, flags);
    kept = fp_round_sig(sig, shift, sign, rm, &lost);
    /* The leading bit of kept adds one to the field; a carry out of rounding adds another. */
    kept += (u64)(field - 1) << f.frac;
    if (UNLIKELY(kept >= fp_inf(false, f)))
        return fp_overflow(sign, f, rm, flags);
    if (lost)
        *flags |= tiny ? FP_NX | FP_UF : FP_NX;
    return fp_zero(sign, f) | kept;
}

/* fp_pack for any sig but 0. */
FP_CORE u64 fp_normalize_pack(bool sign, s32 exp, u64 sig, struct fp_format f, enum fp_round rm,
                              u32 *flags)
{
    int up = FP_LEAD - (int)log2_floor(sig);

    if (up < 0)
        return fp_pack(sign, exp + 1, fp_shift_right_jam(sig, 1), f, rm, flags);
    return fp_pack(sign, exp - up, sig << up, f, rm, flags);
}

#endif
