/* SPDX-License-Identifier: BSD-2-Clause */
/* National 16550A serial port: FIFOs, interrupts, loopback; the baud rate is kept and ignored. */
#ifndef COSM_DEVICE_UART16550_H
#define COSM_DEVICE_UART16550_H

#include "device/device.h"
#include "port/chardev.h"

#define UART16550_SIZE     0x100 /* bytes of MMIO */
#define UART16550_CLOCK_HZ 3686400
#define UART16550_FIFO     16 /* as the guest was promised */
#define UART16550_RING     64 /* bytes we hold, power of two */

struct uart16550_ring {
    u8 byte[UART16550_RING];
    u32 head, tail; /* free-running: tail - head bytes are held */
};

struct uart16550 {
    struct device dev;
    u8 ier, fcr, lcr, mcr, scr;
    u8 lsr_errors; /* OE, BI: kept until LSR is read */
    u8 msr;        /* modem lines and their deltas */
    u16 divisor;
    bool thre_pending; /* THR became empty and IIR has not told it yet */
    bool refused;      /* receive took less than it was offered: tell the chardev of room */
    bool sending;      /* a thread empties tx */
    bool irq_level;
    struct uart16550_ring rx, tx;
    struct irq_line irq;
    struct chardev chardev;
};

struct uart16550_config {
    const char *id;
    gpa_t base;
    const struct log *log;
    struct irq_line irq;
    struct chardev chardev;
};

void uart16550_init(struct uart16550 *uart, const struct uart16550_config *config);

/* Bytes from the host; returns how many were taken. If fewer than len, chardev.room follows. */
size_t uart16550_receive(struct uart16550 *uart, const u8 *bytes, size_t len);

/* The host side signals a break. */
void uart16550_break(struct uart16550 *uart);

#endif
