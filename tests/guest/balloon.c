/* SPDX-License-Identifier: BSD-2-Clause */
/* The memory balloon: what is given away that is used, is not there, or is given away again. */
#include "attack.h"

enum { INFLATE, DEFLATE, STATS, REPORT = 4, F_STATS = 2, F_REPORTING = 32 };

#define FAR (RAM_BASE + (64ul << 20)) /* nothing of this program is there */

static u64 balloon;
static struct queue queues[5];
static u32 pages[PAGE / 4] PAGE_ALIGNED, code[PAGE / 4] PAGE_ALIGNED;

static void begin(void)
{
    device_begin(balloon, F_STATS | F_REPORTING);
    for (u32 i = 0; i < COUNT(queues); i++)
        device_queue(balloon, i, &queues[i], RING);
    device_go(balloon);
}

/* False: the device asks for a reset, and all begins anew. */
static bool give(u32 queue, u64 at, u32 len, u16 flags)
{
    struct queue *q = &queues[queue];
    u16 before = *(volatile u16 *)&q->used.index;

    q->desc[0] = (struct desc){at, len, flags, 0};
    queue_put(q, 0);
    device_kick(balloon, queue);
    device_wait(balloon, q, before);
    fence();
    if (!(device_status(balloon) & ST_NEEDS_RESET))
        return *(volatile u16 *)&q->used.index != before;
    begin();
    return false;
}

/* A page beyond this program is given away, holds zeros, and is memory as before. */
static bool balloon_works(void)
{
    volatile u64 *far = (u64 *)FAR;

    begin();
    *far = 77;
    pages[0] = FAR / PAGE;
    if (!give(INFLATE, (u64)pages, 4, 0) || *far)
        return false;
    *far = 78;
    return *far == 78 && give(DEFLATE, (u64)pages, 4, 0);
}

static void no_memory(void)
{
    u64 seed = 5;

    CHECK(balloon_works());
    for (u32 i = 0; i < TIMES(300); i++) {
        for (u32 k = 0; k < COUNT(pages); k++) {
            u32 page = (u32)random_next(&seed);

            pages[k] = page - RAM_BASE / PAGE < (RAM_END - RAM_BASE) / PAGE ? 0 : page;
        }
        (void)give(i % 2, (u64)pages, (u32)random_next(&seed) % (PAGE + 1), 0);
    }
    (void)give(INFLATE, RAM_END - 8, 16, 0);
    (void)give(INFLATE, FAR, RAM_END - FAR, 0); /* of zeros: page 0, sixteen million times */
    CHECK(balloon_works());
}

static void all_of_it_again_and_again(void)
{
    CHECK(balloon_works());
    for (u32 i = 0; i < TIMES(200); i++) {
        volatile u64 *at = (u64 *)(FAR + i * 3 * PAGE);
        u32 len = (u32)(RAM_END - FAR) - 8;

        *at = i + 1;
        CHECK(give(REPORT, FAR + i % 3, len - i % 5, D_WRITE));
        CHECK(*at == 0);
        (void)give(REPORT, FAR, len, 0);
        (void)give(REPORT, RAM_END - PAGE, 2 * PAGE, D_WRITE);
    }
    CHECK(balloon_works());
}

static u64 run_code(void)
{
    return ((u64(*)(void))(u64)code)();
}

static void code_put(u32 value)
{
    code[0] = 0x513 | value << 20; /* li a0, value */
    code[1] = 0x8067;              /* ret */
    fence_i();
}

/* Code that was run is gone with its page, whatever was made of it. */
static void code_given_away(void)
{
    begin();
    for (u32 i = 1; i < TIMES(500); i++) {
        code_put(i);
        for (u32 k = 0; k < 20; k++)
            CHECK(run_code() == i);
        CHECK(give(REPORT, (u64)code, PAGE, D_WRITE));
        CHECK(*(volatile u32 *)code == 0);
        code_put(i + 1);
        CHECK(run_code() == i + 1);
    }
    CHECK(balloon_works());
}

void tests(void)
{
    balloon = device_find(KIND_BALLOON);
    test("balloon: pages that are not there", no_memory);
    test("balloon: much, oddly cut, and again", all_of_it_again_and_again);
    test("balloon: code that was run", code_given_away);
}
