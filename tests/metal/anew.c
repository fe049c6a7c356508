/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a partition's interrupt controllers keep when it restarts: nothing. Each life but the last
 * leaves all that it can in both harts' interrupt files and the APLIC, and the clock's alarm
 * ringing.
 */
#include "guest.h"

#define LIVES 5

#define IMSIC_EIDELIVERY  0x70
#define IMSIC_EITHRESHOLD 0x72
#define IMSIC_EIP(n)      (0x80 + (n) / 32)
#define IMSIC_EIE(n)      (0xc0 + (n) / 32)
#define IMSIC_IDENTITIES  256

#define APLIC_SETIP     0x1c00
#define APLIC_SETIE     0x1e00
#define APLIC_DIRECT    0x80000004 /* domaincfg: messages are the only way */
#define APLIC_SOURCECFG 0x0004
#define APLIC_TARGET    0x3004

#define RTC_SOURCE      11
#define RTC_ALARM_LOW   0x08
#define RTC_ALARM_HIGH  0x0c
#define RTC_IRQ_ENABLED 0x10

static volatile u32 *files, *rtc, *aplic;
static volatile u32 dirty; /* what was not as after reset */
static volatile u32 second_done;

static u64 file_read(u64 select)
{
    csr_write(CSR_SISELECT, select);
    return csr_read(CSR_SIREG);
}

static void file_write(u64 select, u64 value)
{
    csr_write(CSR_SISELECT, select);
    csr_write(CSR_SIREG, value);
}

static void must_be(u64 value, u64 wanted, const char *what)
{
    if (value == wanted)
        return;
    print("%s is %lx\n", what, value);
    __atomic_fetch_add(&dirty, 1, __ATOMIC_RELAXED);
}

static void look_at_file(void)
{
    must_be(csr_read(CSR_SISELECT), 0, "siselect");
    must_be(csr_read(CSR_STOPEI), 0, "stopei");
    must_be(file_read(IMSIC_EIDELIVERY), 0, "eidelivery");
    must_be(file_read(IMSIC_EITHRESHOLD), 0, "eithreshold");
    for (u32 n = 0; n < IMSIC_IDENTITIES; n += 64) {
        must_be(file_read(IMSIC_EIP(n)), 0, "eip");
        must_be(file_read(IMSIC_EIE(n)), 0, "eie");
    }
}

static void leave_in_file(u64 hart)
{
    for (u32 n = 1; n < IMSIC_IDENTITIES; n++)
        files[hart * 1024] = n;
    for (u32 n = 0; n < IMSIC_IDENTITIES; n += 64)
        file_write(IMSIC_EIE(n), ~UINT64_C(0));
    file_write(IMSIC_EITHRESHOLD, 200);
    file_write(IMSIC_EIDELIVERY, 1);
}

static void look_at_aplic(void)
{
    must_be(aplic[0], APLIC_DIRECT, "domaincfg");
    for (u32 n = 0; n < 63; n++) {
        must_be(aplic[(APLIC_SOURCECFG + 4 * n) / 4], 0, "sourcecfg");
        must_be(aplic[(APLIC_TARGET + 4 * n) / 4], 0, "target");
    }
    must_be(aplic[APLIC_SETIP / 4], 0, "setip");
    must_be(aplic[APLIC_SETIE / 4], 0, "setie");
}

static void on_alarm(unsigned source)
{
    (void)source;
}

static void leave_in_aplic(void)
{
    irq_enable(RTC_SOURCE, on_alarm, false);
    rtc[RTC_IRQ_ENABLED / 4] = 1;
    rtc[RTC_ALARM_HIGH / 4] = 0;
    rtc[RTC_ALARM_LOW / 4] = 1;
}

static void second(u64 life)
{
    look_at_file();
    if (life < LIVES)
        leave_in_file(1);
    __atomic_store_n(&second_done, 1, __ATOMIC_RELEASE);
    for (;;)
        __asm__ volatile("wfi");
}

void guest_main(u64 hart, const void *tree)
{
    u64 life = (cosm_status((unsigned)(cosm_info().value >> 16)).value >> 8) + 1;

    (void)hart;
    files = (volatile u32 *)(uintptr_t)fdt_address(tree, "riscv,imsics", 0);
    rtc = (volatile u32 *)(uintptr_t)fdt_address(tree, "google,goldfish-rtc", 0);
    aplic = (volatile u32 *)(uintptr_t)fdt_address(tree, "riscv,aplic", 0);
    look_at_file();
    look_at_aplic();
    hart_start(1, second, life);
    while (!second_done)
        ;
    if (life == LIVES || dirty) {
        print("life %lu: %u are not as at first\n", life, dirty);
        return;
    }
    irq_init(tree);
    leave_in_aplic();
    leave_in_file(0);
    guest_reboot();
}
