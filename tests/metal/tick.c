/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A neighbour that must not be disturbed: a timer's ticks, counted against their plan. What it
 * prints is the same in each run in which no tick is missing or late, whatever others do; only with
 * TICK_WORST it tells how late the latest was.
 *
 * It ends after TICK_COUNT ticks; or once partition TICK_WATCHED has been restarted TICK_RESTARTS
 * times, which it looks at with each tick.
 *
 * It prints at its begin and its end alone: the console is one for all, and who prints waits for
 * it.
 *
 * A tick is late if it is handled more than TICK_SLACK_US after its time, missing if it has not
 * been handled when the next one is due. In a cyclic plan TICK_US is the frame and the slack what
 * its window leaves.
 */
#include "guest.h"

#ifndef TICK_US
#define TICK_US 1000
#endif
#ifndef TICK_COUNT
#define TICK_COUNT 1000
#endif
#ifndef TICK_SLACK_US
#define TICK_SLACK_US (TICK_US / 2)
#endif

#ifndef TICK_WATCHED
#define TICK_WATCHED  0
#define TICK_RESTARTS 0
#endif

static u64 period, slack, due;
static u64 worst; /* ticks of the timebase */
static volatile u32 ticks;
static u32 missing, late;

static void on_timer(struct trap_frame *frame, u64 cause, u64 tval)
{
    u64 after = time_now() - due;

    (void)frame, (void)cause, (void)tval;
    if (after > worst)
        worst = after;
    ticks++;
    late += after > slack;
    for (due += period; after >= period; after -= period) {
        due += period;
        ticks++;
        missing++;
    }
    timer_set(due);
}

static const u64 restarts = TICK_RESTARTS;

static bool is_over(void)
{
    if (restarts == 0)
        return ticks >= TICK_COUNT;
    return cosm_status(TICK_WATCHED).value >> 8 >= restarts;
}

void guest_main(u64 hart, const void *tree)
{
    (void)hart, (void)tree;
    period = time_from_us(TICK_US);
    slack = time_from_us(TICK_SLACK_US);
    trap_on_interrupt(IRQ_TIMER, on_timer);
    due = time_now() + period;
    timer_set(due);
    csr_set(sie, 1u << IRQ_TIMER);
    print("tick: one each %u us\n", TICK_US);
    interrupts_on();
    while (!is_over())
        __asm__ volatile("wfi");
    interrupts_off();
#ifdef TICK_WORST
    print("tick: at worst %lu of %lu a second late\n", worst, timer_frequency());
#endif
    print("tick: %u missing, %u late\n", missing, late);
    print("tick: %s\n", missing || late ? "DISTURBED" : "as planned");
}
