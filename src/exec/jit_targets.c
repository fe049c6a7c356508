/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where jumps to what a register says have led: calls through pointers, switches.
 *
 * Noted when such a jump leaves translated code: the first time that it leads somewhere, and when a
 * sample finds it. What is noted is a guess at what comes next, no more; regions follow it.
 */
#include "exec/jit_impl.h"

#include "rv/code_cache.h"

#include <stdlib.h>

#define TARGETS_NOTED 4096 /* jumps */

/* A jump by the page it lies in; another one with the same hash takes its place. */
struct targets {
    u32 page; /* its name */
    u16 offset;
    u16 count;
    s32 to[REGION_TARGETS_MAX]; /* from the start of its page */
};

bool jit_targets_init(struct jit *jit)
{
    jit->targets = calloc(TARGETS_NOTED, sizeof(*jit->targets));
    return jit->targets;
}

static struct targets *place_of(const struct jit *jit, u32 page, u32 offset)
{
    u32 hash = (page << PAGE_SHIFT | offset) * 0x9e3779b1u;

    return &jit->targets[(hash >> 16) % TARGETS_NOTED];
}

static void note(struct targets *t, s32 to)
{
    for (u32 i = 0; i < t->count; i++) {
        if (t->to[i] == to)
            return;
    }
    if (t->count < REGION_TARGETS_MAX)
        t->to[t->count++] = to;
}

void jit_target_note(struct jit_hart *h, gva_t from, gva_t to)
{
    const gva_t va = from & PAGE_MASK;
    const struct jit_page *page = jit_linked(h, from);
    const u32 offset = (u32)(from - va);
    const s64 distance = (s64)(to - va);
    struct targets *t;

    if (!page || !h->jit->targets || distance < -REGION_REACH || distance > REGION_REACH)
        return;
    pthread_mutex_lock(&h->jit->lock);
    t = place_of(h->jit, page->name, offset);
    if (t->page != page->name || t->offset != offset)
        *t = (struct targets){.page = page->name, .offset = (u16)offset};
    note(t, (s32)distance);
    pthread_mutex_unlock(&h->jit->lock);
}

u32 jit_targets_of(const struct jit *jit, u32 page, u32 offset, const s32 **to)
{
    const struct targets *t = place_of(jit, page, offset);

    *to = t->to;
    return t->page == page && t->offset == offset ? t->count : 0;
}
