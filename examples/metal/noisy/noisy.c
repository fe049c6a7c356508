/* SPDX-License-Identifier: BSD-2-Clause */
/* A neighbour that behaves as badly as it can: it calls, fences, faults, and accesses what is not
 * its own, without end. Nothing of it reaches another partition. */
#include "guest.h"

static void load(u64 address)
{
    (void)*(volatile u64 *)(uintptr_t)address;
}

static void store(u64 address)
{
    *(volatile u64 *)(uintptr_t)address = address;
}

static void illegal(u64 unused)
{
    (void)unused;
    __asm__ volatile(".4byte 0");
}

void guest_main(u64 hart, const void *tree)
{
    (void)tree;
    print("noise begins\n");
    for (u64 n = 0;; n++) {
        u64 address = n * UINT64_C(0x9e3779b97f4a7c15) >> 24;

        cosm_sbi(SBI_TIME, 0, 0, 0, 0);
        sbi_ipi(hart);
        sbi_call(SBI_RFENCE, 1, (u64[6]){1, hart, 0, UINT64_MAX});
        attempt(load, address);
        if (address < 0x80000000)
            attempt(store, address);
        attempt(illegal, 0);
        cosm_doorbell((u32)n);
        if (n % 100000 == 0)
            print("noise %lu\n", n);
    }
}
