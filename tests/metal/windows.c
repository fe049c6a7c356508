/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When windows begin: a partition of a cyclic hart that has the last part of each frame counts, by
 * instret under QEMU's -icount, how far the first instruction it sees of each window is from where
 * the one before would have it. WINDOWS_NOISE is the neighbour instead, who has the first part: it
 * leaves other state behind each time.
 */
#include "guest.h"

#define COUNT 200
#define GAP   5000    /* instructions in a row that others had: a window began */
#define FRAME 1000000 /* instructions of a frame of 1 ms */

static u64 next_window(void)
{
    u64 last = csr_read(instret), now;

    for (;;) {
        now = csr_read(instret);
        if (now - last > GAP)
            return now;
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
