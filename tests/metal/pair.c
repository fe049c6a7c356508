/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One of several partitions that share a hart by a cyclic plan, each with one window of a frame: it
 * never sleeps and looks at the clock all the time, so a gap in what it sees is others' time. It
 * holds each of PAIR_COUNT windows against the plan: none is missing, each begins a multiple of
 * PAIR_FRAME_US after the first one, is PAIR_LENGTH_US long, and its own registers are as it left
 * them.
 *
 * What it prints, at its end alone, is the same in each run in which all is as planned; only with
 * PAIR_WORST it tells how far from the plan the worst were.
 */
#include "guest.h"

#ifndef PAIR_FRAME_US
#define PAIR_FRAME_US  10000
#define PAIR_LENGTH_US 2000
#endif
#ifndef PAIR_COUNT
#define PAIR_COUNT 1000
#endif
#ifndef PAIR_SLACK_US
#define PAIR_SLACK_US 20
#endif
#define GAP_US 1000 /* between two windows; other harts' turns in QEMU take less */

struct window {
    u64 begin, end; /* the first and the last time that was seen in it */
};

static u64 frame, length, slack, gap;
static u32 missed, astray, cut, torn;
static u64 worst_begin, worst_length;

/* Sees the rest of a window to its end; returns the beginning of the next one. */
static u64 see_window(struct window *w)
{
    register double kept __asm__("fs3") = (double)w->begin;
    u64 now;

    w->end = w->begin;
    for (;;) {
        for (unsigned i = 0; i < 8; i++)
            __asm__ volatile("nop" : "+f"(kept));
        now = time_now();
        if (now - w->end > gap)
            break;
        w->end = now;
    }
    torn += kept != (double)w->begin;
    return now;
}

static u64 distance(u64 a, u64 b)
{
    return a > b ? a - b : b - a;
}

static void note(u64 off, u64 most, u64 *worst, u32 *count)
{
    if (off > *worst)
        *worst = off;
    *count += off > most;
}

static void watch(void)
{
    struct window w = {.begin = time_now()};
    u64 first, plan = 0, next;

    w.begin = see_window(&w); /* the first one is not seen from its beginning */
    first = w.begin;
    while (plan < PAIR_COUNT) {
        u64 frames;

        next = see_window(&w);
        /* Both ends may be seen late, or too early. */
        note(distance(w.end - w.begin, length), 2 * slack, &worst_length, &cut);
        frames = (next - w.begin + frame / 2) / frame;
        if (frames != 1)
            missed += frames > 1 ? (u32)frames - 1 : 1;
        plan += frames ? frames : 1;
        note(distance(next - first, plan * frame), slack, &worst_begin, &astray);
        w.begin = next;
    }
}

void guest_main(u64 hart, const void *tree)
{
    (void)hart, (void)tree;
    frame = time_from_us(PAIR_FRAME_US);
    length = time_from_us(PAIR_LENGTH_US);
    slack = time_from_us(PAIR_SLACK_US);
    gap = time_from_us(GAP_US);
    csr_set(sstatus, SSTATUS_FS);
    watch();
#ifdef PAIR_WORST
    print("pair: at worst %lu of %lu a second from its time, %lu from its length\n", worst_begin,
          timer_frequency(), worst_length);
#endif
    print("pair: %u missing, %u begin at another time, %u of another length, %u torn\n", missed,
          astray, cut, torn);
    print("pair: %s\n", missed || astray || cut || torn ? "DISTURBED" : "as planned");
}
