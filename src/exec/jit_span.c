/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Spans: what a region in several pages depends on.
 *
 * Theory of operation. Such a region is right as long as none of its pages is dropped, and where
 * its pages are mapped at the distances that it was made for. The first is seen to here: with any
 * of its pages the span ends, and its ways in lead elsewhere. Of the second each hart keeps a check
 * (jit_tables.c): the address of the first page where it holds, by privilege mode and index of the
 * span. Checks are forgotten when translation changes, as jumps are; a way in compares its own, and
 * if it is not there the engine looks at the page tables. A span that is refused again and again
 * ends, and its place gets a region of one page.
 */
#include "exec/jit_impl.h"

#include "rv/mmu.h"

#define STRIKES_MAX 16

/* ---- where a region may go on ---- */

struct scout {
    struct jit_hart *h;
    struct job *job;
    gva_t va; /* of the job's page */
};

static struct job_page *known(struct job *job, s32 at)
{
    for (u32 i = 0; i < job->away_count; i++) {
        if (job->away[i].at == at)
            return &job->away[i];
    }
    return NULL;
}

static s32 page_of(s32 offset)
{
    return offset & ~(s32)(PAGE_SIZE - 1);
}

/* Only what has been executed is worth being compiled again. */
bool jit_span_wants(const struct jit *jit, const struct jit_page *page, s32 offset)
{
    return jit->at_once || jit_entry_find(page, (u32)(offset - page_of(offset)));
}

static const u8 *look_away(void *ctx, s32 target)
{
    const struct scout *s = ctx;
    struct jit *jit = s->h->jit;
    struct job_page *p = known(s->job, page_of(target));
    struct jit_page *page;
    struct mmu_page to;

    if (p)
        page = jit_page_find(jit, p->gpa);
    else if (s->job->away_count < REGION_PAGES - 1 &&
             mmu_foresees(s->h->hart, s->va + (u64)(s64)page_of(target), s->h->hart->mode, &to) &&
             to.executable)
        page = jit_page_find(jit, to.gpa);
    else
        return NULL;
    if (!page || !jit_span_wants(jit, page, target))
        return NULL;
    if (!p)
        s->job->away[s->job->away_count++] =
            (struct job_page){page->gpa, page->name, page_of(target)};
    return page->bytes;
}

static u32 targets_of(void *ctx, s32 offset, const s32 **to)
{
    const struct scout *s = ctx;
    const struct job_page *p = known(s->job, page_of(offset));
    u32 name = page_of(offset) ? (p ? p->name : 0) : s->job->page;

    return jit_targets_of(s->h->jit, name, (u32)(offset - page_of(offset)), to);
}

void jit_span_scout(struct jit_hart *h, const struct jit_page *page, struct job *job,
                    struct region_map *map)
{
    struct scout s = {h, job, h->hart->pc & PAGE_MASK};
    const struct region_away away = {look_away, targets_of, &s};

    job->away_count = 0;
    if (page->alone)
        return;
    region_discover(map, &h->hart->isa, page->bytes, job->seed[0], &away);
    for (u32 i = 1; i < job->seed_count; i++)
        region_extend(map, &h->hart->isa, job->seed[i], &away);
}

/* ---- their life ---- */

struct jit_span *jit_span_claim(struct jit *jit)
{
    struct jit_span *span = jit->free_span;

    if (span)
        jit->free_span = span->next[0];
    else if (jit->span_count < SPANS_MAX)
        span = &jit->span[jit->span_count++];
    else
        return NULL;
    span->retired = (struct retired){.kind = RETIRED_SPAN};
    atomic_store_explicit(&span->dead, false, memory_order_relaxed);
    span->strikes = span->page_count = span->entry_count = 0;
    return span;
}

void jit_span_free(struct jit *jit, struct jit_span *span)
{
    span->next[0] = jit->free_span;
    jit->free_span = span;
}

u32 jit_span_index(const struct jit *jit, const struct jit_span *span)
{
    return span ? (u32)(span - jit->span) : JIT_NO_CHECK;
}

void jit_span_add_page(struct jit_span *span, struct jit_page *page, s32 at)
{
    u32 n = span->page_count++;

    span->page[n] = page;
    span->at[n] = at;
    span->next[n] = atomic_load_explicit(&page->spans, memory_order_relaxed);
    atomic_store_explicit(&page->spans, span, memory_order_relaxed);
}

/* Which of a span's pages this is. */
static u32 number_of(const struct jit_span *span, const struct jit_page *page)
{
    u32 n = 0;

    while (span->page[n] != page)
        n++;
    return n;
}

static void unlink_span(struct jit_span *span, u32 n)
{
    struct jit_page *page = span->page[n];
    struct jit_span *other = atomic_load_explicit(&page->spans, memory_order_relaxed);

    if (other == span) {
        atomic_store_explicit(&page->spans, span->next[n], memory_order_relaxed);
        return;
    }
    while (other->next[number_of(other, page)] != span)
        other = other->next[number_of(other, page)];
    other->next[number_of(other, page)] = span->next[n];
}

/* Its ways in lead to what stands there instead, or out. */
static void close_entries(struct jit *jit, struct jit_span *span)
{
    for (u32 i = 0; i < span->entry_count; i++) {
        const struct jit_entry *e = &span->entry[i];
        u32 key = (u32)(e->offset - page_of(e->offset)), n = 0, now;
        while (span->at[n] != page_of(e->offset))
            n++;
        now = jit_entry_find(span->page[n], key);
        if (now == e->code)
            jit_entry_forget(span->page[n], key);
        jit_backend_redirect(jit->backend, e->code,
                             !now || now == e->code ? jit_entry_void(e->code) : now);
    }
}

static void end(struct jit *jit, struct jit_span *span)
{
    close_entries(jit, span);
    jit_held_forget_span(span->page[0], span);
    for (u32 i = 0; i < span->page_count; i++)
        unlink_span(span, i);
    atomic_store_explicit(&span->dead, true, memory_order_relaxed);
    jit_retire(jit, &span->retired);
    jit->stats.wide_ended++;
}

void jit_spans_end(struct jit *jit, struct jit_page *page)
{
    struct jit_span *span;

    while ((span = atomic_load_explicit(&page->spans, memory_order_relaxed)))
        end(jit, span);
}

/* ---- going in ---- */

/* The span that has this way in. */
static const struct jit_entry *find_entry(struct jit_page *page, u32 code, struct jit_span **found)
{
    struct jit_span *span = atomic_load_explicit(&page->spans, memory_order_relaxed);

    for (; span; span = span->next[number_of(span, page)]) {
        for (u32 i = 0; i < span->entry_count; i++) {
            *found = span;
            if (span->entry[i].code == code)
                return &span->entry[i];
        }
    }
    return NULL;
}

/* Are the pages mapped as they must be around va? */
static bool holds(struct jit_hart *h, const struct jit_span *span, gva_t va, bool *global)
{
    *global = true;
    for (u32 i = 0; i < span->page_count; i++) {
        struct mmu_page to;
        if (!mmu_foresees(h->hart, va + (u64)(s64)span->at[i], h->hart->mode, &to) ||
            !to.executable || to.gpa != span->page[i]->gpa)
            return false;
        *global &= to.global;
    }
    return true;
}

static bool is_ready(struct jit_hart *h, struct jit_page *page, u32 code)
{
    struct jit *jit = h->jit;
    struct jit_span *span;
    const struct jit_entry *e = find_entry(page, code, &span);
    bool ok, global, strikes;
    gva_t va;

    if (!e)
        return true;
    va = (h->hart->pc & PAGE_MASK) - (u64)(s64)page_of(e->offset);
    if (jit_check_is(h, span, va))
        return true;
    ok = holds(h, span, va, &global);
    /* Code that is mapped twice would have its check turn to and fro. */
    strikes = !ok || !jit_check_is(h, span, NO_PAGE);
    if (ok)
        jit_check_set(h, span, va, global);
    if (strikes && ++span->strikes == STRIKES_MAX) {
        span->page[0]->alone = true;
        end(jit, span);
        jit_advance(jit);
    }
    return ok;
}

bool jit_span_ready(struct jit_hart *h, struct jit_page *page, u32 code)
{
    bool ok;

    pthread_mutex_lock(&h->jit->lock);
    ok = is_ready(h, page, code);
    pthread_mutex_unlock(&h->jit->lock);
    return ok;
}
