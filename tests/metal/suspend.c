/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Suspends its hart, and its partition to RAM, and says how it went: refused while another hart
 * runs, back at the address that was given, in time, with registers as the SBI says.
 */
#include "guest.h"

enum { SBI_SUSP = 0x53555350, HSM_START = 0, HSM_STOP, HSM_STATUS, HSM_SUSPEND };
enum { STARTED, STOPPED, SUSPENDED = 4 };

#define SUSPEND_NON_RETENTIVE 0x80000000

#ifndef SUSPEND_DEVICE
#define SUSPEND_DEVICE 0
#endif
#ifndef SUSPEND_SLACK_US
#define SUSPEND_SLACK_US 2000
#endif
#ifndef SUSPEND_AWAY_US
#define SUSPEND_AWAY_US 3000
#endif

/* Known to the code below. */
struct back {
    u64 sp, gp, tp;
    u64 hart, satp, sstatus; /* as they are at the address where it goes on */
};

/* 0: it was away, and went on elsewhere; else the SBI's error, or 1: it returned from the call. */
long suspend(long extension, long function, u64 type, struct back *back);
__asm__(".text\n"
        ".globl suspend\n"
        "suspend:\n"
        "    addi sp, sp, -112\n"
        "    .set i, 0\n"
        "    .irp r, ra, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11\n"
        "    sd \\r, 8 * i(sp)\n"
        "    .set i, i + 1\n"
        "    .endr\n"
        "    sd sp, 0(a3)\n"
        "    sd gp, 8(a3)\n"
        "    sd tp, 16(a3)\n"
        "    mv a7, a0\n"
        "    mv a6, a1\n"
        "    mv a0, a2\n"
        "    la a1, 2f\n"
        "    mv a2, a3\n"
        "    ecall\n"
        "    bnez a0, 1f\n"
        "    li a0, 1\n"
        "1:  ld ra, 0(sp)\n"
        "    addi sp, sp, 112\n"
        "    ret\n"
        "    .balign 4\n"
        "2:  sd a0, 24(a1)\n"
        "    csrr t0, satp\n"
        "    sd t0, 32(a1)\n"
        "    csrr t0, sstatus\n"
        "    sd t0, 40(a1)\n"
        "    ld sp, 0(a1)\n"
        "    ld gp, 8(a1)\n"
        "    ld tp, 16(a1)\n"
        "    .set i, 0\n"
        "    .irp r, ra, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11\n"
        "    ld \\r, 8 * i(sp)\n"
        "    .set i, i + 1\n"
        "    .endr\n"
        "    addi sp, sp, 112\n"
        "    li a0, 0\n"
        "    ret\n");

static u64 table[512] __attribute__((aligned(4096)));
static volatile u64 wanted, counted; /* the other hart stays until it is wanted to stop */
static u32 wrong, taken;

static void check(bool fine, const char *what)
{
    if (!fine && wrong++ < 20)
        print("suspend: %s\n", what);
}

static void on_timer(struct trap_frame *frame, u64 cause, u64 tval)
{
    (void)frame, (void)cause, (void)tval;
    taken++;
    timer_off();
}

/* With translation, interrupts on, and another interrupt pending that may not wake it. */
static void away(const char *what, long extension, long function, u64 type)
{
    struct back back = {.hart = 99, .satp = 99, .sstatus = 99};
    u64 start = time_now(), due = start + time_from_us(SUSPEND_AWAY_US);
    long how;

    table[0x80000000 >> 30] = 0x80000000 >> 2 | 0xcf;
    table[0] = 0xcf;
    csr_write(satp, UINT64_C(8) << 60 | (u64)(uintptr_t)table >> 12);
    __asm__ volatile("sfence.vma" ::: "memory");
    csr_write(sie, 1u << IRQ_TIMER);
    cosm_sbi(SBI_IPI, 0, 1u << hart_self()->id, 0, 0);
    timer_set(due);
    if (type || extension == SBI_SUSP) /* else it would be taken behind the call */
        csr_set(sstatus, SSTATUS_SIE);
    how = suspend(extension, function, type, &back);
    print("suspend: %s %ld, hart %lu, satp %lu, interrupts %lu, %s\n", what, how, back.hart,
          back.satp, back.sstatus & SSTATUS_SIE,
          time_now() < due                                    ? "too early"
          : time_now() < due + time_from_us(SUSPEND_SLACK_US) ? "in time"
                                                              : "too late");
    taken = 0;
    interrupts_on();
    csr_clear(sstatus, SSTATUS_SIE);
    check(taken == 1, "what woke it is no longer pending");
    csr_write(sie, 0);
    csr_clear(sip, 1u << IRQ_SOFTWARE);
    csr_write(satp, 0);
}

static void count(u64 unused)
{
    (void)unused;
    while (!wanted)
        counted++;
}

static u64 status(u64 hart)
{
    return cosm_sbi(SBI_HSM, HSM_STATUS, hart, 0, 0).value;
}

static void refusals(void)
{
    struct back back;

    check(suspend(SBI_SUSP, 1, 0, &back) == -2, "a function that is not there");
    check(suspend(SBI_SUSP, 0, 1, &back) == -3, "a type that is reserved");
    check(suspend(SBI_SUSP, 0, SUSPEND_NON_RETENTIVE, &back) == -3, "a type of the platform's");
    check(cosm_sbi(SBI_SUSP, 0, 0, 0x1000, 0).error == -5, "an address without memory");
    check(cosm_sbi(SBI_SUSP, 0, 0, 0x80000001, 0).error == -5, "an odd address");
    hart_start(1, count, 0);
    while (!counted)
        ;
    check(suspend(SBI_SUSP, 0, 0, &back) == -4, "another hart runs");
    wanted = 1;
    while (status(1) != STOPPED)
        ;
}

/* The other hart suspends until hart 0 sends it an interrupt. */
static void sleeper(u64 unused)
{
    struct back back = {.hart = 99};

    (void)unused;
    csr_write(sie, 1u << IRQ_SOFTWARE);
    counted = suspend(SBI_HSM, HSM_SUSPEND, SUSPEND_NON_RETENTIVE, &back) == 0 ? back.hart : 99;
}

static void wake_other(void)
{
    counted = 0;
    hart_start(1, sleeper, 0);
    while (status(1) != SUSPENDED)
        ;
    check(cosm_sbi(SBI_SUSP, 0, 0, 0x80000000, 0).error == -4, "another hart is suspended");
    check(!counted, "it did not wait");
    cosm_sbi(SBI_IPI, 0, 2, 0, 0);
    while (status(1) != STOPPED)
        ;
    check(counted == 1, "it did not come back");
}

/* The board's clock, a Goldfish RTC: its alarm is a wire to the interrupt controller. */
static volatile u32 *rtc(u32 offset)
{
    return (volatile u32 *)(uintptr_t)(0x101000 + offset);
}

static void on_alarm(unsigned source)
{
    (void)source;
    taken = 10;
    *rtc(0x14) = 1; /* clear the alarm */
    *rtc(0x1c) = 1; /* and its interrupt */
}

static void wake_by_device(const void *tree)
{
    struct back back = {.hart = 99};
    u64 now;
    long how;

    irq_init(tree);
    irq_enable(11, on_alarm, false);
    now = *rtc(0);
    now |= (u64)*rtc(4) << 32;
    now += 300000000; /* ns */
    *rtc(0x10) = 1;
    *rtc(0xc) = (u32)(now >> 32);
    *rtc(8) = (u32)now;
    taken = 0;
    how = suspend(SBI_SUSP, 0, 0, &back);
    check(how == 0 && back.hart == 0 && taken == 0, "the clock did not wake it");
    interrupts_on();
    csr_clear(sstatus, SSTATUS_SIE);
    check(taken == 10, "the clock's interrupt did not come");
}

void guest_main(u64 hart, const void *tree)
{
    trap_on_interrupt(IRQ_TIMER, on_timer);
    check(sbi_has(SBI_SUSP), "there is no SUSP");
    if (hart == 0)
        refusals();
    away("hart", SBI_HSM, HSM_SUSPEND, SUSPEND_NON_RETENTIVE);
    away("stay", SBI_HSM, HSM_SUSPEND, 0);
    away("partition", SBI_SUSP, 0, 0);
    wake_other();
    if (SUSPEND_DEVICE)
        wake_by_device(tree);
    print("suspend: %u wrong\n", wrong);
}
