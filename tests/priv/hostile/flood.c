/* SPDX-License-Identifier: BSD-2-Clause */
/* A flood: console output without asking for room, guest errors by the million, interrupts. */
#include "../priv.h"

static struct ctx c;

static void interrupts(u64 hart)
{
    for (u32 i = 0; i < 100000; i++) {
        u64 other = (hart + 1) % hart_count;

        write32(CLINT_BASE + 4 * other, i & 1);
        write64(CLINT_BASE + 0x4000 + 8 * other, mtime() + (i & 0xfff));
        write32(SSWI_BASE + 4 * other, 1);
        csr_write(0x14d, i);
    }
}

void tests(void)
{
    for (u32 i = 0; i < 500000; i++)
        *(volatile u8 *)UART_BASE =
            (u8)("0123456789abcdefghijklmnopqrstuvwxyz\033[2J\007\n"[i % 44]);
    for (u32 h = 1; h < hart_count; h++)
        hart_start(h, interrupts, h);
    /* What a log might want to tell of, each time. */
    for (u32 i = 0; i < 50000; i++) {
        c.x[10] = i & 1 ? HOLE + i * 8ul : PLIC_BASE + 0x3ff000 + i % 4096;
        run_insn(&c, PRIV_M, i & 2 ? insn_load(LB, 11, 10) : insn_store(SB, 11, 10));
        write32(0x10100000 + 16, i);
        write32(0x20000000, i);
        write32(0x101000 + (i & 0xffc), i);
        write32(FINISHER_BASE, i & 0xfff); /* no command */
    }
    interrupts(0);
    for (u32 h = 1; h < hart_count; h++)
        hart_join(h);
}
