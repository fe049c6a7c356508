/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who stops last. Partition 0 has the right to control: it waits until the other one has stopped by
 * itself, sleeps, starts it again, and stops before that does. Each leaves a line without an end.
 */
#include "guest.h"

#define PAUSE_US 20000

static void pause(u64 times)
{
    timer_wait(time_now() + times * time_from_us(PAUSE_US));
}

static u64 state(unsigned partition)
{
    return cosm_status(partition).value & 0xff;
}

void guest_main(u64 hart, const void *tree)
{
    u64 self = cosm_info().value >> 16;

    (void)hart, (void)tree;
    trap_on_interrupt(IRQ_TIMER, timer_done);
    csr_set(sie, 1u << IRQ_TIMER);
    interrupts_on();
    if (self == 0) {
        while (state(1) != COSM_STOPPED)
            pause(1);
        print("the other has stopped\n");
        pause(5); /* the board is still on */
        print("started: %ld\n", cosm_control(1, COSM_CONTROL_START));
    } else {
        pause(3);
    }
    sbi_write("the last words", 14);
}
