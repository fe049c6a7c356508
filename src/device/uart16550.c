/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * National 16550A serial port (National Semiconductor PC16550D data sheet).
 *
 * Theory of operation. Bytes from the host wait in rx, bytes from the guest in tx; both rings are
 * larger than the 16 bytes that the guest was promised. A byte that a hart writes is sent by the
 * same access after the device's lock is released (deferred), so THR is empty again when the
 * hart looks; only when two harts write at once may tx hold bytes for a moment. THRE therefore
 * says: 16 more bytes fit.
 *
 * The receive timeout has no clock: bytes below the trigger level raise it at once, since no
 * more of them are on a wire. An interrupt is a function of the state, computed by uart_iir.
 */
#include "device/uart16550.h"

#include "base/mem.h"

enum { IER_RDI = 0x01, IER_THRI = 0x02, IER_RLSI = 0x04, IER_MSI = 0x08, IER_ALL = 0x0f };
enum {
    IIR_MSI = 0x00,
    IIR_NONE = 0x01,
    IIR_THRI = 0x02,
    IIR_RDI = 0x04,
    IIR_RLSI = 0x06,
    IIR_TIMEOUT = 0x0c,
    IIR_FIFO = 0xc0,
};
enum { FCR_ENABLE = 0x01, FCR_CLEAR_RX = 0x02, FCR_CLEAR_TX = 0x04, FCR_KEPT = 0xc9 };
enum { LCR_DLAB = 0x80 };
enum { MCR_DTR = 0x01, MCR_RTS = 0x02, MCR_OUT1 = 0x04, MCR_OUT2 = 0x08, MCR_LOOP = 0x10 };
enum { LSR_DR = 0x01, LSR_OE = 0x02, LSR_BI = 0x10, LSR_THRE = 0x20, LSR_TEMT = 0x40 };
enum {
    MSR_DELTA = 0x0f,
    MSR_TERI = 0x04,
    MSR_CTS = 0x10,
    MSR_DSR = 0x20,
    MSR_RI = 0x40,
    MSR_DCD = 0x80,
    MSR_LINES = 0xf0,
};

static struct uart16550 *uart_of(struct device *dev)
{
    return CONTAINER_OF(dev, struct uart16550, dev);
}

static u32 ring_count(const struct uart16550_ring *ring)
{
    return ring->tail - ring->head;
}

static void ring_put(struct uart16550_ring *ring, u8 byte)
{
    ring->byte[ring->tail++ % UART16550_RING] = byte;
}

static u8 ring_get(struct uart16550_ring *ring)
{
    return ring->byte[ring->head++ % UART16550_RING];
}

static void ring_clear(struct uart16550_ring *ring)
{
    ring->head = ring->tail;
}

/* Bytes of host input that we hold at most. */
static u32 rx_limit(const struct uart16550 *uart)
{
    if (uart->mcr & MCR_LOOP)
        return 0;
    return uart->fcr & FCR_ENABLE ? UART16550_RING : 1;
}

static bool thr_is_empty(const struct uart16550 *uart)
{
    return ring_count(&uart->tx) <= UART16550_RING - UART16550_FIFO;
}

static u32 rx_trigger(const struct uart16550 *uart)
{
    static const u8 level[] = {1, 4, 8, 14};

    return uart->fcr & FCR_ENABLE ? level[uart->fcr >> 6] : 1;
}

static u8 uart_iir(const struct uart16550 *uart)
{
    u8 fifo = uart->fcr & FCR_ENABLE ? IIR_FIFO : 0;
    u32 held = ring_count(&uart->rx);

    if ((uart->ier & IER_RLSI) && uart->lsr_errors)
        return fifo | IIR_RLSI;
    if ((uart->ier & IER_RDI) && held)
        return fifo | (held >= rx_trigger(uart) ? IIR_RDI : IIR_TIMEOUT);
    if ((uart->ier & IER_THRI) && uart->thre_pending)
        return fifo | IIR_THRI;
    if ((uart->ier & IER_MSI) && (uart->msr & MSR_DELTA))
        return fifo | IIR_MSI;
    return fifo | IIR_NONE;
}

/* Is the chardev to be told that receive takes bytes again? Not for each single byte. */
static bool room_is_due(const struct uart16550 *uart)
{
    u32 limit = rx_limit(uart);

    return uart->refused && limit && ring_count(&uart->rx) <= limit / 2;
}

/* After any change of state: the interrupt wire, and what is to do without the lock. */
static void uart_update_locked(struct uart16550 *uart)
{
    bool level = (uart_iir(uart) & 0x0f) != IIR_NONE;

    if (level != uart->irq_level) {
        uart->irq_level = level;
        irq_set(&uart->irq, level);
    }
    if ((ring_count(&uart->tx) && !uart->sending) || room_is_due(uart))
        uart->dev.deferred = true;
}

/* Empties tx into the chardev, in order: one thread at a time, others leave it their bytes. */
static void uart_send_locked(struct uart16550 *uart)
{
    u8 chunk[UART16550_RING];

    if (uart->sending)
        return;
    uart->sending = true;
    while (ring_count(&uart->tx)) {
        bool was_empty = thr_is_empty(uart);
        size_t len = 0;

        while (ring_count(&uart->tx))
            chunk[len++] = ring_get(&uart->tx);
        uart->thre_pending = uart->thre_pending || !was_empty;
        lock_release(&uart->dev.lock);
        chardev_write(&uart->chardev, chunk, len);
        lock_acquire(&uart->dev.lock);
    }
    uart->sending = false;
}

static void uart_deferred(struct device *dev)
{
    struct uart16550 *uart = uart_of(dev);
    bool room;

    lock_acquire(&dev->lock);
    uart_send_locked(uart);
    uart_update_locked(uart);
    room = room_is_due(uart);
    if (room)
        uart->refused = false;
    dev->deferred = false;
    lock_release(&dev->lock);
    if (room)
        chardev_room(&uart->chardev);
}

/* MCR's outputs come back as MSR's inputs in loopback; else the far end is always ready. */
static void modem_update_locked(struct uart16550 *uart)
{
    u8 old = uart->msr & MSR_LINES, now = MSR_CTS | MSR_DSR | MSR_DCD;

    if (uart->mcr & MCR_LOOP) {
        now = (uart->mcr & MCR_RTS ? MSR_CTS : 0) | (uart->mcr & MCR_DTR ? MSR_DSR : 0) |
              (uart->mcr & MCR_OUT1 ? MSR_RI : 0) | (uart->mcr & MCR_OUT2 ? MSR_DCD : 0);
    }
    uart->msr |= ((old ^ now) & ~MSR_RI) >> 4;
    if (old & ~now & MSR_RI)
        uart->msr |= MSR_TERI;
    uart->msr = (uart->msr & MSR_DELTA) | now;
}

/* In loopback the receiver has no more than the 16 bytes of the real part (or one). */
static void loop_byte_locked(struct uart16550 *uart, u8 byte)
{
    u32 limit = uart->fcr & FCR_ENABLE ? UART16550_FIFO : 1;

    if (ring_count(&uart->rx) < limit)
        ring_put(&uart->rx, byte);
    else
        uart->lsr_errors |= LSR_OE;
}

static u64 data_read(struct device *dev, u32 index)
{
    struct uart16550 *uart = uart_of(dev);
    u8 byte = 0;

    if (uart->lcr & LCR_DLAB)
        return uart->divisor & 0xff;
    if (ring_count(&uart->rx))
        byte = ring_get(&uart->rx);
    if (!ring_count(&uart->rx))
        uart->lsr_errors &= ~LSR_BI;
    uart_update_locked(uart);
    return byte;
}

static void data_wrote(struct device *dev, u32 index, u64 value)
{
    struct uart16550 *uart = uart_of(dev);

    if (uart->lcr & LCR_DLAB) {
        uart->divisor = (uart->divisor & 0xff00) | (value & 0xff);
        return;
    }
    if (uart->mcr & MCR_LOOP)
        loop_byte_locked(uart, (u8)value);
    else if (ring_count(&uart->tx) < UART16550_RING)
        ring_put(&uart->tx, (u8)value);
    uart->thre_pending = thr_is_empty(uart);
    uart_update_locked(uart);
}

static u64 ier_read(struct device *dev, u32 index)
{
    struct uart16550 *uart = uart_of(dev);

    return uart->lcr & LCR_DLAB ? uart->divisor >> 8 : uart->ier;
}

static void ier_wrote(struct device *dev, u32 index, u64 value)
{
    struct uart16550 *uart = uart_of(dev);
    u8 changed = (uart->ier ^ value) & IER_ALL;

    if (uart->lcr & LCR_DLAB) {
        uart->divisor = (u16)((uart->divisor & 0xff) | (value & 0xff) << 8);
        return;
    }
    uart->ier = value & IER_ALL;
    /* Drivers enable the interrupt to be called at once when THR is empty, even if told before. */
    if (changed & IER_THRI)
        uart->thre_pending = (uart->ier & IER_THRI) && thr_is_empty(uart);
    uart_update_locked(uart);
}

static u64 iir_read(struct device *dev, u32 index)
{
    struct uart16550 *uart = uart_of(dev);
    u8 iir = uart_iir(uart);

    if ((iir & 0x0f) == IIR_THRI) {
        uart->thre_pending = false;
        uart_update_locked(uart);
    }
    return iir;
}

static void fcr_wrote(struct device *dev, u32 index, u64 value)
{
    struct uart16550 *uart = uart_of(dev);

    if ((uart->fcr ^ value) & FCR_ENABLE)
        value |= FCR_CLEAR_RX | FCR_CLEAR_TX;
    if (value & FCR_CLEAR_RX) {
        ring_clear(&uart->rx);
        uart->lsr_errors &= ~LSR_BI;
    }
    if (value & FCR_CLEAR_TX) {
        ring_clear(&uart->tx);
        uart->thre_pending = true;
    }
    uart->fcr = value & FCR_KEPT;
    uart_update_locked(uart);
}

static void mcr_wrote(struct device *dev, u32 index, u64 value)
{
    struct uart16550 *uart = uart_of(dev);

    modem_update_locked(uart);
    uart_update_locked(uart);
}

static u64 lsr_read(struct device *dev, u32 index)
{
    struct uart16550 *uart = uart_of(dev);
    u8 lsr = uart->lsr_errors;

    if (ring_count(&uart->rx))
        lsr |= LSR_DR;
    if (thr_is_empty(uart))
        lsr |= LSR_THRE;
    if (!ring_count(&uart->tx) && !uart->sending)
        lsr |= LSR_TEMT;
    if (uart->lsr_errors) {
        uart->lsr_errors = 0;
        uart_update_locked(uart);
    }
    return lsr;
}

static u64 msr_read(struct device *dev, u32 index)
{
    struct uart16550 *uart = uart_of(dev);
    u8 msr = uart->msr;

    if (msr & MSR_DELTA) {
        uart->msr &= MSR_LINES;
        uart_update_locked(uart);
    }
    return msr;
}

static void uart_reset(struct device *dev)
{
    struct uart16550 *uart = uart_of(dev);

    uart->ier = uart->fcr = uart->lsr_errors = 0;
    uart->msr = MSR_CTS | MSR_DSR | MSR_DCD;
    uart->divisor = 12;
    uart->thre_pending = false;
    ring_clear(&uart->rx);
    ring_clear(&uart->tx);
    uart_update_locked(uart);
}

/* A wide access meets the one byte register, as on QEMU's board. */
#define ANY   (W1 | W2 | W4 | W8)
#define AT(f) offsetof(struct uart16550, f)

static const struct reg uart_regs[] = {
    {"rbr/thr", 0, 1, ANY, .field = REG_NO_FIELD, .read = data_read, .wrote = data_wrote},
    {"ier", 1, 1, ANY, .field = REG_NO_FIELD, .read = ier_read, .wrote = ier_wrote},
    {"iir/fcr", 2, 1, ANY, .field = REG_NO_FIELD, .read = iir_read, .wrote = fcr_wrote},
    {"lcr", 3, 1, ANY, .field = AT(lcr), .rw = 0xff},
    {"mcr", 4, 1, ANY, .field = AT(mcr), .reset = MCR_OUT2, .rw = 0x1f, .wrote = mcr_wrote},
    {"lsr", 5, 1, ANY, .field = REG_NO_FIELD, .read = lsr_read},
    {"msr", 6, 1, ANY, .field = REG_NO_FIELD, .read = msr_read},
    {"scr", 7, 1, ANY, .field = AT(scr), .rw = 0xff},
};

static const struct device_class uart_class = {
    .name = "uart16550",
    .mmio_size = UART16550_SIZE,
    .regs = uart_regs,
    .reg_count = ARRAY_SIZE(uart_regs),
    .reset = uart_reset,
    .deferred = uart_deferred,
    .compatible = "ns16550a",
};

void uart16550_init(struct uart16550 *uart, const struct uart16550_config *config)
{
    memset(uart, 0, sizeof(*uart));
    device_init(&uart->dev, &uart_class, config->id, config->base, config->log);
    uart->irq = config->irq;
    uart->chardev = config->chardev;
    device_reset(&uart->dev);
}

size_t uart16550_receive(struct uart16550 *uart, const u8 *bytes, size_t len)
{
    size_t taken = 0;

    if (!len)
        return 0;
    device_lock(&uart->dev);
    while (taken < len && ring_count(&uart->rx) < rx_limit(uart))
        ring_put(&uart->rx, bytes[taken++]);
    uart->refused = taken < len;
    uart_update_locked(uart);
    device_unlock(&uart->dev);
    return taken;
}

void uart16550_break(struct uart16550 *uart)
{
    device_lock(&uart->dev);
    if (ring_count(&uart->rx) < rx_limit(uart)) {
        ring_put(&uart->rx, 0);
        uart->lsr_errors |= LSR_BI;
    }
    uart_update_locked(uart);
    device_unlock(&uart->dev);
}
