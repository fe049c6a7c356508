/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls to the firmware below (RISC-V SBI Specification, chapter 3). */
#ifndef COSM_METAL_SBI_CALL_H
#define COSM_METAL_SBI_CALL_H

#include "base/types.h"

/* Returns the error, an enum sbi_error. */
static inline s64 sbi_call(u64 ext, u64 func, u64 a, u64 b, u64 c)
{
    register u64 a0 __asm__("a0") = a;
    register u64 a1 __asm__("a1") = b;
    register u64 a2 __asm__("a2") = c;
    register u64 a6 __asm__("a6") = func;
    register u64 a7 __asm__("a7") = ext;

    __asm__ volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a6), "r"(a7) : "memory");
    return (s64)a0;
}

#endif
