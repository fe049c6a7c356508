/* SPDX-License-Identifier: BSD-2-Clause */
/* What the compiler calls for __builtin_ctzll where the base ISA has no instruction for it. */
#include "base/types.h"

int __ctzdi2(u64 v);

/* v is not 0. */
int __ctzdi2(u64 v)
{
    int n = 0;

    for (u32 half = 32; half; half /= 2) {
        if (!(v & ((UINT64_C(1) << half) - 1))) {
            v >>= half;
            n += (int)half;
        }
    }
    return n;
}
