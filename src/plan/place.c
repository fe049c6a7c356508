/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where regions lie in the board's memory.
 *
 * Those with an address keep it. The others follow in the order of the file, each at the lowest
 * place that is free and that lies within a 1 GiB or 2 MiB page as the partition's addresses do, so
 * that the hypervisor maps it by superpages.
 */
#include "plan/place.h"

#include "base/checked.h"
#include "base/fmt.h"

#include <string.h>

/* What a piece of memory is, in a message. */
static const char *describe(const struct plan *p, const struct plan_region *r, char text[96])
{
    const char *owner = p->partition[r->partition].name;

    switch (r->kind) {
    case PLAN_MEMORY:
        fmt_print(text, 96, "memory of '%s'", owner);
        break;
    case PLAN_DEVICE:
        fmt_print(text, 96, "device '%s' of '%s'", r->name, owner);
        break;
    case PLAN_CHANNEL:
        fmt_print(text, 96, "channel '%s' in '%s'", r->name, owner);
        break;
    case PLAN_VIRTIO:
        fmt_print(text, 96, "device '%s' of '%s'", r->name, owner);
        break;
    case PLAN_WINDOW:
        fmt_print(text, 96, "the window to the memory of '%s' in '%s'", r->name, owner);
        break;
    case PLAN_UART:
        fmt_print(text, 96, "the console of '%s'", owner);
        break;
    case PLAN_INTC:
    case PLAN_IMSIC:
        fmt_print(text, 96, "the interrupt controller of '%s'", owner);
        break;
    }
    return text;
}

static void sort_regions(struct plan *p)
{
    for (u32 i = 1; i < p->region_count; i++) {
        struct plan_region r = p->region[i];
        u32 j = i;

        for (; j && (p->region[j - 1].partition > r.partition ||
                     (p->region[j - 1].partition == r.partition && p->region[j - 1].gpa > r.gpa));
             j--)
            p->region[j] = p->region[j - 1];
        p->region[j] = r;
    }
}

static int overlap(struct plan *p, const struct plan_region *a, const struct plan_region *b, u64 at,
                   const char *where)
{
    const bool swap = a->node->line < b->node->line;
    const struct plan_region *later = swap ? b : a, *earlier = swap ? a : b;
    char one[96], other[96];

    return plan_refuse(p, later->node, "%s overlaps %s of line %u, at 0x%llx of %s",
                       describe(p, later, one), describe(p, earlier, other), earlier->node->line,
                       (unsigned long long)at, where);
}

static u64 max(u64 a, u64 b)
{
    return a > b ? a : b;
}

int place_guest(struct plan *p)
{
    sort_regions(p);
    for (u32 i = 0; i < p->region_count; i++) {
        for (u32 j = 0; j < i; j++) {
            const struct plan_region *a = &p->region[i], *b = &p->region[j];

            if (a->partition == b->partition && range_overlaps(a->gpa, a->size, b->gpa, b->size))
                return overlap(p, a, b, max(a->gpa, b->gpa), "its addresses");
        }
    }
    return 0;
}

/* Has it a place of its own among the board's addresses? */
static bool is_mapped(const struct plan_region *r)
{
    return r->kind == PLAN_MEMORY || r->kind == PLAN_DEVICE || r->kind == PLAN_CHANNEL;
}

/* Are there no pages, only somebody who answers accesses? */
static bool is_answered(const struct plan_region *r)
{
    return r->kind == PLAN_INTC || r->kind == PLAN_UART || r->kind == PLAN_VIRTIO;
}

/* Both ends of one channel, or memory that two are given. */
static bool is_same_channel(const struct plan_region *a, const struct plan_region *b)
{
    return a->kind == PLAN_CHANNEL && b->kind == PLAN_CHANNEL && a->node == b->node;
}

#define SELF_MAX      GIB       /* what it maps of itself */
#define FIRMWARE_SIZE (2 * MIB) /* at the beginning of memory, unless the hypervisor is there */

/* The hypervisor maps itself by small pages in its first 2 MiB, by large ones behind: nobody else's
 * memory is to be among them. */
static u64 self_mapped(const struct plan *p)
{
    return p->self_size > 2 * MIB ? align_up(p->self_size, 2 * MIB) : p->self_size;
}

u32 place_taken_count(const struct plan *p)
{
    return 2 + p->board.reserved_count;
}

struct plan_range place_taken(const struct plan *p, u32 index)
{
    u64 firmware = p->self_hpa - p->board.ram.base;

    if (index == 0)
        return (struct plan_range){p->board.ram.base,
                                   firmware < FIRMWARE_SIZE ? firmware : FIRMWARE_SIZE};
    if (index == 1)
        return (struct plan_range){p->self_hpa, self_mapped(p)};
    return p->board.reserved[index - 2];
}

/* A region at hpa meets what is there: its end; 0: it is free. */
static u64 blocked_until(const struct plan *p, const struct plan_region *r, u64 hpa)
{
    for (u32 i = 0; i < place_taken_count(p); i++) {
        struct plan_range t = place_taken(p, i);

        if (range_overlaps(t.base, t.size, hpa, r->size))
            return t.base + t.size;
    }
    for (u32 i = 0; i < p->region_count; i++) {
        const struct plan_region *other = &p->region[i];

        if (other != r && other->placed && is_mapped(other) &&
            range_overlaps(other->hpa, other->size, hpa, r->size))
            return other->hpa + other->size;
    }
    return 0;
}

/* The lowest place at or behind hpa with the same offset in a page of that size as gpa. */
static u64 with_offset(u64 hpa, u64 gpa, u64 page)
{
    u64 wanted = align_down(hpa, page) + (gpa & (page - 1));

    return wanted < hpa ? wanted + page : wanted;
}

static bool try_place(struct plan *p, struct plan_region *r, u64 page)
{
    const u64 ram_end = p->board.ram.base + p->board.ram.size;
    u64 hpa = with_offset(p->board.ram.base, r->gpa, page), end;

    while ((end = blocked_until(p, r, hpa)) && end < ram_end)
        hpa = with_offset(end, r->gpa, page);
    if (!range_within(hpa, r->size, p->board.ram.base, p->board.ram.size) || end)
        return false;
    r->hpa = hpa;
    r->placed = true;
    return true;
}

static int place_one(struct plan *p, struct plan_region *r)
{
    static const u64 pages[] = {GIB, 2 * MIB, PLAN_PAGE};
    char text[96];

    for (u32 i = 0; i < ARRAY_SIZE(pages); i++) {
        const u64 first = align_up(r->gpa, pages[i]) - r->gpa;

        /* A page of that size must lie in it whole, or there is nothing to gain. */
        if (i < 2 && (first > r->size || r->size - first < pages[i]))
            continue;
        if (pages[i] >= (r->pages ? r->pages : PLAN_PAGE) && try_place(p, r, pages[i]))
            return 0;
    }
    return plan_refuse(p, r->node, "there is no room for %s: %llu KiB%s in the board's %llu MiB",
                       describe(p, r, text), (unsigned long long)(r->size / KIB),
                       r->pages > PLAN_PAGE ? " of large pages" : "",
                       (unsigned long long)(p->board.ram.size / MIB));
}

/* The other ends of a channel lie where its first does. */
static int place_channel(struct plan *p, struct plan_channel *c)
{
    struct plan_region *first = NULL;
    int r = 0;

    for (u32 i = 0; i < p->region_count && !r; i++) {
        struct plan_region *region = &p->region[i];

        if (region->kind != PLAN_CHANNEL || region->node != c->node)
            continue;
        if (!first)
            r = place_one(p, first = region);
        region->hpa = c->hpa = first->hpa;
        region->placed = true;
    }
    return r;
}

/* A window lies where the memory behind it does. */
static void place_windows(struct plan *p)
{
    for (u32 i = 0; i < p->vdev_count; i++) {
        const struct plan_vdev *v = &p->vdev[i];
        const struct plan_region *memory = plan_memory(p, v->partition);

        for (u32 j = 0; j < p->region_count; j++) {
            struct plan_region *r = &p->region[j];

            if (r->kind == PLAN_WINDOW && r->node == v->node) {
                r->hpa = memory->hpa;
                r->placed = true;
            }
        }
    }
}

static int check_self(struct plan *p)
{
    const struct plan_board *b = &p->board;

    if (!range_within(p->self_hpa, p->self_size, b->ram.base, b->ram.size))
        return plan_refuse(p, p->self_node,
                           "the hypervisor with all images takes %llu KiB from 0x%llx "
                           "on, beyond the board's memory",
                           (unsigned long long)(p->self_size / KIB),
                           (unsigned long long)p->self_hpa);
    if (p->self_size > SELF_MAX)
        return plan_refuse(p, p->self_node,
                           "the hypervisor with all images takes %llu MiB; 1024 are served",
                           (unsigned long long)(p->self_size / MIB));
    for (u32 i = 0; i < b->reserved_count; i++) {
        if (range_overlaps(b->reserved[i].base, b->reserved[i].size, p->self_hpa, self_mapped(p)))
            return plan_refuse(p, p->self_node,
                               "the hypervisor at 0x%llx overlaps memory that the board "
                               "reserves at 0x%llx; at = ADDRESS puts it elsewhere",
                               (unsigned long long)p->self_hpa,
                               (unsigned long long)b->reserved[i].base);
    }
    return 0;
}

/* A region with an address of its own choice. */
static int check_fixed(struct plan *p, const struct plan_region *r)
{
    const struct plan_board *b = &p->board;
    char text[96];

    if (r->kind == PLAN_DEVICE)
        return 0;
    describe(p, r, text);
    if (!range_within(r->hpa, r->size, b->ram.base, b->ram.size))
        return plan_refuse(p, r->node,
                           "%s at 0x%llx is outside the board's memory, 0x%llx to 0x%llx", text,
                           (unsigned long long)r->hpa, (unsigned long long)b->ram.base,
                           (unsigned long long)(b->ram.base + b->ram.size - 1));
    for (u32 i = 0; i < place_taken_count(p); i++) {
        struct plan_range t = place_taken(p, i);

        if (range_overlaps(t.base, t.size, r->hpa, r->size))
            return plan_refuse(
                p, r->node, "%s at 0x%llx overlaps memory %s, 0x%llx to 0x%llx", text,
                (unsigned long long)r->hpa,
                i ? i == 1 ? "of the hypervisor" : "that the board reserves" : "of firmware",
                (unsigned long long)t.base, (unsigned long long)(t.base + t.size - 1));
    }
    return 0;
}

static int check_overlaps(struct plan *p)
{
    for (u32 i = 0; i < p->region_count; i++) {
        for (u32 j = 0; j < i; j++) {
            const struct plan_region *a = &p->region[i], *b = &p->region[j];

            if (is_mapped(a) && is_mapped(b) && a->placed && b->placed && !is_same_channel(a, b) &&
                range_overlaps(a->hpa, a->size, b->hpa, b->size))
                return overlap(p, a, b, max(a->hpa, b->hpa), "the board");
        }
    }
    return 0;
}

/* In the order of the file: the table is sorted by address. */
static struct plan_region *next_unplaced(struct plan *p)
{
    struct plan_region *next = NULL;

    for (u32 i = 0; i < p->region_count; i++) {
        struct plan_region *r = &p->region[i];

        if (r->kind == PLAN_MEMORY && !r->placed && (!next || r->node->line < next->node->line))
            next = r;
    }
    return next;
}

/* --- G-stage tables (Sv39x4: RISC-V Privileged, "Hypervisor Extension") --- */

#define ROOT_PAGES 4 /* aligned to their size */

/* The largest page with which address a of a region can be mapped. */
static u64 page_at(const struct plan_region *r, u64 gpa)
{
    static const u64 pages[] = {GIB, 2 * MIB};

    for (u32 i = 0; i < ARRAY_SIZE(pages); i++) {
        u64 base = align_down(gpa, pages[i]);

        if (((r->gpa ^ r->hpa) & (pages[i] - 1)) == 0 &&
            range_within(base, pages[i], r->gpa, r->size))
            return pages[i];
    }
    return PLAN_PAGE;
}

/* Tables of one level: each stretch of span bytes that has a smaller page in it needs one. Regions
 * are in order, so a stretch that two share is the last one counted. */
static u32 count_tables(const struct plan *p, u32 partition, u64 span)
{
    u64 last = UINT64_MAX;
    u32 count = 0;

    for (u32 i = 0; i < p->region_count; i++) {
        const struct plan_region *r = &p->region[i];

        if (r->partition != partition || is_answered(r))
            continue;
        for (u64 at = r->gpa; at < r->gpa + r->size; at = align_down(at, span) + span) {
            u64 end = align_down(at, span) + span, inner = end - 1;

            if (end > r->gpa + r->size)
                inner = r->gpa + r->size - 1;
            if (align_down(at, span) == last ||
                (page_at(r, at) >= span && page_at(r, inner) >= span))
                continue;
            last = align_down(at, span);
            count++;
        }
    }
    return count;
}

static int check_tables(struct plan *p)
{
    p->table_pages = 0;
    for (u32 i = 0; i < p->partition_count; i++)
        p->table_pages = (u32)align_up(p->table_pages, ROOT_PAGES) + ROOT_PAGES +
                         count_tables(p, i, GIB) + count_tables(p, i, 2 * MIB);
    if (p->table_pages <= METAL_TABLES_MAX)
        return 0;
    return plan_refuse(p, p->partition[0].node,
                       "the memory of all partitions needs %u pages of tables, "
                       "and the hypervisor has %u; use memory in multiples of "
                       "2M at addresses of 2M",
                       p->table_pages, METAL_TABLES_MAX);
}

int place_board(struct plan *p)
{
    struct plan_region *next;
    int r = check_self(p);

    for (u32 i = 0; i < p->region_count && !r; i++) {
        if (p->region[i].placed)
            r = check_fixed(p, &p->region[i]);
    }
    if (!r)
        r = check_overlaps(p);
    while (!r && (next = next_unplaced(p)))
        r = place_one(p, next);
    for (u32 i = 0; i < p->channel_count && !r; i++)
        r = place_channel(p, &p->channel[i]);
    if (r)
        return r;
    place_windows(p);
    return check_tables(p);
}
