/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a hart knows by virtual address: links to pages of code, and jumps to code. Both follow the
 * translation of fetches: they are forgotten page by page, by address space, or all.
 *
 * A jump table has the jumps into one virtual page in a row, so that these are found without a
 * list. Other looks go through lists of what was filled, one of them of what is global: a change of
 * address space costs no more than filling did what it forgets.
 */
#include "exec/jit_impl.h"

#include "rv/code_cache.h"

#include <string.h>

static void note_fill(struct fills *fills, u32 at)
{
    if (fills->count < FILLS_MAX)
        fills->at[fills->count] = (u16)at;
    fills->count++;
}

/* ---- links ---- */

static struct link *link_of(struct jit_hart *h, gva_t pc)
{
    return &h->link[(pc >> PAGE_SHIFT) % LINKS];
}

void jit_link(struct jit_hart *h, gva_t pc, struct jit_page *page, bool global)
{
    struct link *link = link_of(h, pc);

    h->replaced |= link->tag != 0;
    if (!link->listed)
        note_fill(&h->link_fills, (u32)(link - h->link));
    *link = (struct link){code_link_tag(pc, h->hart->mode), page, global, .listed = true};
}

void jit_unlink(struct jit_hart *h, gva_t pc)
{
    link_of(h, pc)->tag = 0;
    h->replaced = true;
}

struct jit_page *jit_linked(struct jit_hart *h, gva_t pc)
{
    const struct link *link = link_of(h, pc);

    return link->tag == code_link_tag(pc, h->hart->mode) ? link->page : NULL;
}

static void empty_links(struct jit_hart *h)
{
    struct fills *f = &h->link_fills;

    if (f->count > FILLS_MAX)
        memset(h->link, 0, sizeof(h->link));
    for (u32 i = 0; f->count <= FILLS_MAX && i < f->count; i++)
        h->link[f->at[i]] = (struct link){0};
    f->count = 0;
}

/* ---- checks ---- */

_Static_assert(SPANS_MAX <= FILLS_MAX, "all checks can be listed");

bool jit_check_is(struct jit_hart *h, const struct jit_span *span, u64 va)
{
    (void)jit_jumps(h);
    return h->table[h->hart->mode].check[jit_span_index(h->jit, span)] == va;
}

/* Forgets all checks of a table, or those for which forget() is true. */
static void forget_checks(struct jit_hart *h, struct jump_table *t,
                          bool (*forget)(const struct jit_hart *h, const struct jump_table *t,
                                         u32 at, gva_t va),
                          gva_t va)
{
    struct fills *f = &t->check_fills; /* none twice, so that there is room for all */
    u32 kept = 0;

    for (u32 i = 0; i < f->count; i++) {
        const u32 at = f->at[i];
        if (!forget || forget(h, t, at, va))
            t->check[at] = NO_PAGE;
        else
            f->at[kept++] = (u16)at;
    }
    f->count = kept;
}

static bool is_local(const struct jit_hart *h, const struct jump_table *t, u32 at, gva_t va)
{
    return !t->check_global[at];
}

static bool is_of_dead(const struct jit_hart *h, const struct jump_table *t, u32 at, gva_t va)
{
    return atomic_load_explicit(&h->jit->span[at].dead, memory_order_relaxed);
}

static bool is_of_page(const struct jit_hart *h, const struct jump_table *t, u32 at, gva_t va)
{
    const struct jit_span *span = &h->jit->span[at];
    bool any = false;

    for (u32 i = 0; i < span->page_count; i++)
        any |= t->check[at] + (u64)(s64)span->at[i] == va;
    return any;
}

/* ---- jumps ---- */

static u32 place_of(gva_t pc)
{
    return (u32)(pc >> 1) % JUMPS;
}

static bool is_dropped(const struct jit_page *page)
{
    return atomic_load_explicit(&page->dropped, memory_order_relaxed);
}

static void empty_listed(struct jump_table *t, struct fills *f)
{
    for (u32 i = 0; i < f->count; i++) {
        t->jump[f->at[i]].pc = jump_none(f->at[i]);
        t->state[f->at[i]] = 0;
    }
}

static void empty_table(struct jump_table *t)
{
    struct fills *f = t->fills;

    if (!t->ready)
        return;
    if (f[0].count > FILLS_MAX || f[1].count > FILLS_MAX) {
        for (u32 i = 0; i < JUMPS; i++)
            t->jump[i].pc = jump_none(i);
        memset(t->state, 0, sizeof(t->state));
    } else {
        empty_listed(t, &f[0]);
        empty_listed(t, &f[1]);
    }
    f[0].count = f[1].count = 0;
    t->has_local = false;
}

/* An instruction that goes on in another page depends on that, too. */
static bool depends_on_two(gva_t pc)
{
    return (pc & ~PAGE_MASK) == LAST_HALF;
}

/* Forgets jumps that are not global. Those in the list that are so by now are in the other, too. */
static void sift_table(struct jump_table *t)
{
    struct fills *f = &t->fills[0];

    if (f->count > FILLS_MAX) {
        empty_table(t);
        return;
    }
    for (u32 i = 0; i < f->count; i++) {
        const u32 at = f->at[i];
        t->state[at] &= (u8)~JUMP_LISTED;
        if (!(t->state[at] & JUMP_GLOBAL))
            t->jump[at].pc = jump_none(at);
    }
    f->count = 0;
}

static void list_jump(struct jump_table *t, u32 at, bool global)
{
    u8 listed = global ? JUMP_LISTED_GLOBAL : JUMP_LISTED;

    if (!(t->state[at] & listed))
        note_fill(&t->fills[global], at);
    t->state[at] = (t->state[at] & (u8)~JUMP_GLOBAL) | listed | (global ? JUMP_GLOBAL : 0);
}

struct jump *jit_jumps(struct jit_hart *h)
{
    struct jump_table *t = &h->table[h->hart->mode];

    for (u32 i = 0; !t->ready && i < JUMPS; i++)
        t->jump[i].pc = jump_none(i);
    for (u32 i = 0; !t->ready && i < SPANS_MAX; i++)
        t->check[i] = NO_PAGE;
    t->ready = true;
    return t->jump;
}

static u64 *seen_word(struct jit_hart *h, gva_t va, u64 *bit)
{
    u64 n = (va >> PAGE_SHIFT) % PAGES_SEEN;

    *bit = BIT(n % 64);
    return &h->seen_pages[n / 64];
}

static void note_page(struct jit_hart *h, gva_t va)
{
    u64 bit, *word = seen_word(h, va, &bit);

    *word |= bit;
}

void jit_jump(struct jit_hart *h, u32 code)
{
    const gva_t pc = h->hart->pc;
    struct jump_table *t = &h->table[h->hart->mode];
    u32 at = place_of(pc);
    const struct link *link = link_of(h, pc);

    bool global =
        link->global && link->tag == code_link_tag(pc, h->hart->mode) && !depends_on_two(pc);

    (void)jit_jumps(h);
    list_jump(t, at, global);
    t->jump[at] = (struct jump){pc, jit_backend_address(h->jit->backend, code)};
    t->has_local |= !global;
    note_page(h, pc);
    if (depends_on_two(pc))
        note_page(h, pc + 2);
}

u32 jit_known(struct jit_hart *h)
{
    const gva_t pc = h->hart->pc;
    const struct jump *jump = &jit_jumps(h)[place_of(pc)];

    return jump->pc == pc ? (u32)(jump->code - jit_backend_address(h->jit->backend, 0)) : 0;
}

void jit_check_set(struct jit_hart *h, const struct jit_span *span, gva_t va, bool global)
{
    struct jump_table *t = &h->table[h->hart->mode];
    u32 at = jit_span_index(h->jit, span);

    if (t->check[at] == NO_PAGE)
        note_fill(&t->check_fills, at);
    t->check[at] = va;
    t->check_global[at] = global;
    t->has_local |= !global;
    for (u32 i = 0; i < span->page_count; i++)
        note_page(h, va + (u64)(s64)span->at[i]);
}

/* ---- what changes ---- */

void jit_empty_tables(struct jit_hart *h)
{
    empty_links(h);
    for (u32 i = 0; i < PRIV_COUNT; i++) {
        empty_table(&h->table[i]);
        forget_checks(h, &h->table[i], NULL, 0);
    }
    memset(h->seen_pages, 0, sizeof(h->seen_pages));
    h->replaced = false;
}

void jit_forget_space(struct jit_hart *h)
{
    struct fills *f = &h->link_fills;
    u32 kept = 0;

    for (u32 i = 0; i < PRIV_COUNT; i++) {
        if (h->table[i].has_local) {
            sift_table(&h->table[i]);
            forget_checks(h, &h->table[i], is_local, 0);
        }
        h->table[i].has_local = false;
    }
    if (f->count > FILLS_MAX) {
        empty_links(h);
        return;
    }
    for (u32 i = 0; i < f->count; i++) {
        struct link *link = &h->link[f->at[i]];
        if (link->tag && link->global)
            f->at[kept++] = f->at[i];
        else
            *link = (struct link){0};
    }
    f->count = kept;
}

static void forget_jump(struct jump_table *t, gva_t pc)
{
    u32 at = place_of(pc);

    if (t->jump[at].pc == pc)
        t->jump[at].pc = jump_none(at);
}

static void forget_jumps(struct jump_table *t, gva_t va)
{
    u32 row = place_of(va);

    if (!t->fills[0].count && !t->fills[1].count)
        return;
    for (u32 at = row; at < row + PAGE_SIZE / 2; at++) {
        if ((t->jump[at].pc & PAGE_MASK) == va)
            t->jump[at].pc = jump_none(at);
    }
    forget_jump(t, va - 2);
}

void jit_forget_page(struct jit_hart *h, gva_t va)
{
    u64 bit, *word = seen_word(h, va, &bit);
    struct link *link = link_of(h, va);

    if ((link->tag & PAGE_MASK) == va)
        link->tag = 0;
    for (u32 i = 0; (*word & bit) && i < PRIV_COUNT; i++) {
        forget_jumps(&h->table[i], va);
        forget_checks(h, &h->table[i], is_of_page, va);
    }
}

/* Forgets the jumps to the entries of a page that is linked there. */
static void forget_entries(struct jit_hart *h, const struct link *link)
{
    const struct entries *e = atomic_load_explicit(&link->page->entries, memory_order_acquire);
    const gva_t va = link->tag & PAGE_MASK;

    for (u32 mode = 0; mode < PRIV_COUNT; mode++) {
        struct jump_table *t = &h->table[mode];
        if (link->tag != code_link_tag(va, (enum priv)mode) || !t->ready)
            continue;
        for (u32 i = 0; e && i <= e->mask; i++) {
            u64 slot = atomic_load_explicit(&e->slot[i], memory_order_relaxed);
            if (slot)
                forget_jump(t, va + ((u32)slot & ~PAGE_MASK));
        }
        forget_jump(t, va - 2);
    }
}

/* If no link gave way to another since the tables were emptied, links tell where jumps may be. */
static void forget_dropped(struct jit_hart *h)
{
    const struct fills *f = &h->link_fills;

    if (h->replaced || f->count > FILLS_MAX) {
        jit_empty_tables(h);
        return;
    }
    for (u32 i = 0; i < PRIV_COUNT; i++)
        forget_checks(h, &h->table[i], is_of_dead, 0);
    for (u32 i = 0; i < f->count; i++) {
        struct link *link = &h->link[f->at[i]];
        if (!link->tag || !is_dropped(link->page))
            continue;
        forget_entries(h, link);
        link->tag = 0;
    }
}

static void catch_up(struct jit_hart *h, bool was_away)
{
    u64 epoch = atomic_load_explicit(&h->jit->epoch, memory_order_seq_cst);

    /* Pages of this epoch and before have told theirs. While it was away they were freed, perhaps.
     */
    if (atomic_load_explicit(&h->jit->drop_epoch, memory_order_relaxed) > h->seen) {
        if (was_away)
            jit_empty_tables(h);
        else
            forget_dropped(h);
    }
    h->seen = epoch;
    atomic_store_explicit(&h->ack, epoch, memory_order_seq_cst);
}

void jit_catch_up(struct jit_hart *h)
{
    catch_up(h, false);
}

void jit_enter(struct jit_hart *h)
{
    /* Until others see an ack it counts as outside; the epoch is read again thereafter. */
    atomic_store_explicit(&h->ack, h->seen, memory_order_seq_cst);
    if (atomic_load_explicit(&h->jit->epoch, memory_order_seq_cst) != h->seen)
        catch_up(h, true);
}

void jit_leave(struct jit_hart *h)
{
    atomic_store_explicit(&h->ack, UINT64_MAX, memory_order_seq_cst);
    if (atomic_load_explicit(&h->hart->attn, memory_order_relaxed) & ATTN_ENGINE)
        atomic_fetch_and_explicit(&h->hart->attn, ~(u32)ATTN_ENGINE, memory_order_relaxed);
}
