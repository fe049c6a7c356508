/* SPDX-License-Identifier: BSD-2-Clause */
/* Two harts and the host at the same UART, PLIC and ACLINT: nothing lost, reordered or stuck. */
#include "device/aclint.h"
#include "device/plic.h"
#include "device/uart16550.h"

#include "tests/fake.h"
#include "tests/test.h"

#include <pthread.h>

#define LINES 3000

static struct plic plic;
static struct uart16550 uart;
static _Atomic u32 irq_level;

/* What came out, checked as it comes: each hart's bytes in their own order. */
static struct {
    _Atomic u32 writers;
    u32 next[2];
    u32 wrong;
} sink;

static void sink_write(void *ctx, const u8 *bytes, size_t len)
{
    if (atomic_fetch_add(&sink.writers, 1) != 0)
        sink.wrong++; /* never two at once */
    for (size_t i = 0; i < len; i++) {
        u32 hart = bytes[i] >> 7, value = bytes[i] & 0x7f;

        if (value != sink.next[hart]++ % 128)
            sink.wrong++;
    }
    atomic_fetch_sub(&sink.writers, 1);
}

static void *hart_writes(void *arg)
{
    u64 hart = (uintptr_t)arg;

    for (u32 i = 0; i < LINES; i++) {
        while (!(fake_read(&uart.dev, 5, 1) & 0x20))
            sched_yield();
        fake_write(&uart.dev, 0, 1, hart << 7 | i % 128);
    }
    return NULL;
}

static void set_external(void *ctx, u32 line, bool level)
{
    atomic_store(&irq_level, level);
}

static void make(void)
{
    struct irq_line external = {set_external, NULL, 0};
    struct plic_config plic_setup = {.id = "plic", .context_count = 1, .output = &external};
    struct uart16550_config uart_setup = {.id = "uart", .chardev = {sink_write, NULL, NULL}};

    memset(&sink, 0, sizeof(sink));
    plic_init(&plic, &plic_setup);
    uart_setup.irq = plic_input(&plic, 10);
    uart16550_init(&uart, &uart_setup);
    fake_write(&uart.dev, 2, 1, 1);
    fake_write(&plic.dev, 40, 4, 1);
    fake_write(&plic.dev, 0x2000, 4, 1 << 10);
}

TEST(two_harts_write)
{
    pthread_t thread[2];

    make();
    for (uintptr_t i = 0; i < 2; i++)
        CHECK(!pthread_create(&thread[i], NULL, hart_writes, (void *)i));
    for (u32 i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    CHECK_EQ(sink.wrong, 0);
    CHECK_EQ(sink.next[0], LINES);
    CHECK_EQ(sink.next[1], LINES);
    CHECK_EQ(fake_read(&uart.dev, 5, 1), 0x60);
}

static void *host_receives(void *arg)
{
    for (u32 i = 0; i < LINES;) {
        u8 byte = (u8)i;

        if (uart16550_receive(&uart, &byte, 1))
            i++;
        else
            sched_yield();
    }
    return NULL;
}

/* A hart takes bytes only when interrupted: a lost wake-up would hang here, so it is bounded. */
TEST(interrupts_are_not_lost)
{
    pthread_t host;
    u32 got = 0, wrong = 0;
    u64 spins = 0;

    make();
    fake_write(&uart.dev, 1, 1, 1);
    CHECK(!pthread_create(&host, NULL, host_receives, NULL));
    while (got < LINES && spins++ < UINT64_C(50000000)) {
        if (!atomic_load(&irq_level)) {
            sched_yield();
            continue;
        }
        if (fake_read(&plic.dev, 0x200004, 4) != 10)
            wrong++;
        while (fake_read(&uart.dev, 5, 1) & 1)
            wrong += fake_read(&uart.dev, 0, 1) != (got++ & 0xff);
        fake_write(&plic.dev, 0x200004, 4, 10);
    }
    CHECK_EQ(got, LINES);
    CHECK_EQ(wrong, 0);
    pthread_join(host, NULL);
    CHECK(!atomic_load(&irq_level));
}

static struct aclint aclint;
static struct fake_clock fake_time;

static void *reads_time(void *arg)
{
    u64 sum = 0;

    for (u32 i = 0; i < 20000; i++)
        sum += aclint_time(&aclint);
    *(u64 *)arg = sum;
    return NULL;
}

TEST(time_is_read_while_it_is_set)
{
    static const struct irq_line none;
    static const struct timer_port timer;
    struct aclint_config config = {
        .id = "aclint", .hart_count = 1, .msip = &none, .mtip = &none, .timer = &timer};
    pthread_t reader;
    u64 sum;

    config.clock = fake_clock_port(&fake_time);
    aclint_init(&aclint, &config);
    CHECK(!pthread_create(&reader, NULL, reads_time, &sum));
    for (u32 i = 0; i < 5000; i++)
        fake_write(&aclint.dev, 0xbff8, 8, 5);
    pthread_join(reader, NULL);
    CHECK(sum <= 5 * 20000);
}

TEST_MAIN()
