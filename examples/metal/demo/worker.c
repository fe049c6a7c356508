/* SPDX-License-Identifier: BSD-2-Clause */
/* Works for four seconds, then follows a wild pointer; its partition is restarted each time. */
#include "guest.h"

#define SECONDS 4

void guest_main(u64 hart, const void *tree)
{
    struct cosm_sbi_result info = cosm_info();
    u64 restarts = cosm_status((unsigned)(info.value >> 16)).value >> 8;
    u64 at = time_now();

    (void)hart, (void)tree;
    print("life %lu begins\n", restarts + 1);
    trap_on_interrupt(IRQ_TIMER, timer_done);
    csr_set(sie, 1u << IRQ_TIMER);
    interrupts_on();
    for (u32 second = 1; second <= SECONDS; second++) {
        at += time_from_us(1000000);
        timer_wait(at);
        print("\033[32mwork\033[0m %u of %u is done\n", second, SECONDS);
    }
    print("\033[31mnow it follows a wild pointer\033[0m\n");
    *(volatile u32 *)(uintptr_t)0xdead0000 = 1;
    print("this is never seen\n");
}
