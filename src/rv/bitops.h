/* SPDX-License-Identifier: BSD-2-Clause */
/* Values of the RISC-V bit-manipulation and scalar cryptography instructions. */
#ifndef COSM_RV_BITOPS_H
#define COSM_RV_BITOPS_H

#include "base/types.h"

/*
 * Source: the RISC-V unprivileged specification, chapters B and Zk (RV64). Each function maps
 * register values to the register value that the instruction writes; 32-bit results are
 * sign-extended as there. Nothing here is constant-time (Zkt is not claimed).
 */

static inline unsigned bitops_clz64(u64 v)
{
    return v ? (unsigned)__builtin_clzll(v) : 64;
}

static inline unsigned bitops_ctz64(u64 v)
{
    return v ? (unsigned)__builtin_ctzll(v) : 64;
}

static inline unsigned bitops_cpop64(u64 v)
{
    return (unsigned)__builtin_popcountll(v);
}

static inline unsigned bitops_clz32(u32 v)
{
    return v ? (unsigned)__builtin_clz(v) : 32;
}

static inline unsigned bitops_ctz32(u32 v)
{
    return v ? (unsigned)__builtin_ctz(v) : 32;
}

static inline unsigned bitops_cpop32(u32 v)
{
    return (unsigned)__builtin_popcount(v);
}

/* Rotations by any amount, taken modulo the width. */
static inline u32 bitops_ror32(u32 v, unsigned n)
{
    return v >> (n & 31) | v << (-n & 31);
}

static inline u32 bitops_rol32(u32 v, unsigned n)
{
    return v << (n & 31) | v >> (-n & 31);
}

static inline u64 bitops_ror64(u64 v, unsigned n)
{
    return v >> (n & 63) | v << (-n & 63);
}

static inline u64 bitops_rol64(u64 v, unsigned n)
{
    return v << (n & 63) | v >> (-n & 63);
}

static inline u64 bitops_rev8(u64 v)
{
    return __builtin_bswap64(v);
}

/* Bytes that are not 0 become 0xff: the sum carries into bit 7 of each, and never out of it. */
static inline u64 bitops_orc_b(u64 v)
{
    u64 low = UINT64_C(0x7f7f7f7f7f7f7f7f);
    u64 set = (((v & low) + low) | v) & ~low;

    return (set >> 7) * 0xff;
}

/* Reverses the bits within each byte. */
static inline u64 bitops_brev8(u64 v)
{
    v = (v & UINT64_C(0x5555555555555555)) << 1 | (v >> 1 & UINT64_C(0x5555555555555555));
    v = (v & UINT64_C(0x3333333333333333)) << 2 | (v >> 2 & UINT64_C(0x3333333333333333));
    return (v & UINT64_C(0x0f0f0f0f0f0f0f0f)) << 4 | (v >> 4 & UINT64_C(0x0f0f0f0f0f0f0f0f));
}

u64 bitops_clmul(u64 a, u64 b);
u64 bitops_clmulh(u64 a, u64 b);
u64 bitops_clmulr(u64 a, u64 b);
u64 bitops_xperm4(u64 table, u64 indices);
u64 bitops_xperm8(u64 table, u64 indices);

/* Zknd, Zkne. rnum <= 10, others are reserved encodings. */
u64 bitops_aes64ds(u64 a, u64 b);
u64 bitops_aes64dsm(u64 a, u64 b);
u64 bitops_aes64es(u64 a, u64 b);
u64 bitops_aes64esm(u64 a, u64 b);
u64 bitops_aes64im(u64 a);
u64 bitops_aes64ks1i(u64 a, unsigned rnum);
u64 bitops_aes64ks2(u64 a, u64 b);

/* Zknh. */
u64 bitops_sha256sig0(u64 a);
u64 bitops_sha256sig1(u64 a);
u64 bitops_sha256sum0(u64 a);
u64 bitops_sha256sum1(u64 a);
u64 bitops_sha512sig0(u64 a);
u64 bitops_sha512sig1(u64 a);
u64 bitops_sha512sum0(u64 a);
u64 bitops_sha512sum1(u64 a);

/* Zksh, Zksed. byte_select < 4. */
u64 bitops_sm3p0(u64 a);
u64 bitops_sm3p1(u64 a);
u64 bitops_sm4ed(u64 a, u64 b, unsigned byte_select);
u64 bitops_sm4ks(u64 a, u64 b, unsigned byte_select);

#endif
