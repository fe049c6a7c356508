/* SPDX-License-Identifier: BSD-2-Clause */
/* A page as full of jumps to where registers say, and of their targets, as a region can be. */
#include "../priv.h"

#define JUMPS 580

/* Steps of 6 bytes, each of which counts in a0 and jumps to the next by a register whose bit 0 is
 * of no account; then as many calls of one function as fit. */
__attribute__((naked, aligned(4096))) static u64 page(u64 sum __attribute__((unused)),
                                                      u64 rounds __attribute__((unused)))
{
    __asm__("mv t1, ra\n"
            "0: la a2, 1f\n"
            "andi a3, a1, 1\n"
            "add a2, a2, a3\n"
            "jr a2\n"
            ".option push\n"
            ".option rvc\n"
            "1:\n"
            ".rept 580\n"
            "c.addi a0, 1\n"
            "c.addi a2, 6\n"
            "c.jr a2\n"
            ".endr\n"
            "la a2, 2f\n"
            ".rept 60\n"
            "c.jalr a2\n"
            ".endr\n"
            ".option pop\n"
            "addi a1, a1, -1\n"
            "la a2, 0b\n"
            "beqz a1, 3f\n"
            "jr a2\n"
            "2: addi a0, a0, 1\n"
            "ret\n"
            "3: jr t1\n");
}

void tests(void)
{
    CHECK(page(0, 30000) == 30000 * (JUMPS + 60));
}
