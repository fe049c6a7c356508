/* SPDX-License-Identifier: BSD-2-Clause */
/* IEEE 754 binary16, binary32 and binary64 in integers, bit-exact as RISC-V F, D, Zfh, Zfa ask. */
#ifndef COSM_RV_SOFTFP_H
#define COSM_RV_SOFTFP_H

#include "base/types.h"

/*
 * Source: IEEE 754-2019 and the RISC-V unprivileged specification (F, D, Zfh, Zfa chapters).
 *
 * Values are raw encodings in the low bits of a u64; bits above the format are ignored in operands
 * and 0 in results. NaN-boxing is the caller's: check operands before, box results after.
 *
 * Exceptions are ORed into *flags, in the bit order of fflags. Tininess is detected after rounding.
 * A NaN result is always the canonical one. The caller resolves the dynamic rounding mode and
 * traps on reserved ones: rm must be one of enum fp_round.
 *
 * Functions are pure but for *flags: any thread may call them.
 */

/* The encoding of the rm field and of frm. */
enum fp_round {
    FP_RNE = 0, /* to nearest, ties to even */
    FP_RTZ = 1, /* towards zero */
    FP_RDN = 2, /* down */
    FP_RUP = 3, /* up */
    FP_RMM = 4, /* to nearest, ties away from zero */
};

/* The bits of fflags. */
enum fp_flag {
    FP_NX = 1,  /* inexact */
    FP_UF = 2,  /* underflow */
    FP_OF = 4,  /* overflow */
    FP_DZ = 8,  /* division by zero */
    FP_NV = 16, /* invalid operation */
};

#define F16_SIGN UINT64_C(0x8000)
#define F32_SIGN UINT64_C(0x80000000)
#define F64_SIGN UINT64_C(0x8000000000000000)

#define F16_NAN UINT64_C(0x7e00)
#define F32_NAN UINT64_C(0x7fc00000)
#define F64_NAN UINT64_C(0x7ff8000000000000)

/*
 * What each format F has:
 *
 * F_add .. F_fma  Arithmetic; F_fma is a * b + c rounded once. FMSUB passes c with its sign bit
 *                 flipped, FNMSUB a, FNMADD both a and c.
 * F_min, F_max    minimumNumber and maximumNumber: a NaN loses against a number, -0 < +0.
 * F_minm, F_maxm  The same but a NaN wins (Zfa).
 * F_eq .. F_leq   0 or 1. lt and le raise NV on every NaN, eq and the Zfa ltq, leq on signaling
 * ones. F_classify      The mask that FCLASS writes. F_round         To an integral value in the
 * same format (Zfa FROUND); F_roundnx also raises NX. F_to_s32 ..     As FCVT writes them into a
 * 64-bit register: 32-bit results, also the unsigned ones, are sign-extended; out of range
 * saturates and raises only NV; NaN counts as +infinity. F_fli           The Zfa constant of that
 * index, 0 <= index < 32.
 */
#define FP_DECLARE_ARITH(F)                                  \
    u64 F##_add(u64 a, u64 b, enum fp_round rm, u32 *flags); \
    u64 F##_sub(u64 a, u64 b, enum fp_round rm, u32 *flags); \
    u64 F##_mul(u64 a, u64 b, enum fp_round rm, u32 *flags); \
    u64 F##_div(u64 a, u64 b, enum fp_round rm, u32 *flags); \
    u64 F##_sqrt(u64 a, enum fp_round rm, u32 *flags);       \
    u64 F##_fma(u64 a, u64 b, u64 c, enum fp_round rm, u32 *flags);

#define FP_DECLARE_COMPARE(F)               \
    u64 F##_min(u64 a, u64 b, u32 *flags);  \
    u64 F##_max(u64 a, u64 b, u32 *flags);  \
    u64 F##_minm(u64 a, u64 b, u32 *flags); \
    u64 F##_maxm(u64 a, u64 b, u32 *flags); \
    u64 F##_eq(u64 a, u64 b, u32 *flags);   \
    u64 F##_lt(u64 a, u64 b, u32 *flags);   \
    u64 F##_le(u64 a, u64 b, u32 *flags);   \
    u64 F##_ltq(u64 a, u64 b, u32 *flags);  \
    u64 F##_leq(u64 a, u64 b, u32 *flags);  \
    u64 F##_classify(u64 a);

#define FP_DECLARE_CONVERT(F)                              \
    u64 F##_round(u64 a, enum fp_round rm, u32 *flags);    \
    u64 F##_roundnx(u64 a, enum fp_round rm, u32 *flags);  \
    u64 F##_to_s32(u64 a, enum fp_round rm, u32 *flags);   \
    u64 F##_to_u32(u64 a, enum fp_round rm, u32 *flags);   \
    u64 F##_to_s64(u64 a, enum fp_round rm, u32 *flags);   \
    u64 F##_to_u64(u64 a, enum fp_round rm, u32 *flags);   \
    u64 F##_from_s32(s32 v, enum fp_round rm, u32 *flags); \
    u64 F##_from_u32(u32 v, enum fp_round rm, u32 *flags); \
    u64 F##_from_s64(s64 v, enum fp_round rm, u32 *flags); \
    u64 F##_from_u64(u64 v, enum fp_round rm, u32 *flags); \
    u64 F##_fli(unsigned index);

#define FP_DECLARE(F)     \
    FP_DECLARE_ARITH(F)   \
    FP_DECLARE_COMPARE(F) \
    FP_DECLARE_CONVERT(F)

FP_DECLARE(f16)
FP_DECLARE(f32)
FP_DECLARE(f64)

#undef FP_DECLARE
#undef FP_DECLARE_ARITH
#undef FP_DECLARE_COMPARE
#undef FP_DECLARE_CONVERT

/* Between formats. Widening is exact but for NaN; it takes rm so that all have one shape. */
u64 f16_to_f32(u64 a, enum fp_round rm, u32 *flags);
u64 f16_to_f64(u64 a, enum fp_round rm, u32 *flags);
u64 f32_to_f16(u64 a, enum fp_round rm, u32 *flags);
u64 f32_to_f64(u64 a, enum fp_round rm, u32 *flags);
u64 f64_to_f16(u64 a, enum fp_round rm, u32 *flags);
u64 f64_to_f32(u64 a, enum fp_round rm, u32 *flags);

/* FCVTMOD.W.D: truncates modulo 2^32, sign-extended; infinities and NaN give 0. */
u64 f64_to_s32_mod(u64 a, u32 *flags);

#endif
