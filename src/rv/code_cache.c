/* SPDX-License-Identifier: BSD-2-Clause */
/* A hart's decoded instructions by guest-physical page, and the links from virtual pages. */
#include "rv/code_cache.h"

#include "rv/code_map.h"
#include "rv/debug.h"
#include "rv/mem.h"
#include "rv/mmu.h"

#include <stdlib.h>
#include <string.h>

static struct code_page *page_create(void)
{
    struct code_page *page = calloc(1, sizeof(*page));

    if (page) {
        page->slot[CODE_SLOTS] = (u64)OP_PAGE_END << 1;
        page->slot[CODE_SLOTS + 1] = (u64)OP_PAGE_END << 1;
    }
    return page;
}

static u32 page_limit(u32 harts)
{
    u32 share = CODE_PAGES_ALL / harts;

    if (share < CODE_PAGES_MIN)
        return CODE_PAGES_MIN;
    return share < CODE_PAGES_MAX ? share : CODE_PAGES_MAX;
}

struct code_cache *code_cache_create(u32 harts)
{
    struct code_cache *cache = calloc(1, sizeof(*cache));

    if (!cache)
        return NULL;
    cache->limit = page_limit(harts);
    cache->uncached = page_create();
    cache->page[0] = page_create(); /* so that there is always one to run from */
    if (!cache->uncached || !cache->page[0]) {
        code_cache_destroy(cache);
        return NULL;
    }
    cache->count = 1;
    return cache;
}

void code_cache_destroy(struct code_cache *cache)
{
    if (!cache)
        return;
    for (u32 i = 0; i < CODE_PAGES_MAX; i++)
        free(cache->page[i]);
    free(cache->uncached);
    free(cache);
}

static u16 *bucket(struct code_cache *cache, gpa_t gpa)
{
    return &cache->hash[(gpa >> PAGE_SHIFT) % CODE_HASH];
}

static struct code_page *find(struct code_cache *cache, gpa_t gpa)
{
    for (u16 i = *bucket(cache, gpa); i; i = cache->page[i - 1]->next) {
        if (cache->page[i - 1]->gpa == gpa)
            return cache->page[i - 1];
    }
    return NULL;
}

/* Takes a page out of use. The caller flushes the links, some of which may lead to it. */
static void retire(struct code_cache *cache, struct code_page *page)
{
    u16 *at = bucket(cache, page->gpa);

    while (cache->page[*at - 1] != page)
        at = &cache->page[*at - 1]->next;
    *at = page->next;
    page->used = false;
    cache->untrusted -= !page->trusted;
    memset(page->slot, 0, CODE_SLOTS * sizeof(page->slot[0]));
}

/* A free page: a new one while there is room and memory, else by the clock algorithm. */
static u32 claim(struct hart *hart)
{
    struct code_cache *cache = hart->code;

    if (cache->count < cache->limit) {
        cache->page[cache->count] = page_create();
        if (cache->page[cache->count])
            return cache->count++;
    }
    for (;;) {
        u32 at = cache->hand;
        struct code_page *page = cache->page[at];
        cache->hand = (cache->hand + 1) % cache->count;
        if (page->used && page->recent) {
            page->recent = false;
            continue;
        }
        if (page->used) {
            retire(cache, page);
            code_cache_flush_map(hart);
        }
        return at;
    }
}

static struct code_page *add(struct hart *hart, gpa_t gpa, const u8 *bytes)
{
    struct code_cache *cache = hart->code;
    u32 at = claim(hart);
    struct code_page *page = cache->page[at];
    u16 *head = bucket(cache, gpa);

    page->gpa = gpa;
    page->bytes = bytes;
    page->used = true;
    page->next = *head;
    *head = (u16)(at + 1);
    page->word = code_map_protect(hart->env->code_map, hart, gpa, &page->trusted);
    cache->untrusted += !page->trusted;
    mem_protect(hart, gpa);
    hart->stats.code_pages++;
    return page;
}

struct code_page *code_cache_enter(struct hart *hart, gva_t pc)
{
    struct code_cache *cache = hart->code;
    struct code_link *link = &cache->link[(pc >> PAGE_SHIFT) % CODE_LINKS];
    const struct gmem_region *region;
    struct code_page *page;
    struct mmu_page to;
    gpa_t gpa;

    if (!mmu_translate(hart, pc, 2, ACCESS_EXEC, hart->mode, &to))
        return NULL;
    gpa = to.gpa & PAGE_MASK;
    region = gmem_find(hart->env->gmem, gpa, PAGE_SIZE);
    if (!region || !to.whole)
        return cache->uncached;
    page = find(cache, gpa);
    if (!page)
        page = add(hart, gpa, region->host + (gpa - region->base));
    page->recent = true;
    link->tag = code_link_tag(pc, hart->mode);
    link->page = page;
    return page;
}

/* One halfword by virtual address, through translation. */
static bool fetch16(struct hart *hart, gva_t pc, u32 *half)
{
    struct mmu_page to;
    u16 word;
    u64 v;

    if (!mmu_translate(hart, pc, 2, ACCESS_EXEC, hart->mode, &to))
        return false;
    if (gmem_load16_acquire(hart->env->gmem, to.gpa, &word)) {
        *half = word;
        return true;
    }
    if (!hart->env->bus.read || !hart->env->bus.read(hart->env->bus.ctx, to.gpa, 2, &v))
        return hart_raise(hart, CAUSE_INSN_ACCESS, pc);
    *half = (u32)v;
    return true;
}

static bool fetch_raw(struct hart *hart, gva_t pc, u32 *raw)
{
    u32 low, high = 0;

    if (!fetch16(hart, pc, &low))
        return false;
    if (insn_is_long(low) && !fetch16(hart, pc + 2, &high))
        return false;
    *raw = low | high << 16;
    return true;
}

/* The word at a page offset, of which halves are read once, and an aligned one whole: ziccif. */
static u32 page_word(const struct code_page *page, u64 offset)
{
    const void *at = page->bytes + offset;
    const u16 *half = at;

    if (!(offset & 3))
        return __atomic_load_n((const u32 *)at, __ATOMIC_RELAXED);
    return __atomic_load_n(half, __ATOMIC_RELAXED) |
           (u32)__atomic_load_n(half + 1, __ATOMIC_RELAXED) << 16;
}

u64 code_cache_fetch(struct hart *hart, struct code_page *page, gva_t pc)
{
    u64 offset = pc & ~PAGE_MASK;
    bool cacheable = page->bytes;
    u64 insn;
    u32 raw;

    if (cacheable && offset + 2 < PAGE_SIZE) {
        code_map_mark(hart->env->code_map, page->gpa + offset, 4, page->word);
        raw = page_word(page, offset);
    } else {
        if (cacheable)
            code_map_mark(hart->env->code_map, page->gpa + offset, 2, page->word);
        if (!fetch_raw(hart, pc, &raw))
            return 0;
    }
    insn = decode(&hart->isa, raw);
    if (!cacheable)
        return insn;
    if (debug_breaks_at_offset(hart->debug, pc))
        page->slot[offset / 2] = (u64)OP_BREAKPOINT << 1;
    else if (offset + insn_len(insn) > PAGE_SIZE)
        page->slot[offset / 2] = (u64)OP_CROSS << 1;
    else
        page->slot[offset / 2] = insn;
    return insn;
}

u32 code_cache_raw(struct hart *hart, gva_t pc)
{
    struct trap saved = hart->trap;
    u32 raw;

    if (!fetch_raw(hart, pc, &raw))
        raw = 0;
    hart->trap = saved;
    return insn_is_long(raw) ? raw : raw & 0xffff;
}

static void flush_links(struct code_cache *cache)
{
    memset(cache->link, 0, sizeof(cache->link));
}

static void retire_if_changed(struct hart *hart, struct code_page *page)
{
    if (page->trusted && !code_map_changed(hart->env->code_map, page->gpa, page->word))
        return;
    retire(hart->code, page);
    flush_links(hart->code);
    hart->stats.code_drops++;
}

/* Looks at the pages that changed since the last look. False: it is not known which. */
static bool retire_listed(struct hart *hart, u64 writes)
{
    struct code_cache *cache = hart->code;
    gpa_t gpa;

    if (cache->untrusted || writes - cache->writes > CODE_MAP_RECENT)
        return false;
    for (u64 n = cache->writes + 1; n <= writes; n++) {
        struct code_page *page;
        if (!code_map_changed_at(hart->env->code_map, n, &gpa))
            return false;
        page = find(cache, gpa);
        if (page)
            retire_if_changed(hart, page);
    }
    return true;
}

void code_cache_fence(struct hart *hart)
{
    struct code_cache *cache = hart->code;
    u64 writes = code_map_writes(hart->env->code_map);

    hart->code_changes++;
    if (writes == cache->writes && !cache->untrusted)
        return;
    if (!retire_listed(hart, writes)) {
        for (u32 i = 0; i < cache->count; i++) {
            if (cache->page[i]->used)
                retire_if_changed(hart, cache->page[i]);
        }
    }
    cache->writes = writes;
}

void code_cache_flush_map(struct hart *hart)
{
    hart->map_changes++;
    if (hart->code)
        flush_links(hart->code);
}

void code_cache_flush_map_space(struct hart *hart)
{
    hart->space_changes++;
    if (hart->code)
        flush_links(hart->code);
}

void code_cache_flush_map_page(struct hart *hart, gva_t va)
{
    hart->changed_page[hart->page_changes++ % HART_CHANGED_PAGES] = va & PAGE_MASK;
    if (hart->code)
        hart->code->link[(va >> PAGE_SHIFT) % CODE_LINKS].tag = 0;
}

void code_cache_flush(struct hart *hart)
{
    struct code_cache *cache = hart->code;

    hart->code_flushes++;
    for (u32 i = 0; i < cache->count; i++) {
        if (cache->page[i]->used)
            retire(cache, cache->page[i]);
    }
    code_cache_flush_map(hart);
}
