/* SPDX-License-Identifier: BSD-2-Clause */
/* The 16550 as drivers use it: FIFOs, interrupts, loopback, back-pressure. */
#include "device/uart16550.h"

#include "tests/fake.h"
#include "tests/test.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR };

static struct uart16550 uart;
static struct fake_irq irq;
static struct fake_chardev host;

static struct device *make(void)
{
    struct uart16550_config config = {.id = "uart0", .base = 0x10000000};

    memset(&irq, 0, sizeof(irq));
    memset(&host, 0, sizeof(host));
    config.irq = fake_irq_line(&irq, 10);
    config.chardev = fake_chardev_port(&host);
    uart16550_init(&uart, &config);
    return &uart.dev;
}

static size_t receive(const char *text)
{
    return uart16550_receive(&uart, (const u8 *)text, strlen(text));
}

TEST(power_on)
{
    struct device *dev = make();

    CHECK_EQ(fake_read(dev, LSR, 1), 0x60);
    CHECK_EQ(fake_read(dev, IIR, 1), 0x01);
    CHECK_EQ(fake_read(dev, MSR, 1), 0xb0);
    CHECK_EQ(fake_read(dev, MCR, 1), 0x08);
    CHECK_EQ(irq.calls[10], 0);
}

TEST(transmits_in_order)
{
    struct device *dev = make();

    for (const char *c = "hello"; *c; c++) {
        CHECK_EQ(fake_read(dev, LSR, 1) & 0x20, 0x20);
        fake_write(dev, DATA, 1, (u64)*c);
    }
    CHECK_EQ(host.len, 5);
    CHECK(!memcmp(host.bytes, "hello", 5));
}

TEST(divisor_behind_dlab)
{
    struct device *dev = make();

    fake_write(dev, LCR, 1, 0x83);
    fake_write(dev, DATA, 1, 0x34);
    fake_write(dev, IER, 1, 0x12);
    CHECK_EQ(fake_read(dev, DATA, 1), 0x34);
    CHECK_EQ(fake_read(dev, IER, 1), 0x12);
    fake_write(dev, LCR, 1, 0x03);
    CHECK_EQ(fake_read(dev, IER, 1), 0);
    CHECK_EQ(host.len, 0);
}

TEST(scratch_and_ier_mask)
{
    struct device *dev = make();

    fake_write(dev, SCR, 1, 0xa5);
    CHECK_EQ(fake_read(dev, SCR, 1), 0xa5);
    fake_write(dev, IER, 1, 0xff);
    CHECK_EQ(fake_read(dev, IER, 1), 0x0f);
}

TEST(thre_interrupt)
{
    struct device *dev = make();

    fake_write(dev, IER, 1, 0x02);
    CHECK(irq.level[10]);
    CHECK_EQ(fake_read(dev, IIR, 1), 0x02);
    CHECK(!irq.level[10]); /* reading IIR takes it back */
    CHECK_EQ(fake_read(dev, IIR, 1), 0x01);
    fake_write(dev, DATA, 1, 'x');
    CHECK(irq.level[10]);
    fake_write(dev, IER, 1, 0);
    CHECK(!irq.level[10]);
    fake_write(dev, IER, 1, 2);
    CHECK(irq.level[10]);
}

TEST(receive_trigger_and_timeout)
{
    struct device *dev = make();

    fake_write(dev, IIR, 1, 0x81); /* FIFO, trigger 8 */
    CHECK_EQ(fake_read(dev, IIR, 1), 0xc1);
    fake_write(dev, IER, 1, 0x01);
    CHECK_EQ(receive("abc"), 3);
    CHECK(irq.level[10]);
    CHECK_EQ(fake_read(dev, IIR, 1), 0xcc);
    CHECK_EQ(receive("defgh"), 5);
    CHECK_EQ(fake_read(dev, IIR, 1), 0xc4);
    for (const char *c = "abcdefgh"; *c; c++) {
        CHECK_EQ(fake_read(dev, LSR, 1) & 1, 1);
        CHECK_EQ(fake_read(dev, DATA, 1), *c);
    }
    CHECK_EQ(fake_read(dev, LSR, 1), 0x60);
    CHECK_EQ(fake_read(dev, IIR, 1), 0xc1);
    CHECK(!irq.level[10]);
}

TEST(back_pressure)
{
    struct device *dev = make();
    u8 bytes[200];
    size_t taken;

    memset(bytes, 'z', sizeof(bytes));
    CHECK_EQ(uart16550_receive(&uart, bytes, 2), 1); /* no FIFO: one byte */
    CHECK_EQ(host.rooms, 0);
    (void)fake_read(dev, DATA, 1);
    CHECK_EQ(host.rooms, 1);
    fake_write(dev, IIR, 1, 0x01);
    taken = uart16550_receive(&uart, bytes, sizeof(bytes));
    CHECK_EQ(taken, 64);
    CHECK_EQ(uart16550_receive(&uart, bytes, 1), 0);
    for (u32 i = 0; i < 31; i++)
        (void)fake_read(dev, DATA, 1);
    CHECK_EQ(host.rooms, 1);
    (void)fake_read(dev, DATA, 1);
    CHECK_EQ(host.rooms, 2);
    (void)fake_read(dev, DATA, 1);
    CHECK_EQ(host.rooms, 2); /* told once */
    CHECK_EQ(uart16550_receive(&uart, bytes, 40), 33);
    fake_write(dev, IIR, 1, 0x03); /* clears the FIFO */
    CHECK_EQ(host.rooms, 3);
    CHECK_EQ(fake_read(dev, LSR, 1) & 1, 0);
}

TEST(loopback)
{
    struct device *dev = make();

    (void)fake_read(dev, MSR, 1);
    fake_write(dev, MCR, 1, 0x1a); /* as Linux probes */
    CHECK_EQ(fake_read(dev, MSR, 1) & 0xf0, 0x90);
    fake_write(dev, DATA, 1, 'L');
    CHECK_EQ(host.len, 0);
    CHECK_EQ(fake_read(dev, LSR, 1), 0x61);
    CHECK_EQ(receive("x"), 0);
    fake_write(dev, DATA, 1, 'M'); /* overrun: one byte without FIFO */
    CHECK_EQ(fake_read(dev, LSR, 1), 0x63);
    CHECK_EQ(fake_read(dev, LSR, 1), 0x61);
    CHECK_EQ(fake_read(dev, DATA, 1), 'L');
    fake_write(dev, MCR, 1, 0x0b);
    CHECK_EQ(host.rooms, 1);
    CHECK_EQ(fake_read(dev, MSR, 1) & 0xf0, 0xb0);
}

TEST(fifo_size_probe)
{
    struct device *dev = make();
    u32 count = 0;

    fake_write(dev, IIR, 1, 0x07);
    fake_write(dev, MCR, 1, 0x10);
    for (u32 i = 0; i < 256; i++)
        fake_write(dev, DATA, 1, i);
    while (fake_read(dev, LSR, 1) & 1) {
        CHECK_EQ(fake_read(dev, DATA, 1), count);
        count++;
    }
    CHECK_EQ(count, 16);
}

TEST(modem_deltas)
{
    struct device *dev = make();

    fake_write(dev, IER, 1, 0x08);
    CHECK(!irq.level[10]);
    fake_write(dev, MCR, 1, 0x1f); /* only the ring indicator rises, which is no event */
    CHECK(!irq.level[10]);
    CHECK_EQ(fake_read(dev, MSR, 1), 0xf0);
    fake_write(dev, MCR, 1, 0x10);
    CHECK(irq.level[10]);
    CHECK_EQ(fake_read(dev, IIR, 1), 0x00);
    CHECK_EQ(fake_read(dev, MSR, 1), 0x0f); /* all fell, ring indicator too */
    CHECK_EQ(fake_read(dev, MSR, 1), 0x00);
    CHECK(!irq.level[10]);
}

TEST(line_break)
{
    struct device *dev = make();

    fake_write(dev, IIR, 1, 0x01);
    fake_write(dev, IER, 1, 0x05);
    uart16550_break(&uart);
    CHECK_EQ(fake_read(dev, IIR, 1), 0xc6);
    CHECK_EQ(fake_read(dev, LSR, 1), 0x71);
    CHECK_EQ(fake_read(dev, IIR, 1), 0xc4);
    CHECK_EQ(fake_read(dev, DATA, 1), 0);
    CHECK(!irq.level[10]);
}

TEST(wide_accesses_meet_one_register)
{
    struct device *dev = make();
    u64 value;

    CHECK_EQ(fake_read(dev, MCR, 4), 0x08);
    fake_write(dev, DATA, 4, 0x4142434a);
    CHECK_EQ(host.len, 1);
    CHECK_EQ(host.bytes[0], 'J');
    CHECK(!device_read(dev, 8, 1, &value));
}

static void echo(void *ctx, const u8 *bytes, size_t len)
{
    CHECK_EQ(uart16550_receive(&uart, bytes, len), len);
}

TEST(chardev_may_answer_from_within_write)
{
    struct device *dev = make();

    uart.chardev.write = echo;
    fake_write(dev, DATA, 1, 'e');
    CHECK_EQ(fake_read(dev, DATA, 1), 'e');
}

TEST(reset_lowers_the_wire)
{
    struct device *dev = make();

    fake_write(dev, IER, 1, 0x0f);
    CHECK(irq.level[10]);
    device_reset(dev);
    CHECK(!irq.level[10]);
    CHECK_EQ(fake_read(dev, IER, 1), 0);
}

TEST(hostile)
{
    struct device *dev = make();

    for (u32 i = 0; i < 50; i++) {
        u8 bytes[100] = {0};
        (void)uart16550_receive(&uart, bytes, i * 2);
        fake_hammer(dev, 16, 20, i);
    }
    device_reset(dev);
    CHECK_EQ(fake_read(dev, LSR, 1), 0x60);
}

TEST_MAIN()
