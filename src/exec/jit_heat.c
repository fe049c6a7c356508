/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which places are hot: what samples say about where harts are.
 *
 * Theory of operation. A place that was met in a block some times within the last few thousand
 * samples deserves a region: one that is met seldom is not worth its compilation, and code that is
 * much is better short. Sites (jit/x86_64/window.c) are for loops that the hart is in most of the
 * time: there are few, regions share them, and where they do not hold they cost more than a look at
 * the TLB. So a region has some only if a good part of the latest samples met one and the same
 * place; a region that was made before this was known is made again. So is one that was made
 * before its address space had a view (jit_view.c), if it is as hot still.
 */
#include "exec/jit_impl.h"

#define AGE_BITS 11 /* hits are halved every 2048 samples */
#define LATEST   64 /* samples; of which so many at one place want sites: */
#define SITED    4

static struct heat *heat_of(struct jit *jit, const struct jit_page *page, u32 key)
{
    return &jit->heat[(page->name * 0x9e3779b1u ^ key * 0x85ebca6bu) >> 16 & (HEATS - 1)];
}

/* The place's own entry, as of now. */
static struct heat *meet(struct jit *jit, const struct jit_page *page, u32 key)
{
    struct heat *heat = heat_of(jit, page, key);
    u32 age = (u32)(jit->stats.samples >> AGE_BITS), past = age - heat->age;

    if (heat->page != page->name || heat->offset != key)
        *heat = (struct heat){.page = page->name, .offset = (u16)key};
    else
        heat->hits = past < 8 ? (u8)(heat->hits >> past) : 0;
    heat->age = age;
    heat->hits += heat->hits != UINT8_MAX;
    return heat;
}

/* Notes a sample; how many of the latest were at its place. */
static u32 note(struct jit *jit, const struct heat *heat)
{
    const u16 at = (u16)(heat - jit->heat);
    u32 same = 0;

    jit->latest[jit->stats.samples % LATEST] = at;
    for (u32 i = 0; i < LATEST; i++)
        same += jit->latest[i] == at;
    return same;
}

void jit_heat_settled(struct jit *jit, const struct jit_page *page, u32 key, const struct job *job)
{
    struct heat *heat = heat_of(jit, page, key);

    if (!job->sites && !job->view)
        return;
    if (heat->page != page->name || heat->offset != key)
        *heat = (struct heat){.page = page->name, .offset = (u16)key};
    heat->sited |= job->sites;
    heat->viewed |= job->view;
}

void jit_heat(struct jit_hart *h, const struct jit_page *page, u32 key, u32 code)
{
    struct jit *jit = h->jit;
    struct heat *heat;
    bool cold, sited, viewed, wanted = false;
    u32 same;

    h->sampled = false;
    if (key >= LAST_HALF)
        return;
    pthread_mutex_lock(&jit->lock);
    jit->stats.samples++;
    cold = jit_tier_of(jit, code) == JIT_TIER_BLOCK;
    jit->stats.samples_cold += cold;
    heat = meet(jit, page, key);
    same = note(jit, heat);
    sited = (same >= SITED || jit->heat_wanted == 1) && !heat->sited;
    viewed = jit_view_wanted(h, sited) && !heat->viewed;
    if (heat->hits >= jit->heat_wanted)
        wanted = cold ? !heat->asked : viewed;
    if ((wanted || (sited && !cold)) && jit->job_count < JOBS_MAX) {
        heat->asked = true;
        heat->sited |= sited;
        heat->viewed |= viewed;
        jit_add_job(h, page, key, sited);
    }
    if (cold ? heat->hits > 1 && !heat->asked : same > 1 && !heat->sited)
        jit->found_cold = true;
    pthread_mutex_unlock(&jit->lock);
}
