/* SPDX-License-Identifier: BSD-2-Clause */
/* The timer of each hart. */
#include "guest.h"

static u64 frequency;
static bool has_sstc;

static void read_stimecmp(u64 unused)
{
    (void)unused;
    csr_read(CSR_STIMECMP);
}

void timer_init(const void *tree)
{
    frequency = fdt_cell(tree, NULL, "timebase-frequency", 0, 10000000);
    has_sstc = attempt(read_stimecmp, 0).cause == ATTEMPT_FINE;
}

u64 timer_frequency(void)
{
    return frequency;
}

u64 time_from_us(u64 us)
{
    return us * frequency / 1000000;
}

void timer_set(u64 time)
{
    if (has_sstc)
        csr_write(CSR_STIMECMP, time);
    else
        cosm_sbi(SBI_TIME, 0, time, 0, 0);
}

void timer_off(void)
{
    timer_set(UINT64_MAX);
}

void timer_done(struct trap_frame *frame, u64 cause, u64 tval)
{
    (void)frame, (void)cause, (void)tval;
    timer_off();
}

void timer_wait(u64 time)
{
    u64 status = interrupts_off(); /* else one could come, and be over, just before WFI */

    timer_set(time);
    while (time_now() < time) {
        __asm__ volatile("wfi");
        interrupts_on();
        interrupts_off();
    }
    interrupts_restore(status);
}
