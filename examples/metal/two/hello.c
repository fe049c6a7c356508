/* SPDX-License-Identifier: BSD-2-Clause */
/* Says who it is, and counts: the same program serves in both partitions. */
#include "guest.h"

#ifndef COUNT
#define COUNT 5
#endif

static volatile unsigned ticks;

static void tick(struct trap_frame *frame, u64 cause, u64 tval)
{
    (void)frame, (void)cause, (void)tval;
    ticks++;
    timer_set(time_now() + time_from_us(100000));
}

void guest_main(u64 hart, const void *tree)
{
    struct cosm_sbi_result info = cosm_info();
    unsigned seen = 0;

    (void)tree;
    if (info.error == 0)
        print("partition %lu starts on its hart %lu of %lu\n", info.value >> 16, hart,
              info.value & 0xffff);
    else
        print("no partition: hart %lu of a whole board\n", hart);
    trap_on_interrupt(IRQ_TIMER, tick);
    timer_set(time_now());
    csr_set(sie, 1u << IRQ_TIMER);
    interrupts_on();
    while (seen < COUNT) {
        __asm__ volatile("wfi");
        for (; seen < ticks; seen++)
            print("tick %u\n", seen + 1);
    }
    print("done\n");
}
