/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which regions there are, by their first pages.
 *
 * Theory of operation. A place that samples find in a block may lie in a region all the same, which
 * cannot be entered there. Another region from there would have the same code again: a loop that
 * was compiled five times does not stay in a first cache, and may lack sites in four of them. So
 * the region is made again with one more way in (a seed), and the new one takes over all ways into
 * those that it has the code of; their seeds are its own. A place for which no room is left is not
 * worth another region: it stays in blocks, up to the next way in.
 */
#include "exec/jit_impl.h"

#include <stdlib.h>

static bool has(const struct jit_held *held, u32 offset)
{
    return held->starts[offset / 128] >> (offset / 2 % 64) & 1;
}

struct jit_held *jit_held_at(const struct jit_page *page, u32 offset)
{
    struct jit_held *held = page->held;

    while (held && !has(held, offset))
        held = held->next;
    return held;
}

void jit_held_add(struct jit_page *page, const struct jit_held *held)
{
    struct jit_held *copy = malloc(sizeof(*copy));

    if (!copy)
        return;
    *copy = *held;
    copy->next = page->held;
    page->held = copy;
}

static bool covers(const struct jit_held *by, const struct jit_held *held)
{
    u64 more = 0;

    for (u32 i = 0; i < PAGE_SIZE / 2 / 64; i++)
        more |= held->starts[i] & ~by->starts[i];
    return !more && by->sites >= held->sites && by->view >= held->view;
}

static void add_seed(struct jit_held *held, u16 seed)
{
    u32 n = 0;

    while (n < held->seed_count && held->seed[n] != seed)
        n++;
    if (n == held->seed_count && n < REGION_SEEDS_MAX)
        held->seed[held->seed_count++] = seed;
}

/* Sites are worth having in each copy of a loop that has them. */
void jit_held_merge(const struct jit_page *page, struct jit_held *held)
{
    for (const struct jit_held *other = page->held; other; other = other->next) {
        held->sites |= other->sites && has(held, other->seed[0]);
        held->view |= other->view && has(held, other->seed[0]);
    }
    for (const struct jit_held *other = page->held; other; other = other->next) {
        for (u32 i = 0; i < other->seed_count && covers(held, other); i++)
            add_seed(held, other->seed[i]);
    }
}

void jit_held_replace(struct jit_page *page, const struct jit_held *by)
{
    for (struct jit_held *held = page->held; held; held = held->next)
        held->replaced = covers(by, held);
}

bool jit_held_is_replaced(const struct jit_page *page, u32 code)
{
    const struct jit_held *held = page->held;

    while (held && (!held->replaced || code - held->code >= held->size))
        held = held->next;
    return held;
}

u32 jit_held_forget_replaced(struct jit_page *page)
{
    struct jit_held **at = &page->held, *held;
    u32 count = 0;

    while ((held = *at)) {
        if (!held->replaced) {
            at = &held->next;
            continue;
        }
        *at = held->next;
        free(held);
        count++;
    }
    return count;
}

void jit_held_forget_span(struct jit_page *page, const struct jit_span *span)
{
    for (struct jit_held *held = page->held; held; held = held->next)
        held->replaced = held->span == span;
    (void)jit_held_forget_replaced(page);
}

void jit_held_forget_all(struct jit_page *page)
{
    for (struct jit_held *held = page->held; held; held = held->next)
        held->replaced = true;
    (void)jit_held_forget_replaced(page);
}
