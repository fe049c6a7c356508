/* SPDX-License-Identifier: BSD-2-Clause */
/* A real-time program at its simplest: a tick every 10 ms by absolute time, and a line a second
 * that tells how late the latest tick of that second was. */
#include "guest.h"

#define PERIOD_US 10000

static volatile u32 ticks;
static u64 due, latest;

static void on_timer(struct trap_frame *frame, u64 cause, u64 tval)
{
    u64 late = time_now() - due;

    (void)frame, (void)cause, (void)tval;
    if (late > latest)
        latest = late;
    ticks++;
    due += time_from_us(PERIOD_US);
    timer_set(due);
}

void guest_main(u64 hart, const void *tree)
{
    (void)hart, (void)tree;
    print("a tick every %u ms\n", PERIOD_US / 1000);
    trap_on_interrupt(IRQ_TIMER, on_timer);
    due = time_now() + time_from_us(PERIOD_US);
    timer_set(due);
    csr_set(sie, 1u << IRQ_TIMER);
    interrupts_on();
    for (u32 second = 1;; second++) {
        while (ticks < second * 1000000 / PERIOD_US)
            __asm__ volatile("wfi");
        print("%u ticks, at most %lu us late\n", ticks, latest * 1000000 / timer_frequency());
        latest = 0;
    }
}
