/* SPDX-License-Identifier: BSD-2-Clause */
/* The mappings of a view, and what is known of them: pages by guest and by host address. */
#include "exec/view.h"

#include "base/bits.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ROOM     (VIEW_END + 2 * VIEW_SLACK)
#define PAGE     4096
#define COST_MAX 45000 /* of all views: mappings of the host, of which a process has 65530 */

static _Atomic u32 all_costs;

/* ---- rooms ---- */

static bool clear(u8 *at, u64 size)
{
    return mmap(at, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
                0) != MAP_FAILED;
}

static u8 *reserve(void)
{
    u8 *room = mmap(NULL, ROOM, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return room == MAP_FAILED ? NULL : room + VIEW_SLACK;
}

static void release(u8 *room)
{
    if (room)
        munmap(room - VIEW_SLACK, ROOM);
}

static void destroy(struct view *v)
{
    release(v->read);
    release(v->marks);
    free(v);
}

struct view *view_create(void)
{
    struct view *v = calloc(1, sizeof(*v));

    if (!v)
        return NULL;
    v->read = reserve();
    v->marks = reserve();
    if (v->read && v->marks)
        return v;
    destroy(v);
    return NULL;
}

void view_destroy(struct view *v)
{
    if (!v)
        return;
    view_empty(v);
    destroy(v);
}

void view_empty(struct view *v)
{
    v->full = false;
    if (!v->used)
        return;
    if (!clear(v->read, VIEW_END) || mprotect(v->marks, VIEW_END, PROT_NONE))
        abort(); /* it cannot be: that takes no new mapping */
    memset(v->of_page, 0, sizeof(v->of_page));
    memset(v->of_host, 0, sizeof(v->of_host));
    atomic_fetch_sub_explicit(&all_costs, v->cost, memory_order_relaxed);
    v->cost = v->used = v->free = v->maps = 0;
}

/* ---- pages ---- */

static u32 hash(u64 page)
{
    return (u32)(page * UINT64_C(0x9e3779b97f4a7c15) >> 49);
}

_Static_assert(VIEW_HASH == 1 << (64 - 49), "as hash says");

static u32 *host_list(struct view *v, u64 host)
{
    return &v->of_host[hash(host / PAGE)];
}

static struct view_page *find(struct view *v, u32 page)
{
    u32 at = v->of_page[hash(page)];

    while (at && v->page[at].page != page)
        at = v->page[at].next_of_page;
    return at ? &v->page[at] : NULL;
}

struct view_page *view_find(struct view *v, gva_t va)
{
    return va < VIEW_END ? find(v, (u32)(va / PAGE)) : NULL;
}

static u64 offset_of(const struct view_page *p)
{
    return (u64)p->page * PAGE;
}

/*
 * Mappings that the page and its neighbour take besides what each of them does: one serves both if
 * they lie in a row on the host, and if they differ in nothing but that, the second room's does.
 */
static u32 shared(struct view *v, const struct view_page *p, s32 on)
{
    const struct view_page *other = find(v, p->page + (u32)on);

    if (!other)
        return 0;
    if (other->writable != p->writable)
        return 1;
    return other->host == p->host + (u64)((s64)on * PAGE) ? 4 : 3;
}

/* A page alone takes four mappings: itself and what lies behind, in both rooms. */
static void count_cost(struct view *v, const struct view_page *p, bool added)
{
    s32 n = 4 - (s32)shared(v, p, -1) - (s32)shared(v, p, 1);

    n = added ? n : -n;
    v->cost += (u32)n;
    atomic_fetch_add_explicit(&all_costs, (u32)n, memory_order_relaxed);
}

static void add(struct view *v, u32 page, u64 host, bool writable)
{
    u32 at = v->free ? v->free : ++v->used;
    u32 *of_page = &v->of_page[hash(page)], *of_host = host_list(v, host);

    if (v->free)
        v->free = v->page[at].next_of_page;
    v->page[at] = (struct view_page){host, page, *of_page, *of_host, writable};
    *of_page = *of_host = at;
    count_cost(v, &v->page[at], true);
}

static void forget(struct view *v, struct view_page *p)
{
    u32 at = (u32)(p - v->page), *link;

    count_cost(v, p, false);
    for (link = &v->of_page[hash(p->page)]; *link != at; link = &v->page[*link].next_of_page)
        ;
    *link = p->next_of_page;
    for (link = host_list(v, p->host); *link != at; link = &v->page[*link].next_of_host)
        ;
    *link = p->next_of_host;
    p->next_of_page = v->free;
    v->free = at;
}

static void set_writable(struct view *v, struct view_page *p, bool writable)
{
    count_cost(v, p, false);
    p->writable = writable;
    count_cost(v, p, true);
}

/* ---- mappings ---- */

bool view_map(struct view *v, const struct view_run *run)
{
    const u64 size = (u64)run->count * PAGE;
    u8 *read = v->read + run->first;

    if (v->used + run->count >= VIEW_PAGES ||
        atomic_load_explicit(&all_costs, memory_order_relaxed) > COST_MAX) {
        v->full = true;
        return false;
    }
    /* Size 0: the old mapping stays. */
    if (mremap((void *)(uintptr_t)run->host, 0, size, MREMAP_MAYMOVE | MREMAP_FIXED, read) ==
        MAP_FAILED)
        return false;
    if (mprotect(run->writable ? v->marks + run->first : read, size, PROT_READ)) {
        if (!clear(read, size))
            view_empty(v);
        return false;
    }
    v->maps++;
    for (u32 i = 0; i < run->count; i++)
        add(v, (u32)(run->first / PAGE) + i, run->host + i * (u64)PAGE, run->writable);
    return true;
}

bool view_grant_writes(struct view *v, struct view_page *p)
{
    if (mprotect(v->read + offset_of(p), PAGE, PROT_READ | PROT_WRITE) ||
        mprotect(v->marks + offset_of(p), PAGE, PROT_READ)) {
        view_drop(v, p);
        return false;
    }
    set_writable(v, p, true);
    return true;
}

static void deny_writes(struct view *v, struct view_page *p)
{
    if (mprotect(v->read + offset_of(p), PAGE, PROT_READ) ||
        mprotect(v->marks + offset_of(p), PAGE, PROT_NONE))
        view_empty(v);
    else
        set_writable(v, p, false);
}

u32 view_deny_writes(struct view *v, u64 host)
{
    u32 n = 0;

    for (u32 at = *host_list(v, host); at && v->used; at = v->page[at].next_of_host) {
        if (v->page[at].host != host || !v->page[at].writable)
            continue;
        deny_writes(v, &v->page[at]);
        n++;
    }
    return n;
}

void view_drop(struct view *v, struct view_page *p)
{
    if (clear(v->read + offset_of(p), PAGE) &&
        (!p->writable || !mprotect(v->marks + offset_of(p), PAGE, PROT_NONE)))
        forget(v, p);
    else
        view_empty(v);
}
