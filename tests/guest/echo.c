/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * No attack: the neighbour of a hostile guest. It sleeps until a byte comes over the UART and sends
 * it back; after a 'b' all its harts are busy instead, without harm.
 */
#include "../priv/priv.h"

#define UART_IRQ 10

enum { RBR = 0, IER = 1, LSR = 5 };
#define CLAIM (PLIC_BASE + 0x200004) /* of the first hart's M-mode */

static void busy(u64 arg)
{
    (void)arg;
    for (;;)
        __asm__ volatile("" ::: "memory");
}

static void all_busy(void)
{
    for (u32 h = 1; h < hart_count; h++)
        hart_start(h, busy, 0);
    busy(0);
}

static void serve(void)
{
    while (*(volatile u8 *)(UART_BASE + LSR) & 1) {
        u8 byte = *(volatile u8 *)(UART_BASE + RBR);

        if (byte == 'b')
            all_busy();
        *(volatile u8 *)UART_BASE = byte;
    }
}

void tests(void)
{
    write32(PLIC_BASE + 4 * UART_IRQ, 1);
    write32(PLIC_BASE + 0x2000, 1u << UART_IRQ);
    write32(PLIC_BASE + 0x200000, 0);
    *(volatile u8 *)(UART_BASE + IER) = 1;
    csr_write(mie, BIT(11)); /* wakes up, and traps nowhere: mstatus.MIE is off */
    print("ready\n");
    for (;;) {
        u32 irq = read32(CLAIM);

        serve();
        write32(CLAIM, irq);
        __asm__ volatile("wfi" ::: "memory");
    }
}
