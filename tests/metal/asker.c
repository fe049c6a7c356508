/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A driver of a device whose service is answerer.c: what it reads is what it wrote, or 0 once the
 * service has stopped. Of two harts each asks. Ends after ASK_COUNT accesses of its first; or, if
 * ASK_ZEROS, once it reads zeros.
 */
#include "guest.h"

#ifndef ASK_COUNT
#define ASK_COUNT 1000
#endif
#ifndef ASK_ZEROS
#define ASK_ZEROS 0
#endif
#ifndef ASK_ANYTHING
#define ASK_ANYTHING 0 /* the service answers as it likes */
#endif

static u64 registers;
static u32 wrong, zeros;

static void ask(u64 hart)
{
    volatile u32 *word = (volatile u32 *)(uintptr_t)(registers + 0x100 + 4 * hart);
    volatile u16 *half = (volatile u16 *)(uintptr_t)(registers + 0x102 + 4 * hart);
    volatile u32 *notify = (volatile u32 *)(uintptr_t)(registers + 0x50);

    for (u32 n = 1; hart || (ASK_ZEROS ? zeros < 10 : n < ASK_COUNT); n++) {
        u32 value = n * 0x10001, got;

        *word = value;
        *notify = n & 31;
        got = *word;
        zeros += got == 0;
        wrong += (got != value && !(got == 0 && ASK_ZEROS)) || (!got != !*half && !ASK_ZEROS);
    }
}

void guest_main(u64 hart, const void *tree)
{
    registers = fdt_address(tree, "virtio,mmio", 0);
    hart_start(hart ^ 1, ask, 1);
    ask(0);
    if (wrong && !ASK_ANYTHING)
        print("asked: %u WRONG\n", wrong);
    print("asked: done\n");
}
