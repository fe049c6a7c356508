/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Host code in segments, and when memory that harts share is free again.
 *
 * Theory of operation. What is taken out of the cache (a page with its entries, a table that has
 * grown) may still be held by a hart: in its tables, or because it runs the code. So it is retired:
 * it cannot be found any more, then the epoch is advanced. A hart says in `ack` which epoch it had
 * read before it last emptied its tables, at a time when it ran no translated code and held no
 * pointer; outside the engine it says UINT64_MAX. What was retired at an epoch that all have seen
 * is nobody's. Harts catch up when they empty their tables anyway, and when they are asked to
 * (ATTN_ENGINE); nobody waits.
 *
 * Code goes to one segment until it is full. The next one in turn is made free before: all pages
 * with code in it are dropped, and it is reused when all harts have seen that.
 */
#include "exec/jit_impl.h"

#include "base/assert.h"
#include "rv/code_cache.h"

#include <stdlib.h>
#include <string.h>

#define RETIRED_MANY 256 /* harts are asked to catch up */

static void fill(struct jit *jit, enum jit_tier tier, u32 at)
{
    struct segment *s = &jit->segment[at];

    s->state = SEGMENT_FILLING;
    s->tier = tier;
    jit->tier[tier].segment = jit->newest = at;
    jit_compiler_aim(jit->tier[tier].compiler, s->start, s->end);
}

bool jit_code_init(struct jit *jit, u32 code_size, u32 segments)
{
    u32 start = jit_backend_code_start(jit->backend);
    u32 size = code_size / segments;

    ASSERT(segments > JIT_TIERS && segments <= JIT_SEGMENTS_MAX && size > start);
    for (u32 i = 0; i < segments; i++) {
        jit->segment[i].start = i ? i * size : start;
        jit->segment[i].end = (i + 1) * size;
    }
    jit->segment_count = segments;
    for (u32 i = 0; i < (jit->work ? JIT_TIERS : 1); i++) {
        jit->tier[i].compiler = jit_compiler_create(jit->backend);
        if (!jit->tier[i].compiler)
            return false;
        fill(jit, (enum jit_tier)i, i);
    }
    return true;
}

void jit_retire(struct jit *jit, struct retired *retired)
{
    retired->next = NULL;
    retired->epoch = atomic_load_explicit(&jit->epoch, memory_order_relaxed) + 1;
    if (retired->kind != RETIRED_ENTRIES)
        atomic_store_explicit(&jit->drop_epoch, retired->epoch, memory_order_relaxed);
    *jit->retired_end = retired;
    jit->retired_end = &retired->next;
    jit->retired_count++;
}

static u64 least_ack(const struct jit *jit)
{
    u64 least = UINT64_MAX;

    for (const struct jit_hart *h = jit->harts; h; h = h->next) {
        /* Pairs with jit_enter: who is not seen here will see the epoch. */
        u64 ack = atomic_load_explicit(&h->ack, memory_order_seq_cst);
        if (ack < least)
            least = ack;
    }
    return least;
}

static void ask_harts(struct jit *jit)
{
    u64 epoch = atomic_load_explicit(&jit->epoch, memory_order_relaxed);

    for (struct jit_hart *h = jit->harts; h; h = h->next) {
        if (atomic_load_explicit(&h->ack, memory_order_seq_cst) < epoch)
            hart_attention(h->hart, ATTN_ENGINE);
    }
}

void jit_advance(struct jit *jit)
{
    atomic_fetch_add_explicit(&jit->epoch, 1, memory_order_seq_cst);
    if (jit->retired_count > RETIRED_MANY)
        ask_harts(jit);
}

void jit_collect(struct jit *jit)
{
    u64 least;

    if (!jit->retired)
        return;
    least = least_ack(jit);
    while (jit->retired && jit->retired->epoch <= least) {
        struct retired *r = jit->retired;
        jit->retired = r->next;
        jit->retired_count--;
        if (r->kind == RETIRED_PAGE)
            jit_page_free((struct jit_page *)(void *)r);
        else if (r->kind == RETIRED_SPAN)
            jit_span_free(jit, (struct jit_span *)(void *)r);
        else
            free(r);
    }
    if (!jit->retired)
        jit->retired_end = &jit->retired;
}

/* ---- segments ---- */

/* The next in turn that is not being filled. */
static struct segment *in_turn(struct jit *jit)
{
    u32 at = jit->newest;

    do
        at = (at + 1) % jit->segment_count;
    while (jit->segment[at].state == SEGMENT_FILLING);
    return &jit->segment[at];
}

static void drain(struct jit *jit, struct segment *s)
{
    jit_drop_segments(jit, 1u << (s - jit->segment));
    s->state = SEGMENT_DRAINING;
    jit_advance(jit);
    s->epoch = atomic_load_explicit(&jit->epoch, memory_order_relaxed);
    jit->stats.evictions++;
    ask_harts(jit);
}

bool jit_next_segment(struct jit *jit, enum jit_tier tier)
{
    struct segment *s = in_turn(jit);

    if (s->state == SEGMENT_FULL)
        drain(jit, s);
    if (s->state == SEGMENT_DRAINING && least_ack(jit) < s->epoch) {
        ask_harts(jit);
        return false;
    }
    jit->segment[jit->tier[tier].segment].state = SEGMENT_FULL;
    fill(jit, tier, (u32)(s - jit->segment));
    return true;
}

void jit_look_ahead(struct jit *jit, enum jit_tier tier)
{
    const struct segment *s = &jit->segment[jit->tier[tier].segment];
    struct segment *next = in_turn(jit);

    if (next->state == SEGMENT_FULL &&
        s->end - jit_compiler_at(jit->tier[tier].compiler) < (s->end - s->start) / 4)
        drain(jit, next);
}

enum jit_tier jit_tier_of(const struct jit *jit, u32 code)
{
    u32 i = 0;

    while (code >= jit->segment[i].end)
        i++;
    return jit->segment[i].tier;
}
