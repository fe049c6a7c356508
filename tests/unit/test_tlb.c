/* SPDX-License-Identifier: BSD-2-Clause */
/* The software TLB: what it may hold after fills, flushes and drops, beside a model of all fills.
 */
#include "rv/tlb.h"

#include "base/assert.h"
#include "tests/fake.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#define PAGE UINT64_C(4096)

static struct tlb *create(void)
{
    struct tlb *tlb = calloc(1, sizeof(*tlb));

    ASSERT(tlb);
    tlb_init(tlb, false);
    return tlb;
}

static u8 *host_page(u64 n)
{
    return (u8 *)(uintptr_t)(UINT64_C(0x7f0000000000) + n * PAGE);
}

static void enter(struct tlb *tlb, enum tlb_mode mode, u64 page, u64 host, bool global)
{
    const struct tlb_fill fill = {page * PAGE, host_page(host), true, true, global};

    tlb_fill(tlb, mode, &fill);
}

static bool reads(const struct tlb *tlb, enum tlb_mode mode, gva_t va, u64 size)
{
    return tlb_serves(&tlb->table[mode].read[tlb_index(va)], va, size);
}

static bool writes(const struct tlb *tlb, enum tlb_mode mode, gva_t va, u64 size)
{
    return tlb_serves(&tlb->table[mode].write[tlb_index(va)], va, size);
}

TEST(zeroed_memory_is_empty)
{
    static const gva_t at[] = {0, 4095, PAGE, (TLB_ENTRIES - 1) * PAGE, 0 - PAGE, UINT64_MAX};
    struct tlb *tlb = create();

    for (u32 mode = 0; mode < TLB_HOSTS; mode++) {
        for (u32 i = 0; i < ARRAY_SIZE(at); i++) {
            CHECK(!reads(tlb, (enum tlb_mode)mode, at[i], 1));
            CHECK(!writes(tlb, (enum tlb_mode)mode, at[i], 1));
        }
    }
    free(tlb);
}

TEST(an_access_within_a_page_is_served_and_no_other)
{
    struct tlb *tlb = create();

    enter(tlb, TLB_S, 5, 1, false);
    for (u64 size = 1; size <= 8; size *= 2) {
        CHECK(reads(tlb, TLB_S, 5 * PAGE, size));
        CHECK(writes(tlb, TLB_S, 6 * PAGE - size, size));
        CHECK(size == 1 || !reads(tlb, TLB_S, 6 * PAGE - size + 1, size));
        CHECK(!reads(tlb, TLB_S, 5 * PAGE - 1, size));
        CHECK(!reads(tlb, TLB_S, (5 + TLB_ENTRIES) * PAGE, size));
        CHECK(!reads(tlb, TLB_U, 5 * PAGE, size));
    }
    free(tlb);
}

TEST(a_flush_empties_all_of_it_or_leaves_global_pages)
{
    /* As many as a log lists, and more. */
    for (u32 count = TLB_LOG_SIZE - 1; count < TLB_ENTRIES; count *= 4) {
        struct tlb *tlb = create();
        enter(tlb, TLB_S, TLB_ENTRIES - 1, 1, true);
        for (u32 i = 0; i < count; i++)
            enter(tlb, TLB_S, i, 2 + i, false);
        tlb_flush(tlb, TLB_U, true);
        CHECK(reads(tlb, TLB_S, 0, 8));
        tlb_flush(tlb, TLB_S, false);
        for (u32 i = 0; i < count; i++)
            CHECK(!reads(tlb, TLB_S, i * PAGE, 1) && !writes(tlb, TLB_S, i * PAGE, 1));
        CHECK(writes(tlb, TLB_S, (TLB_ENTRIES - 1) * PAGE, 8));
        tlb_flush(tlb, TLB_S, true);
        CHECK(!writes(tlb, TLB_S, (TLB_ENTRIES - 1) * PAGE, 8));
        free(tlb);
    }
}

TEST(no_way_to_write_is_forgotten)
{
    struct tlb *tlb = create();
    u32 open = 0;

    for (u32 i = 0; i < 3 * TLB_WAYS; i++)
        enter(tlb, (enum tlb_mode)(i % TLB_HOSTS), 100 + i, 7, false);
    enter(tlb, TLB_U, 300, 8, false);
    for (u32 i = 0; i < 3 * TLB_WAYS; i++)
        open += writes(tlb, (enum tlb_mode)(i % TLB_HOSTS), (100 + i) * PAGE, 8);
    CHECK_EQ(open, TLB_WAYS);
    tlb_drop_writes(tlb, host_page(7));
    for (u32 i = 0; i < 3 * TLB_WAYS; i++) {
        CHECK(!writes(tlb, (enum tlb_mode)(i % TLB_HOSTS), (100 + i) * PAGE, 8));
        CHECK(reads(tlb, (enum tlb_mode)(i % TLB_HOSTS), (100 + i) * PAGE, 8));
    }
    CHECK(writes(tlb, TLB_U, 300 * PAGE, 8));
    free(tlb);
}

/* As translated code does. */
static struct tlb_site *fill_site(struct tlb *tlb, u32 pool, u32 site, const struct tlb_entry *e)
{
    struct tlb_site *s = &tlb->pool[pool].site[site];

    s->start = e->tag;
    s->room = PAGE - 7;
    s->addend = e->addend;
    s->fills++;
    tlb->pool[pool].used[site / 64] |= UINT64_C(1) << site % 64;
    return s;
}

TEST(a_site_grows_as_far_as_its_addend_holds)
{
    struct tlb *tlb = create();
    struct tlb_site *s;

    for (u64 i = 0; i < 200; i++)
        enter(tlb, TLB_S, 1000 + i, 50 + i + (i >= 150), false);
    s = fill_site(tlb, TLB_S, 70, &tlb->table[TLB_S].write[tlb_index(1100 * PAGE)]);
    s->fills = 100;
    tlb_widen_site(s, tlb->table[TLB_S].write);
    CHECK_EQ(s->start, 1000 * PAGE);
    CHECK_EQ(s->room, 150 * PAGE - 7);
    CHECK(s->widened > 100);
    tlb_drop(tlb, 1150 * PAGE + 5);
    CHECK(s->room);
    tlb_drop_writes(tlb, host_page(49));
    CHECK(s->room);
    tlb_drop_writes(tlb, host_page(50));
    CHECK(!s->room && s->addend);
    s = fill_site(tlb, TLB_S, 70, &tlb->table[TLB_S].write[tlb_index(1151 * PAGE)]);
    tlb_widen_site(s, tlb->table[TLB_S].write); /* a few only, after one fill */
    CHECK(s->start == 1151 * PAGE && s->room > PAGE && s->room < 49 * PAGE);
    tlb_drop(tlb, s->start + s->room + 6);
    CHECK(!s->room);
    free(tlb);
}

TEST(an_adopted_pool_is_given_back_empty)
{
    struct tlb *tlb = create();
    struct tlb_site *own, *s;

    enter(tlb, TLB_S, 5, 5, false);
    enter(tlb, TLB_U, 6, 6, false);
    own = fill_site(tlb, TLB_S, 9, &tlb->table[TLB_S].read[5]);
    s = fill_site(tlb, TLB_U, 1535, &tlb->table[TLB_U].read[6]);
    tlb_adopt_sites(tlb, TLB_U); /* in mode S */
    CHECK(!s->room && own->room);
    (void)fill_site(tlb, TLB_U, 1535, &tlb->table[TLB_S].read[5]);
    tlb_adopt_sites(tlb, TLB_U);
    CHECK(s->room);
    tlb_flush(tlb, TLB_S, true);
    CHECK(!s->room && !own->room);
    (void)fill_site(tlb, TLB_U, 1535, &tlb->table[TLB_S].read[5]);
    tlb_return_sites(tlb);
    CHECK(!s->room && !tlb->adopted);
    free(tlb);
}

/* ---- random changes beside a model ---- */

#define PAGES 64 /* a few of them share an index */
#define HOSTS 24

static struct {
    u64 host; /* 0: must not be there */
    bool writable, global;
    bool was_writable; /* a site may know from before */
} model[TLB_HOSTS][PAGES];
static u64 seed = 1;

static u64 page_number(u32 page)
{
    return page % 8 * TLB_ENTRIES + page / 8 * 37;
}

static u32 rnd(u32 below)
{
    return (u32)(test_random(&seed) >> 33) % below;
}

static void random_fill(struct tlb *tlb)
{
    u32 mode = rnd(TLB_HOSTS), page = rnd(PAGES);
    /* A page has one mapping until it is flushed; hosts of one parity share their ways. */
    u64 host = model[mode][page].host ? model[mode][page].host : 1 + rnd(HOSTS);
    bool writable = rnd(2), global = rnd(2);
    const struct tlb_fill fill = {page_number(page) * PAGE, host_page(host * TLB_HOLDS / 2), true,
                                  writable, global};

    tlb_fill(tlb, (enum tlb_mode)mode, &fill);
    model[mode][page].global = global || (model[mode][page].host && model[mode][page].global);
    model[mode][page].host = host;
    model[mode][page].writable = writable;
    model[mode][page].was_writable |= writable;
    CHECK(reads(tlb, (enum tlb_mode)mode, fill.page, 8));
    CHECK(writes(tlb, (enum tlb_mode)mode, fill.page, 8) == writable);
}

static void forget(u32 mode, u32 page, bool but_global)
{
    if (but_global && model[mode][page].global)
        return;
    model[mode][page].host = 0;
    model[mode][page].was_writable = false;
}

static void random_change(struct tlb *tlb)
{
    u32 mode = rnd(TLB_HOSTS), page = rnd(PAGES), host = 1 + rnd(HOSTS);
    bool global = rnd(2);

    switch (rnd(12)) {
    case 0:
        tlb_flush(tlb, (enum tlb_mode)mode, global);
        for (u32 i = 0; i < PAGES; i++)
            forget(mode, i, !global);
        break;
    case 1:
        tlb_drop(tlb, page_number(page) * PAGE);
        for (u32 i = 0; i < TLB_HOSTS; i++)
            forget(i, page, false);
        break;
    case 2:
    case 3:
        tlb_drop_writes(tlb, host_page((u64)host * TLB_HOLDS / 2));
        for (u32 i = 0; i < TLB_HOSTS * PAGES; i++) {
            if (model[i / PAGES][i % PAGES].host == host)
                model[i / PAGES][i % PAGES].writable = model[i / PAGES][i % PAGES].was_writable =
                    false;
        }
        break;
    default:
        random_fill(tlb);
    }
}

/* Sites below PAGES are for reads, the next ones for writes. */
static void random_site(struct tlb *tlb)
{
    u32 mode = rnd(TLB_HOSTS), page = rnd(PAGES), site = rnd(2 * PAGES);
    gva_t va = page_number(page) * PAGE;
    const struct tlb_entry *e = site < PAGES ? &tlb->table[mode].read[tlb_index(va)]
                                             : &tlb->table[mode].write[tlb_index(va)];

    if (tlb_serves(e, va, 8))
        (void)fill_site(tlb, mode, site, e);
}

static bool sites_are_as_model(const struct tlb *tlb, u32 mode, u32 page)
{
    gva_t va = page_number(page) * PAGE;
    u64 host = model[mode][page].host;

    for (u32 i = 0; i < 2 * PAGES; i++) {
        const struct tlb_site *s = &tlb->pool[mode].site[i];
        if (va - s->start < s->room &&
            (!host || s->addend != (u64)(uintptr_t)host_page(host * TLB_HOLDS / 2) - va ||
             (i >= PAGES && !model[mode][page].was_writable)))
            return false;
    }
    return true;
}

static bool is_as_model(const struct tlb *tlb, u32 mode, u32 page)
{
    gva_t va = page_number(page) * PAGE;
    u64 host = model[mode][page].host;
    u64 addend = (u64)(uintptr_t)host_page(host * TLB_HOLDS / 2) - va;

    if (reads(tlb, (enum tlb_mode)mode, va, 8) &&
        (!host || tlb->table[mode].read[tlb_index(va)].addend != addend))
        return false;
    return !writes(tlb, (enum tlb_mode)mode, va, 8) ||
           (host && model[mode][page].writable &&
            tlb->table[mode].write[tlb_index(va)].addend == addend);
}

TEST(it_never_holds_what_was_taken_away)
{
    struct tlb *tlb = create();

    for (u32 i = 0; i < 20000; i++) {
        bool same = true;
        random_change(tlb);
        random_site(tlb);
        for (u32 k = 0; k < TLB_HOSTS * PAGES; k++)
            same &= is_as_model(tlb, k / PAGES, k % PAGES) &&
                    sites_are_as_model(tlb, k / PAGES, k % PAGES);
        CHECK(same);
    }
    free(tlb);
}

TEST_MAIN()
