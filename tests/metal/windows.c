/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When windows begin: a partition of a cyclic hart that has the last part of each frame measures
 * how far the first instruction it sees of each window is from where the first window would have
 * it; its neighbour leaves other state behind each time. Nobody on a shared hart has instret, but
 * with -icount shift=0 the instructions until the time CSR moves on tell where in a tick it is.
 */
#include "guest.h"

#define COUNT 200
#define TICK  100            /* instructions */
#define GAP   50             /* ticks in a row that others had: a window began */
#define FRAME (10000 * TICK) /* of 1 ms */

/* The instruction at which time was first, a moment ago: counted back from the next tick. */
static u64 instruction_at(u64 first)
{
    u64 rounds = 0, time;

    __asm__ volatile("1: addi %0, %0, 1\n"
                     "   rdtime %1\n"
                     "   beq %1, %2, 1b"
                     : "+r"(rounds), "=&r"(time)
                     : "r"(first));
    return time * TICK - 3 * rounds;
}

static u64 next_window(void)
{
    u64 last = time_now(), now;

    for (;;) {
        now = time_now();
        if (now - last > GAP)
            return instruction_at(now);
        last = now;
    }
}

void guest_main(u64 hart, const void *tree)
{
    int64_t least = 0, most = 0, at;
    u64 first;

    (void)hart, (void)tree;
    next_window();
    first = next_window();
    for (u64 i = 1; i <= COUNT; i++) {
        at = (int64_t)(next_window() - first - i * FRAME);
        least = at < least ? at : least;
        most = at > most ? at : most;
    }
    print("windows: jitter %ld of %d\n", most - least, COUNT);
}
