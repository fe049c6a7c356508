/* SPDX-License-Identifier: BSD-2-Clause */
/* Fixed-width integers, address types and the few attributes that every layer uses. */
#ifndef COSM_BASE_TYPES_H
#define COSM_BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
__extension__ typedef unsigned __int128 u128;
__extension__ typedef __int128 s128;

typedef u64 gpa_t; /* guest-physical address */
typedef u64 gva_t; /* guest-virtual address */

#define MUST_CHECK        __attribute__((warn_unused_result))
#define NOINLINE          __attribute__((noinline))
#define ALWAYS_INLINE     inline __attribute__((always_inline))
#define COLD              __attribute__((cold)) /* seldom called: made for size */
#define NORETURN          __attribute__((noreturn))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define LIKELY(x)         __builtin_expect(!!(x), 1)
#define UNLIKELY(x)       __builtin_expect(!!(x), 0)

#define ARRAY_SIZE(a)                 (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, memb) ((type *)(void *)((char *)(ptr)-offsetof(type, memb)))

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

#endif
