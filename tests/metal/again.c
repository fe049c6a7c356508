/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long a restart takes: notes the time in a channel's memory, which restarts leave alone,
 * crashes, and tells at its first instructions how much later it is. AGAIN_AT is the channel.
 */
#include "guest.h"

#define AGAIN_AT 0x70000000
#define COUNT    20

struct note {
    u64 time, restarts, most;
};

void guest_main(u64 hart, const void *tree)
{
    volatile struct note *note = (volatile struct note *)AGAIN_AT;
    u64 now = time_now();

    (void)hart, (void)tree;
    if (note->time) {
        note->restarts++;
        if (now - note->time > note->most)
            note->most = now - note->time;
    }
    if (note->restarts == COUNT) {
        print("again: %lu restarts, the longest took %lu ticks\n", note->restarts, note->most);
        return;
    }
    note->time = time_now();
    *(volatile u64 *)0x40000000 = 0; /* nobody's */
}
