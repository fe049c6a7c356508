/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts with the Advanced Interrupt Architecture, which cost the hypervisor nothing: messages
 * between two harts and wired ones of the board's clock, MSI_COUNT of each. The test looks for the
 * hypervisor between the lines "begin" and "end".
 */
#include "guest.h"

#ifndef MSI_COUNT
#define MSI_COUNT 1000
#endif

#define IMSIC_EIDELIVERY 0x70
#define IMSIC_EIE0       0xc0
#define PING             40 /* identities, above those of sources */
#define PONG             41

#define APLIC_SOURCECFG(n) (4 * (n))
#define APLIC_IN_CLRIP     0x1d00
#define APLIC_CLRIENUM     0x1fdc
#define APLIC_SETIPNUM_LE  0x2000

/* The goldfish RTC: an alarm in the past comes at once, and stays until it is cleared. */
#define RTC_SOURCE      11
#define RTC_ALARM_LOW   0x08
#define RTC_ALARM_HIGH  0x0c
#define RTC_IRQ_ENABLED 0x10
#define RTC_CLEAR       0x1c

static volatile u32 *files, *rtc;
static volatile u32 pings, pongs, alarms;

static volatile u32 *file_of(u64 hart)
{
    return files + hart * 1024;
}

static volatile u32 *aplic(u64 offset)
{
    return (volatile u32 *)(uintptr_t)(irq_controller() + offset);
}

static void own_file(u64 enabled)
{
    csr_write(CSR_SISELECT, IMSIC_EIDELIVERY);
    csr_write(CSR_SIREG, 1);
    csr_write(CSR_SISELECT, IMSIC_EIE0);
    csr_set(CSR_SIREG, enabled);
    csr_set(sie, 1u << IRQ_EXTERNAL);
    interrupts_on();
}

static void on_ping(unsigned identity)
{
    (void)identity;
    pings++;
    *file_of(0) = PONG;
}

static void on_pong(unsigned identity)
{
    (void)identity;
    pongs++;
}

static void on_alarm(unsigned source)
{
    (void)source;
    alarms++;
    rtc[RTC_CLEAR / 4] = 1;
}

static void await(volatile u32 *count, u32 value)
{
    interrupts_off();
    while (*count < value) {
        __asm__ volatile("wfi");
        interrupts_on();
        interrupts_off();
    }
    interrupts_on();
}

static void second(u64 unused)
{
    (void)unused;
    own_file(UINT64_C(1) << PING);
    *file_of(0) = PONG; /* here I am */
    for (;;)
        __asm__ volatile("wfi");
}

static bool messages(void)
{
    for (u32 n = 1; n <= MSI_COUNT; n++) {
        *file_of(1) = PING;
        await(&pongs, n + 1);
    }
    return pings == MSI_COUNT && pongs == MSI_COUNT + 1;
}

static void alarm(void)
{
    rtc[RTC_ALARM_HIGH / 4] = 0;
    rtc[RTC_ALARM_LOW / 4] = 1;
}

static bool wired(void)
{
    for (u32 n = 1; n <= MSI_COUNT; n++) {
        alarm();
        await(&alarms, n);
    }
    return alarms == MSI_COUNT;
}

static void pause_us(u64 us)
{
    u64 until = time_now() + time_from_us(us);

    while (time_now() < until)
        ;
}

static volatile u32 levels;

/* It leaves the line high: to be told again is to ask the APLIC, which is the hypervisor's. */
static void on_level(unsigned source)
{
    if (++levels < 3)
        *aplic(APLIC_SETIPNUM_LE) = source;
    else if (levels == 3)
        rtc[RTC_CLEAR / 4] = 1;
}

static void level(void)
{
    irq_enable(RTC_SOURCE, on_level, false);
    alarm();
    await(&levels, 3);
    *aplic(APLIC_SETIPNUM_LE) = RTC_SOURCE;
    pause_us(1000);
    print("level: %u of 3, input %u\n", levels, *aplic(APLIC_IN_CLRIP) >> RTC_SOURCE & 1);
    *aplic(APLIC_CLRIENUM) = RTC_SOURCE;
    alarm();
    pause_us(1000);
    print("off: %u of 3, input %u\n", levels, *aplic(APLIC_IN_CLRIP) >> RTC_SOURCE & 1);
    *aplic(APLIC_SOURCECFG(RTC_SOURCE)) = 0;
    rtc[RTC_CLEAR / 4] = 1;
}

void guest_main(u64 hart, const void *tree)
{
    bool sent, rung;

    (void)hart;
    files = (volatile u32 *)(uintptr_t)fdt_address(tree, "riscv,imsics", 0);
    rtc = (volatile u32 *)(uintptr_t)fdt_address(tree, "google,goldfish-rtc", 0);
    irq_init(tree);
    irq_enable(PING, on_ping, true); /* beyond the sources: the identity alone */
    irq_enable(PONG, on_pong, true);
    rtc[RTC_CLEAR / 4] = 1;
    rtc[RTC_IRQ_ENABLED / 4] = 1;
    irq_enable(RTC_SOURCE, on_alarm, false);
    interrupts_on();
    hart_start(1, second, 0);
    await(&pongs, 1);
    print("begin\n");
    sent = messages();
    rung = wired();
    print("end\n");
    print("messages: %s, %u there, %u back\n", sent ? "fine" : "WRONG", pings, pongs - 1);
    print("wired: %s, %u\n", rung ? "fine" : "WRONG", alarms);
    level();
    print("done\n");
}
