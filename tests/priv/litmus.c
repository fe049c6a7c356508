/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Litmus tests on two harts: store buffering, message passing, load buffering and coherence. With
 * fences the forbidden outcome must never be seen; without, nothing is checked but coherence.
 */
#include "priv.h"

#define ROUNDS     6000
#define ROUNDS_MIN 50
#define TIME_MAX                                                                        \
    20000000ul    /* of mtime, 2 s: a host with fewer cores than harts takes long turns \
                   */
#define OVER ~0ul /* in go: no more rounds */

static struct {
    volatile u64 x __attribute__((aligned(64)));
    volatile u64 y __attribute__((aligned(64)));
    volatile u64 go __attribute__((aligned(64)));
    volatile u64 done __attribute__((aligned(64)));
    volatile u64 result __attribute__((aligned(64)));
} s;

enum kind { SB_FENCE, SB_PLAIN, SB_AMO, MP_FENCE, MP_ACQUIRE, MP_DEPEND, LB_FENCE, LB_PLAIN, CORR };

static u64 kind, weak_seen;

/* Each side stores or loads; r is what it read. */
static u64 side0(void)
{
    u64 r = 0;

    switch (kind) {
    case SB_FENCE:
        __asm__ volatile("sd %1, 0(%2); fence rw, rw; ld %0, 0(%3)"
                         : "=&r"(r)
                         : "r"(1ul), "r"(&s.x), "r"(&s.y)
                         : "memory");
        break;
    case SB_PLAIN:
        __asm__ volatile("sd %1, 0(%2); ld %0, 0(%3)"
                         : "=&r"(r)
                         : "r"(1ul), "r"(&s.x), "r"(&s.y)
                         : "memory");
        break;
    case SB_AMO:
        __asm__ volatile("amoswap.d.aqrl zero, %1, (%2); ld %0, 0(%3)"
                         : "=&r"(r)
                         : "r"(1ul), "r"(&s.x), "r"(&s.y)
                         : "memory");
        break;
    case MP_FENCE:
    case MP_DEPEND:
        __asm__ volatile("sd %0, 0(%1); fence w, w; sd %0, 0(%2)" ::"r"(1ul), "r"(&s.x), "r"(&s.y)
                         : "memory");
        break;
    case MP_ACQUIRE:
        __asm__ volatile("sd %0, 0(%1); amoswap.d.rl zero, %0, (%2)" ::"r"(1ul), "r"(&s.x),
                         "r"(&s.y)
                         : "memory");
        break;
    case LB_FENCE:
        __asm__ volatile("ld %0, 0(%2); fence r, w; sd %1, 0(%3)"
                         : "=&r"(r)
                         : "r"(1ul), "r"(&s.x), "r"(&s.y)
                         : "memory");
        break;
    case LB_PLAIN:
        __asm__ volatile("ld %0, 0(%2); sd %1, 0(%3)"
                         : "=&r"(r)
                         : "r"(1ul), "r"(&s.x), "r"(&s.y)
                         : "memory");
        break;
    default:
        s.x = 1;
        s.x = 2;
    }
    return r;
}

static u64 side1(void)
{
    u64 r = 0, q = 0;

    switch (kind) {
    case SB_FENCE:
        __asm__ volatile("sd %1, 0(%2); fence rw, rw; ld %0, 0(%3)"
                         : "=&r"(r)
                         : "r"(1ul), "r"(&s.y), "r"(&s.x)
                         : "memory");
        break;
    case SB_PLAIN:
        __asm__ volatile("sd %1, 0(%2); ld %0, 0(%3)"
                         : "=&r"(r)
                         : "r"(1ul), "r"(&s.y), "r"(&s.x)
                         : "memory");
        break;
    case SB_AMO:
        __asm__ volatile("amoswap.d.aqrl zero, %1, (%2); ld %0, 0(%3)"
                         : "=&r"(r)
                         : "r"(1ul), "r"(&s.y), "r"(&s.x)
                         : "memory");
        break;
    case MP_FENCE:
        __asm__ volatile("ld %0, 0(%2); fence r, r; ld %1, 0(%3)"
                         : "=&r"(r), "=&r"(q)
                         : "r"(&s.y), "r"(&s.x)
                         : "memory");
        break;
    case MP_ACQUIRE:
        __asm__ volatile("lr.d.aq %0, (%2); ld %1, 0(%3)"
                         : "=&r"(r), "=&r"(q)
                         : "r"(&s.y), "r"(&s.x)
                         : "memory");
        break;
    case MP_DEPEND:
        __asm__ volatile("ld %0, 0(%2); xor %1, %0, %0; add %1, %1, %3; ld %1, 0(%1)"
                         : "=&r"(r), "=&r"(q)
                         : "r"(&s.y), "r"(&s.x)
                         : "memory");
        break;
    case LB_FENCE:
        __asm__ volatile("ld %0, 0(%2); fence r, w; sd %1, 0(%3)"
                         : "=&r"(r)
                         : "r"(1ul), "r"(&s.y), "r"(&s.x)
                         : "memory");
        break;
    case LB_PLAIN:
        __asm__ volatile("ld %0, 0(%2); sd %1, 0(%3)"
                         : "=&r"(r)
                         : "r"(1ul), "r"(&s.y), "r"(&s.x)
                         : "memory");
        break;
    default:
        __asm__ volatile("ld %0, 0(%2); ld %1, 0(%2)" : "=&r"(r), "=&r"(q) : "r"(&s.x) : "memory");
    }
    return r | q << 8;
}

/* Spins first, so that the sides meet closely; then lets the host run the other hart. */
static void wait_for(volatile u64 *word, u64 least)
{
    for (u64 spins = 0; *word < least; spins++) {
        if (spins > 2000)
            pause();
    }
}

static void partner(u64 rounds)
{
    for (u64 i = 1; i <= rounds; i++) {
        wait_for(&s.go, i);
        if (s.go == OVER)
            return;
        s.result = side1();
        fence();
        s.done = i;
    }
}

/* Is this what no order of the two sides allows? */
static bool forbidden(u64 r0, u64 r1)
{
    u64 first = r1 & 0xff, second = r1 >> 8;

    switch (kind) {
    case SB_FENCE:
    case SB_AMO:
        return !r0 && !first;
    case SB_PLAIN:
        weak_seen += !r0 && !first;
        return false;
    case MP_FENCE:
    case MP_ACQUIRE:
    case MP_DEPEND:
        return first && !second;
    case LB_FENCE:
        return r0 && first;
    case LB_PLAIN:
        weak_seen += r0 && first;
        return false;
    default:
        return first > second;
    }
}

static void litmus(void)
{
    u64 start = mtime();

    memset(&s, 0, sizeof(s));
    weak_seen = 0;
    hart_start(1, partner, ROUNDS);
    for (u64 i = 1; i <= ROUNDS; i++) {
        u64 r0;

        if (i > ROUNDS_MIN && mtime() - start > TIME_MAX) {
            print("# %lu rounds\n", i - 1);
            break;
        }

        s.x = s.y = 0;
        fence();
        s.go = i;
        /* A little variation, so that the sides meet in different ways. */
        for (u64 k = 0; k < (i & 15); k++)
            __asm__ volatile("");
        r0 = side0();
        wait_for(&s.done, i);
        fence();
        check_note = r0 << 16 | s.result;
        CHECK(!forbidden(r0, s.result));
    }
    s.go = OVER;
    hart_join(1);
    if (weak_seen)
        print("# the weak outcome was seen %lu times\n", weak_seen);
}

void tests(void)
{
    static const char *const names[] = {
        "store buffering, fences", "store buffering, none",    "store buffering, AMOs",
        "message passing, fences", "message passing, acquire", "message passing, dependency",
        "load buffering, fences",  "load buffering, none",     "coherence of two reads",
    };

    for (kind = 0; kind < COUNT(names); kind++)
        test(names[kind], litmus);
}
