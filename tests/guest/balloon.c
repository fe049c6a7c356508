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

/*
 * ---- the queue's own pages ----
 * The device goes on with zeros, as if the driver had written them: it may serve, be silent or ask
 * for a reset. It is not asked for long, as silence is right.
 */

#define SOON 100000u /* of mtime, 10 MHz: ten milliseconds */

enum { PACKED_AVAIL = 0x80, PACKED_USED = 0x8000 };

/* Does a word become this one soon, without a reset being asked for? */
static bool becomes(const volatile u16 *word, u16 value)
{
    u64 end = mtime() + SOON;

    while (*word != value && mtime() < end && !(device_status(balloon) & ST_NEEDS_RESET))
        pause();
    fence();
    return *word == value && !(device_status(balloon) & ST_NEEDS_RESET);
}

static bool is_zero(const void *from, u64 len)
{
    const volatile u64 *word = from;

    for (u32 i = 0; i < len / 8; i++) {
        if (word[i])
            return false;
    }
    return true;
}

/* Gives away those of the queue's areas whose bits are in mask: by their numbers or as they are. */
static void areas_put(struct queue *q, u32 queue, u32 mask)
{
    const u64 area[] = {(u64)q->desc, (u64)&q->avail, (u64)&q->used};
    u32 n = 0;

    for (u32 i = 0; i < COUNT(area); i++) {
        if (!(mask >> i & 1))
            continue;
        pages[n] = (u32)(area[i] / PAGE);
        if (queue == REPORT)
            q->desc[n] = (struct desc){area[i], PAGE, D_WRITE | D_NEXT, (u16)(n + 1)};
        n++;
    }
    if (queue == REPORT)
        q->desc[n - 1].flags = D_WRITE;
    else
        q->desc[0] = (struct desc){(u64)pages, 4 * n, 0, 0};
}

static void own_areas(u32 queue, u32 mask)
{
    struct queue *q = &queues[queue];
    const volatile u16 *used = &q->used.index;

    begin();
    for (u32 i = 0; i < 3; i++) /* so that the indices are none that begin */
        CHECK(give(queue, FAR, 4, queue == REPORT ? D_WRITE : 0));
    q->used.event = 77; /* nobody's, as this feature is not asked for */
    areas_put(q, queue, mask);
    queue_put(q, 0);
    device_kick(balloon, queue);
    if (becomes(used, 4)) {
        CHECK(!(mask & 1) || is_zero(q->desc, PAGE));
        CHECK(!(mask & 2) || is_zero(&q->avail, PAGE));
        CHECK(!(mask & 4) || is_zero(&q->used.done[0].len, PAGE - 8));
    }
    for (u32 i = 0; i < 2 * RING && !(device_status(balloon) & ST_NEEDS_RESET); i++) {
        q->desc[0] = (struct desc){FAR, 4, queue == REPORT ? D_WRITE : 0, 0};
        queue_put(q, 0);
        device_kick(balloon, queue);
    }
    (void)becomes(used, 4 + 2 * RING);
    CHECK(balloon_works());
}

/* The same of a packed queue: its ring, then the areas of events with it. */
static void own_ring(u32 mask)
{
    struct queue *q = &queues[INFLATE];
    volatile struct desc *first = q->desc;

    device_begin(balloon, F_PACKED);
    device_queue(balloon, INFLATE, q, RING);
    device_go(balloon);
    areas_put(q, INFLATE, mask);
    q->desc[0].flags = 7;           /* in a packed ring the buffer's id ... */
    q->desc[0].next = PACKED_AVAIL; /* ... and the flags */
    fence();
    device_kick(balloon, INFLATE);
    if (becomes(&q->desc[0].next, PACKED_AVAIL | PACKED_USED) && mask & 1)
        CHECK(first->flags == 7 && !first->at && is_zero(q->desc + 1, PAGE - sizeof(struct desc)));
    device_kick(balloon, INFLATE);
    (void)becomes(&q->desc[1].next, PACKED_AVAIL | PACKED_USED);
    CHECK(balloon_works());
}

static void its_own_queue(void)
{
    for (u32 mask = 1; mask < 8; mask++) {
        own_areas(INFLATE, mask);
        own_areas(REPORT, mask);
        own_ring(mask);
    }
    /* The list of pages names its own page first, and is zeros from then on. */
    begin();
    for (u32 k = 0; k < COUNT(pages); k++)
        pages[k] = (u32)((u64)(k % 2 ? (u64)pages : FAR) / PAGE);
    (void)give(INFLATE, (u64)pages, PAGE, 0);
    CHECK(is_zero(pages, PAGE));
    CHECK(balloon_works());
}

void tests(void)
{
    balloon = device_find(KIND_BALLOON);
    test("balloon: pages that are not there", no_memory);
    test("balloon: much, oddly cut, and again", all_of_it_again_and_again);
    test("balloon: code that was run", code_given_away);
    test("balloon: the pages of its own queue", its_own_queue);
}
