/* SPDX-License-Identifier: BSD-2-Clause */
/* The program that tests/gdb/gdb_real.py debugs: M-mode, two harts, no firmware. */
typedef unsigned long word;

volatile word counter;
volatile word watched;
volatile word hart1_rounds;
volatile double ratio = 1.5;
word stacks[2][512];

__attribute__((noinline)) word add(word a, word b)
{
    return a + b;
}

__attribute__((noinline)) void round_done(word n)
{
    counter = n;
}

void hart_main(word hart)
{
    if (hart) {
        for (;;)
            hart1_rounds = add(hart1_rounds, 1);
    }
    for (word n = 1;; n++) {
        word sum = add(n, 2 * n);
        if (n % 4 == 0)
            watched = sum;
        ratio = ratio * 2;
        round_done(n);
    }
}

__asm__(".globl _start\n"
        "_start:\n"
        "  li t0, 0x6000\n" /* mstatus.FS */
        "  csrs mstatus, t0\n"
        "  csrr a0, mhartid\n"
        "  la sp, stacks\n"
        "  slli t0, a0, 12\n"
        "  add sp, sp, t0\n"
        "  li t0, 4096\n"
        "  add sp, sp, t0\n"
        "  call hart_main\n"
        "  j .\n");
