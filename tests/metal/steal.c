/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Compares the time that it is told was stolen (SBI 2.0, chapter 16) with the gaps that it sees
 * in the clock while it spins. A second hart does the same, with nothing stolen from it.
 */
#include "guest.h"

enum { SBI_STA = 0x535441 };

#define NOWHERE    UINT64_MAX
#define GAP_US     30 /* more than anything takes that is done for it in its own time */
#define SECONDS_US 100000

struct steal {
    u32 sequence, flags;
    u64 steal;
    u8 preempted, pad[47];
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct steal) == 64, "SBI 2.0, section 16.1");

static volatile struct steal told[GUEST_HARTS];
static volatile u32 done;
static u32 wrong;

static long set(u64 lo, u64 hi, u64 flags)
{
    return cosm_sbi(SBI_STA, 0, lo, hi, flags).error;
}

static void check(bool fine, const char *what)
{
    if (!fine && wrong++ < 20)
        print("steal: %s\n", what);
}

/* Ticks between looks at the clock that were too far apart, as many as are needed. */
static u64 spin(volatile struct steal *s, u64 *steal)
{
    u64 start = time_now(), last = start, lost = 0, before = s->steal;

    while (last < start + time_from_us(SECONDS_US)) {
        u64 now;

        *steal = s->steal - before; /* before the clock: what it tells of is over by then */
        now = time_now();
        if (now - last > time_from_us(GAP_US))
            lost += now - last;
        last = now;
    }
    return lost;
}

static void measure(u64 unused)
{
    u64 hart = hart_self()->id, lost, steal = 0, ns_a_tick = 1000000000 / timer_frequency();
    volatile struct steal *s = &told[hart];

    (void)unused;
    s->pad[3] = 1; /* zeroed by the call */
    check(set((u64)(uintptr_t)s, 0, 0) == 0, "it was refused");
    check(s->pad[3] == 0, "it is not zeroed");
    lost = spin(s, &steal);
    check(s->sequence % 2 == 0 && s->flags == 0 && s->preempted == 0, "it is not as it should be");
    print("steal: hart %lu lost %lu us, was told of %lu\n", hart, lost / time_from_us(1),
          steal / 1000);
    check(steal <= lost * ns_a_tick, "it was told of too much");
    /* Harts have turns in a simulated board: the second one loses time to the first one's. */
    check(hart || steal + lost * ns_a_tick / 20 >= lost * ns_a_tick, "it was told of too little");
    check(set(NOWHERE, NOWHERE, 0) == 0, "it could not be ended");
    s->steal = 0x5555;
    spin(s, &steal);
    check(s->steal == 0x5555, "it was written after the end");
    done = 1;
    sbi_ipi(0);
}

static void refusals(void)
{
    const u64 here = (u64)(uintptr_t)&told[7];

    told[7].steal = 7;
    check(cosm_sbi(SBI_STA, 1, here, 0, 0).error == -2, "a function that is not there");
    check(set(here, 0, 1) == -3, "flags");
    check(set(here + 8, 0, 0) == -3, "an address that is not aligned");
    check(set(NOWHERE, NOWHERE, 1) == -3, "flags at the end");
    check(set(here, 1, 0) == -5, "an address that is too high");
    check(set(0x1000, 0, 0) == -5, "an address without memory");
    check(set(0x0c000000, 0, 0) == -5, "an address of registers");
    check(set(NOWHERE - 63, 0, 0) == -5, "the last address");
    check(told[7].steal == 7, "what was refused was written");
}

void guest_main(u64 hart, const void *tree)
{
    (void)hart, (void)tree;
    check(sbi_has(SBI_STA), "there is no STA");
    refusals();
    measure(0);
    done = 0;
    csr_set(sie, 1u << IRQ_SOFTWARE);
    if (hart_start(1, measure, 0) == 0)
        while (!done)
            __asm__ volatile("wfi");
    print("steal: %u wrong\n", wrong);
}
