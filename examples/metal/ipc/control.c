/* SPDX-License-Identifier: BSD-2-Clause */
/* Looks at the speed every 50 ms; orders more of it until it is 1200, and rings. */
#include "ipc.h"

void guest_main(u64 hart, const void *tree)
{
    struct cosm_sampling speed;
    struct cosm_queuing orders;
    struct speed seen = {0, 0};
    u64 due = time_now(), written;
    size_t length = 0;

    (void)hart, (void)tree;
    if (!cosm_sampling_open(&speed, SPEED_MEMORY, CHANNEL_BYTES, sizeof(struct speed)) ||
        !cosm_queuing_open_sender(&orders, ORDERS_MEMORY, CHANNEL_BYTES, sizeof(struct order),
                                  ORDERS_DEPTH)) {
        print("the channels are too small\n");
        guest_end(true);
    }
    csr_set(sie, 1u << IRQ_TIMER);
    interrupts_on();
    trap_on_interrupt(IRQ_TIMER, timer_done);
    while (seen.rpm < 1200) {
        struct order order = {25};

        due += time_from_us(50000);
        timer_wait(due);
        if (cosm_sampling_read(&speed, &seen, sizeof(seen), &length, &written) != COSM_PORT_OK ||
            length != sizeof(seen))
            continue;
        if (!cosm_sampling_is_valid(written, time_now(), time_from_us(25000))) {
            print("the speed is too old\n");
            continue;
        }
        if (cosm_queuing_send(&orders, &order, sizeof(order)) == COSM_PORT_OK)
            cosm_doorbell(0);
    }
    print("the speed is %u, as of sample %u\n", seen.rpm, seen.number);
}
