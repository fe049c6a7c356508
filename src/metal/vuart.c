/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An emulated 8250: always ready to send. It has no wire to an interrupt controller, but IIR says
 * what it would interrupt for, as drivers that poll want to know.
 */
#include "metal/vuart.h"

#include "base/bits.h"
#include "base/mem.h"
#include "metal/console.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR, REGISTERS };

#define LCR_DLAB    BIT(7) /* data and IER are the divisor's bytes */
#define LSR_READY   BIT(0)
#define LSR_EMPTY   (BIT(5) | BIT(6))
#define IER_RECEIVE BIT(0)
#define IER_SEND    BIT(1)
#define IIR_NONE    0x01
#define IIR_SEND    0x02
#define IIR_RECEIVE 0x04
#define IIR_FIFO    0xc0
#define MSR_READY   0xb0 /* DCD, DSR, CTS */

/* By partition: what was written, the byte that waits to be read. */
static struct {
    u8 reg[REGISTERS], divisor[2];
    u8 byte;
    bool waiting;
} uart[METAL_PARTITIONS_MAX];

void vuart_reset(struct partition *p)
{
    memset(&uart[p->index], 0, sizeof(uart[0]));
}

static u8 read(struct partition *p, u32 reg)
{
    bool divisor = uart[p->index].reg[LCR] & LCR_DLAB && reg <= IER;
    bool *waiting = &uart[p->index].waiting;
    u8 ier = uart[p->index].reg[IER];

    if (divisor)
        return uart[p->index].divisor[reg];
    if (!*waiting && (reg == DATA || reg == IIR || reg == LSR))
        *waiting = console_read(p, &uart[p->index].byte, 1);
    switch (reg) {
    case DATA:
        if (!*waiting)
            return 0;
        *waiting = false;
        return uart[p->index].byte;
    case IIR:
        return IIR_FIFO | (ier & IER_RECEIVE && *waiting ? IIR_RECEIVE
                           : ier & IER_SEND              ? IIR_SEND
                                                         : IIR_NONE);
    case LSR:
        return (u8)((console_has_room(p) ? LSR_EMPTY : 0) | (*waiting ? LSR_READY : 0));
    case MSR:
        return MSR_READY;
    default:
        return uart[p->index].reg[reg];
    }
}

static void write(struct partition *p, u32 reg, u8 byte)
{
    if (uart[p->index].reg[LCR] & LCR_DLAB && reg <= IER)
        uart[p->index].divisor[reg] = byte;
    else if (reg == DATA)
        console_write(p, &byte, 1);
    else
        uart[p->index].reg[reg] = byte;
}

s64 vuart_read(struct partition *p, u64 offset, u32 width)
{
    if (width != 1)
        return -1;
    return offset < REGISTERS ? read(p, (u32)offset) : 0;
}

bool vuart_write(struct partition *p, u64 offset, u32 width, u64 value)
{
    if (width != 1)
        return false;
    if (offset < REGISTERS)
        write(p, (u32)offset, (u8)value);
    return true;
}
