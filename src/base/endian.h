/* SPDX-License-Identifier: BSD-2-Clause */
/* Loads and stores of wire and file layouts: any alignment, stated byte order. */
#ifndef COSM_BASE_ENDIAN_H
#define COSM_BASE_ENDIAN_H

#include "base/types.h"

#define ENDIAN_ACCESSORS(bits)                              \
    static inline u##bits le##bits##_load(const void *p)    \
    {                                                       \
        const u8 *b = p;                                    \
        u64 v = 0;                                          \
        for (unsigned i = 0; i < (bits) / 8; i++)           \
            v |= (u64)b[i] << (8 * i);                      \
        return (u##bits)v;                                  \
    }                                                       \
    static inline void le##bits##_store(void *p, u##bits v) \
    {                                                       \
        u8 *b = p;                                          \
        for (unsigned i = 0; i < (bits) / 8; i++)           \
            b[i] = (u8)((u64)v >> (8 * i));                 \
    }                                                       \
    static inline u##bits be##bits##_load(const void *p)    \
    {                                                       \
        const u8 *b = p;                                    \
        u64 v = 0;                                          \
        for (unsigned i = 0; i < (bits) / 8; i++)           \
            v = v << 8 | b[i];                              \
        return (u##bits)v;                                  \
    }                                                       \
    static inline void be##bits##_store(void *p, u##bits v) \
    {                                                       \
        u8 *b = p;                                          \
        for (unsigned i = 0; i < (bits) / 8; i++)           \
            b[i] = (u8)((u64)v >> ((bits)-8 - 8 * i));      \
    }

ENDIAN_ACCESSORS(16)
ENDIAN_ACCESSORS(32)
ENDIAN_ACCESSORS(64)
#undef ENDIAN_ACCESSORS

#endif
