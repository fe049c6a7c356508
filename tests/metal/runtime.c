/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest runtime of examples/metal by itself: traps, attempts, timer, harts, interrupts. */
#include "guest.h"

#define UART_SOURCE 10

static volatile unsigned software, timer, external;
static unsigned tests, failures;

static void report(const char *what, bool good)
{
    tests++;
    failures += !good;
    print("%s: %s\n", what, good ? "fine" : "WRONG");
}

static void wait_for(volatile unsigned *what, unsigned value)
{
    u64 limit = time_now() + time_from_us(5000000);

    while (*what < value && time_now() < limit)
        ;
}

static void illegal(u64 unused)
{
    (void)unused;
    __asm__ volatile(".4byte 0");
}

static void load(u64 address)
{
    (void)*(volatile u8 *)(uintptr_t)address;
}

static void jump(u64 address)
{
    ((void (*)(void))(uintptr_t)address)();
}

static void nothing(u64 unused)
{
    (void)unused;
}

static void user_ecall(void)
{
    __asm__ volatile("ecall");
}

static u64 user_stack[64];

static void attempts(void)
{
    struct attempt a = attempt(nothing, 0);

    report("an attempt that traps not", a.cause == ATTEMPT_FINE);
    a = attempt(illegal, 0);
    report("illegal instruction", a.cause == 2);
    a = attempt(load, 0x10);
    report("load from nowhere", a.cause == 5 && a.tval == 0x10);
    a = attempt(jump, 0x20);
    report("jump to nowhere", a.cause == 1 && a.epc == 0x20);
    a = attempt_user((u64)(uintptr_t)user_ecall, (u64)(uintptr_t)&user_stack[64], 0);
    report("call from U-mode", a.cause == 8);
}

static void on_software(struct trap_frame *frame, u64 cause, u64 tval)
{
    (void)frame, (void)cause, (void)tval;
    csr_clear(sip, 1u << IRQ_SOFTWARE);
    __atomic_fetch_add(&software, 1, __ATOMIC_RELAXED);
}

static void on_timer(struct trap_frame *frame, u64 cause, u64 tval)
{
    (void)frame, (void)cause, (void)tval;
    timer++;
    if (timer < 3)
        timer_set(time_now() + time_from_us(1000));
    else
        timer_off();
}

static volatile unsigned second;

static void second_main(u64 first)
{
    csr_set(sie, 1u << IRQ_SOFTWARE);
    interrupts_on();
    __atomic_store_n(&second, 1, __ATOMIC_RELEASE);
    wait_for(&software, 1);
    sbi_ipi(first);
}

static void harts(u64 hart)
{
    csr_set(sie, 1u << IRQ_SOFTWARE);
    interrupts_on();
    report("a second hart starts", hart_start(hart ^ 1, second_main, hart) == 0);
    wait_for(&second, 1);
    report("it says so", second == 1);
    sbi_ipi(hart ^ 1);
    wait_for(&software, 2);
    report("interrupts there and back", software == 2);
    report("a hart that is not there", hart_start(7, second_main, 0) != 0);
}

static volatile u8 *uart;

static void on_uart(unsigned source)
{
    if (source == UART_SOURCE)
        external++;
    uart[1] = 0; /* its interrupts off */
}

static void wired(const void *tree)
{
    uart = (volatile u8 *)(uintptr_t)fdt_address(tree, "ns16550a", 0);
    report("a UART in the device tree", uart != NULL);
    if (!uart)
        return;
    irq_init(tree);
    irq_enable(UART_SOURCE, on_uart, false);
    for (unsigned n = 1; n <= 3; n++) {
        uart[1] = 2; /* it asks for bytes to send */
        wait_for(&external, n);
    }
    report("its interrupts", external == 3);
}

void guest_main(u64 hart, const void *tree)
{
    attempts();
    trap_on_interrupt(IRQ_TIMER, on_timer);
    trap_on_interrupt(IRQ_SOFTWARE, on_software);
    csr_set(sie, 1u << IRQ_TIMER);
    interrupts_on();
    timer_set(time_now());
    wait_for(&timer, 3);
    report("the timer", timer == 3);
    harts(hart);
    wired(tree);
    print("runtime: %u of %u are fine; |%5u|%05x|%ld|%c|%s|%%|\n", tests - failures, tests, 42u,
          0xabu, -7L, 'c', "text");
}
