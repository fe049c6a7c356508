/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Translated pages by guest-physical address, their entries, and when they are dropped.
 *
 * Theory of operation. rv/code_map.h tells which pages changed, once every hart has given up its
 * write entries for them. A page that is added before all have is not trusted: bytes may change
 * unnoticed. What is translated then is a copy of it, and at the next FENCE.I of any hart, if all
 * have answered by then, the copy is compared with the page: equal, the page is trusted from now
 * on; else it is dropped, as is one whose answers are still missing. See docs/adr/0008.
 */
#include "exec/jit_impl.h"

#include "rv/code_map.h"
#include "rv/mem.h"

#include <stdlib.h>
#include <string.h>

#define ENTRIES_FIRST 16

/* ---- entries ---- */

static u32 slot_of(u32 key)
{
    return key * 0x9e3779b1u >> 16;
}

u32 jit_entry_find(const struct jit_page *page, u32 key)
{
    /* Pairs with the stores in set_slot and jit_entry_set: the table is complete, and the code. */
    const struct entries *e = atomic_load_explicit(&page->entries, memory_order_acquire);

    for (u32 i = slot_of(key); e; i++) {
        u64 slot = atomic_load_explicit(&e->slot[i & e->mask], memory_order_acquire);
        if (!slot)
            return 0;
        if ((u32)slot == key)
            return slot >> 32 & 1 ? 0 : (u32)(slot >> 32);
    }
    return 0;
}

u32 jit_entry_forgotten(const struct jit_page *page, u32 key)
{
    const struct entries *e = atomic_load_explicit(&page->entries, memory_order_relaxed);

    for (u32 i = slot_of(key); e; i++) {
        u64 slot = atomic_load_explicit(&e->slot[i & e->mask], memory_order_relaxed);
        if (!slot)
            return 0;
        if ((u32)slot == key)
            return slot >> 32 & 1 ? (u32)(slot >> 32) & ~1u : 0;
    }
    return 0;
}

static void set_slot(struct entries *e, u32 key, u64 new)
{
    for (u32 i = slot_of(key);; i++) {
        _Atomic u64 *slot = &e->slot[i & e->mask];
        u64 old = atomic_load_explicit(slot, memory_order_relaxed);
        if (old && (u32)old != key)
            continue;
        e->used += !old;
        atomic_store_explicit(slot, new, memory_order_release);
        return;
    }
}

void jit_entry_forget(struct jit_page *page, u32 key)
{
    u64 code = jit_entry_find(page, key);

    set_slot(atomic_load_explicit(&page->entries, memory_order_relaxed), key,
             (code | 1) << 32 | key);
}

/* A table with room for one more; the old one is retired. */
static struct entries *grown(struct jit *jit, struct entries *old)
{
    u32 size = old ? 2 * (old->mask + 1) : ENTRIES_FIRST;
    struct entries *e = calloc(1, sizeof(*e) + size * sizeof(e->slot[0]));

    if (!e)
        return NULL;
    e->mask = size - 1;
    for (u32 i = 0; old && i <= old->mask; i++) {
        u64 slot = atomic_load_explicit(&old->slot[i], memory_order_relaxed);
        if (slot)
            set_slot(e, (u32)slot, slot);
    }
    return e;
}

bool jit_entry_set(struct jit *jit, struct jit_page *page, u32 key, u32 code)
{
    struct entries *e = atomic_load_explicit(&page->entries, memory_order_relaxed), *old = e;

    if (!e || e->used + 1 > (e->mask + 1) / 4 * 3)
        e = grown(jit, old);
    if (!e)
        return false;
    set_slot(e, key, (u64)code << 32 | key);
    if (e == old)
        return true;
    atomic_store_explicit(&page->entries, e, memory_order_release);
    if (old) {
        jit_retire(jit, &old->retired);
        jit_advance(jit);
    }
    return true;
}

/* ---- pages ---- */

static _Atomic(struct jit_page *) *bucket(struct jit *jit, gpa_t gpa)
{
    return &jit->hash[(gpa >> PAGE_SHIFT) % PAGE_HASH];
}

struct jit_page *jit_page_find(struct jit *jit, gpa_t gpa)
{
    struct jit_page *page = atomic_load_explicit(bucket(jit, gpa), memory_order_seq_cst);

    while (page && page->gpa != gpa)
        page = atomic_load_explicit(&page->next, memory_order_acquire);
    return page;
}

/* As harts see it that store meanwhile. */
static u8 *copy_of(const u8 *bytes)
{
    u64 *copy = malloc(PAGE_SIZE);

    for (u32 i = 0; copy && i < PAGE_SIZE / 8; i++)
        copy[i] = __atomic_load_n((const u64 *)(const void *)bytes + i, __ATOMIC_RELAXED);
    return (u8 *)copy;
}

static bool is_as_copied(const u8 *bytes, const u8 *copy)
{
    const u64 *a = (const void *)bytes, *b = (const void *)copy;

    for (u32 i = 0; i < PAGE_SIZE / 8; i++) {
        if (__atomic_load_n(a + i, __ATOMIC_RELAXED) != b[i])
            return false;
    }
    return true;
}

static bool protect(struct hart *hart, struct jit_page *page)
{
    bool trusted;

    page->word = code_map_protect(hart->env->code_map, hart, page->gpa, &trusted);
    mem_protect(hart, page->gpa);
    mem_attend_protect(hart);
    if (!trusted)
        page->copy = copy_of(page->memory);
    page->bytes = trusted ? page->memory : page->copy;
    return page->bytes;
}

void jit_page_free(struct jit_page *page)
{
    free(atomic_load_explicit(&page->entries, memory_order_relaxed));
    jit_held_forget_all(page);
    free(page->copy);
    free(page);
}

static struct jit_page *page_add(struct jit_hart *h, gpa_t gpa, const u8 *bytes)
{
    struct jit *jit = h->jit;
    struct jit_page *page = jit_page_find(jit, gpa);

    jit_collect(jit);
    if (page)
        return page;
    if (jit->page_count == jit->page_max)
        jit_drop_all(jit);
    page = calloc(1, sizeof(*page));
    if (!page)
        return NULL;
    page->retired.kind = RETIRED_PAGE;
    page->gpa = gpa;
    page->memory = bytes;
    page->name = ++jit->last_name;
    if (!protect(h->hart, page)) {
        jit_page_free(page);
        return NULL;
    }
    jit->untrusted += !!page->copy;
    atomic_init(&page->next, atomic_load_explicit(bucket(jit, gpa), memory_order_relaxed));
    atomic_store_explicit(bucket(jit, gpa), page, memory_order_release);
    jit->page_count++;
    h->hart->stats.code_pages++;
    jit->stats.pages++;
    return page;
}

struct jit_page *jit_page_add(struct jit_hart *h, gpa_t gpa, const u8 *bytes)
{
    struct jit_page *page;

    pthread_mutex_lock(&h->jit->lock);
    page = page_add(h, gpa, bytes);
    pthread_mutex_unlock(&h->jit->lock);
    return page;
}

static const struct jit_observer *observer(const struct jit *jit)
{
    return jit->harts ? jit->harts->hart->env->jit_observer : NULL;
}

typedef bool (*page_fn)(struct jit *jit, struct jit_page *page, const void *arg);

static bool is_any(struct jit *jit, struct jit_page *page, const void *arg)
{
    return true;
}

/* Drops the pages of a chain that `is` says; returns how many. */
static u32 drop_chain(struct jit *jit, _Atomic(struct jit_page *) *at, page_fn is, const void *arg)
{
    u32 before = jit->page_count;
    struct jit_page *page;

    while ((page = atomic_load_explicit(at, memory_order_relaxed))) {
        if (!is(jit, page, arg)) {
            at = &page->next;
            continue;
        }
        atomic_store_explicit(at, atomic_load_explicit(&page->next, memory_order_relaxed),
                              memory_order_seq_cst);
        page->dropped = true;
        jit_spans_end(jit, page);
        jit->untrusted -= !!page->copy;
        jit->page_count--;
        jit->stats.drops++;
        jit_retire(jit, &page->retired);
        if (observer(jit) && is != is_any)
            observer(jit)->dropped(observer(jit)->ctx, page->gpa);
    }
    if (before != jit->page_count)
        jit_advance(jit);
    return before - jit->page_count;
}

/* The same of all pages. */
static u32 drop_pages(struct jit *jit, page_fn is, const void *arg)
{
    u32 dropped = 0;

    for (u32 i = 0; i < PAGE_HASH; i++)
        dropped += drop_chain(jit, &jit->hash[i], is, arg);
    return dropped;
}

static bool is_in_segments(struct jit *jit, struct jit_page *page, const void *arg)
{
    const u32 *segments = arg;

    return page->segments & *segments;
}

void jit_drop_segments(struct jit *jit, u32 segments)
{
    drop_pages(jit, is_in_segments, &segments);
}

void jit_drop_all(struct jit *jit)
{
    if (drop_pages(jit, is_any, NULL) && observer(jit))
        observer(jit)->flushed(observer(jit)->ctx);
}

static bool is_page(struct jit *jit, struct jit_page *page, const void *arg)
{
    return page == arg;
}

void jit_drop_page(struct jit *jit, struct jit_page *page)
{
    (void)drop_chain(jit, bucket(jit, page->gpa), is_page, page);
}

/* Must the page go at a FENCE.I? Else it is trusted from now on. */
static bool has_changed(struct jit *jit, struct jit_page *page, const void *arg)
{
    const struct hart *hart = arg;
    struct code_map *map = hart->env->code_map;

    if (page->copy &&
        (!code_map_is_protected(hart, page->word) || !is_as_copied(page->memory, page->copy)))
        return true;
    if (code_map_changed(map, page->gpa, page->word))
        return true;
    if (page->copy) {
        page->bytes = page->memory;
        free(page->copy);
        page->copy = NULL;
        jit->untrusted--;
    }
    return false;
}

/* Drops what changed since the last look, if that is known and all pages are trusted. */
static bool drop_listed(struct jit_hart *h, u64 writes)
{
    struct jit *jit = h->jit;
    gpa_t gpa;

    if (jit->untrusted || writes - jit->writes > CODE_MAP_RECENT)
        return false;
    for (u64 n = jit->writes + 1; n <= writes; n++) {
        if (!code_map_changed_at(h->hart->env->code_map, n, &gpa))
            return false;
        h->hart->stats.code_drops += drop_chain(jit, bucket(jit, gpa), has_changed, h->hart);
    }
    return true;
}

void jit_drop_changed(struct jit_hart *h)
{
    struct jit *jit = h->jit;
    u64 writes = code_map_writes(h->hart->env->code_map);

    if (writes == jit->writes && !jit->untrusted)
        return;
    if (jit->untrusted)
        mem_attend_protect(h->hart);
    if (!drop_listed(h, writes))
        h->hart->stats.code_drops += drop_pages(jit, has_changed, h->hart);
    jit->writes = writes;
    jit_collect(jit);
}
