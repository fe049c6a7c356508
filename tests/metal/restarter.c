/* SPDX-License-Identifier: BSD-2-Clause */
/* Restarts partition RESTARTER_TARGET each RESTARTER_US, RESTARTER_TIMES times in all; or, if
 * RESTARTER_STOPS, stops it and starts it again. */
#include "guest.h"

#ifndef RESTARTER_US
#define RESTARTER_US 5000
#endif
#ifndef RESTARTER_STOPS
#define RESTARTER_STOPS 0
#endif

void guest_main(u64 hart, const void *tree)
{
    u64 next = time_now();

    (void)hart, (void)tree;
    trap_on_interrupt(IRQ_TIMER, timer_done);
    csr_set(sie, 1u << IRQ_TIMER);
    interrupts_on();
    for (u32 n = 0; n < RESTARTER_TIMES;) {
        next += time_from_us(RESTARTER_US);
        timer_wait(next);
        if (!RESTARTER_STOPS) {
            n += cosm_control(RESTARTER_TARGET, COSM_CONTROL_COLD) == 0;
        } else if (cosm_control(RESTARTER_TARGET, COSM_CONTROL_STOP) == 0) {
            timer_wait(next += time_from_us(RESTARTER_US));
            while (cosm_control(RESTARTER_TARGET, COSM_CONTROL_START))
                ;
            n++;
        }
    }
    print("restarter: done\n");
}
