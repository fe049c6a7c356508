/* SPDX-License-Identifier: BSD-2-Clause */
/* A page as full of returns and of places to return to as a translator's region can be. */
#include "../priv.h"

__attribute__((naked, aligned(4096))) static void page(u64 zero __attribute__((unused)),
                                                       u64 rounds __attribute__((unused)))
{
    __asm__("mv t1, ra\n"
            "0:\n"
            ".option push\n"
            ".option rvc\n"
            ".rept 330\n"
            "c.beqz a0, 1f\n"
            "c.jr ra\n"
            "1:\n"
            ".endr\n"
            ".option pop\n"
            ".rept 6\n"
            "jal ra, 2f\n"
            ".endr\n"
            "addi a1, a1, -1\n"
            "bnez a1, 0b\n"
            "jr t1\n"
            "2: ret\n");
}

void tests(void)
{
    page(0, 1000000);
}
