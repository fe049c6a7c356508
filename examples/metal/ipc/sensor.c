/* SPDX-License-Identifier: BSD-2-Clause */
/* Publishes a speed every 10 ms by a sampling port; takes orders from a queuing port when its
 * doorbell rings. */
#include "ipc.h"

static struct cosm_queuing orders;
static volatile u32 rpm = 1000, taken;

static void on_order(unsigned source)
{
    struct order order;
    size_t length = 0;

    (void)source;
    while (cosm_queuing_receive(&orders, &order, sizeof(order), &length) == COSM_PORT_OK) {
        if (length == sizeof(order))
            rpm += order.change;
        taken++;
    }
}

void guest_main(u64 hart, const void *tree)
{
    struct cosm_sampling speed;
    u64 due = time_now();

    (void)hart;
    if (!cosm_sampling_open(&speed, SPEED_MEMORY, CHANNEL_BYTES, sizeof(struct speed)) ||
        !cosm_queuing_open_receiver(&orders, ORDERS_MEMORY, CHANNEL_BYTES, sizeof(struct order),
                                    ORDERS_DEPTH)) {
        print("the channels are too small\n");
        guest_end(true);
    }
    irq_init(tree);
    irq_enable(ORDERS_SOURCE, on_order, true);
    csr_set(sie, 1u << IRQ_TIMER);
    interrupts_on();
    trap_on_interrupt(IRQ_TIMER, timer_done);
    for (u32 n = 1; n <= 100; n++) {
        struct speed now = {n, rpm};

        cosm_sampling_write(&speed, &now, sizeof(now), time_now());
        due += time_from_us(10000);
        timer_wait(due);
    }
    print("100 samples, %u orders taken, speed %u\n", taken, rpm);
}
