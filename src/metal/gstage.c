/* SPDX-License-Identifier: BSD-2-Clause */
/* Builds G-stage tables. */
#include "metal/gstage.h"

#include "metal/csr.h"

#define LEVELS     3
#define PAGE_SHIFT 12

static u64 page_hpa(const struct gstage_pool *pool, u32 page)
{
    return pool->hpa + ((u64)page << PAGE_SHIFT);
}

static u64 level_size(u32 level)
{
    return UINT64_C(1) << (PAGE_SHIFT + 9 * level);
}

u32 gstage_root(struct gstage_pool *pool)
{
    u32 root = (u32)align_up(pool->used, GSTAGE_ROOT_PAGES);

    if (root + GSTAGE_ROOT_PAGES > pool->count)
        return METAL_NONE;
    pool->used = root + GSTAGE_ROOT_PAGES;
    return root;
}

/* The table that *entry of a level above 0 points to, made if there is none; NULL: no room, or a
 * leaf. */
static u64 *table_below(struct gstage_pool *pool, u64 *entry)
{
    if (!*entry) {
        if (pool->used == pool->count)
            return NULL;
        *entry = page_hpa(pool, pool->used++) >> PAGE_SHIFT << PTE_PPN_SHIFT | PTE_V;
    }
    if (*entry & (PTE_R | PTE_W | PTE_X))
        return NULL;
    return pool->page[((*entry >> PTE_PPN_SHIFT << PAGE_SHIFT) - pool->hpa) >> PAGE_SHIFT];
}

/* The entry for gpa at a level. The root's index has two bits more: its four pages are one array.
 */
static u64 *entry_at(struct gstage_pool *pool, u32 root, u64 gpa, u32 level)
{
    u64 *table = pool->page[root];
    u32 at = LEVELS - 1;

    for (;; at--) {
        u64 index = gpa >> (PAGE_SHIFT + 9 * at) & (at == LEVELS - 1 ? 2047 : 511);
        if (at == level)
            return &table[index];
        table = table_below(pool, &table[index]);
        if (!table)
            return NULL;
    }
}

static u64 leaf_bits(u32 flags)
{
    u64 bits = PTE_V | PTE_U | PTE_A | PTE_D;

    if (flags & METAL_REGION_READ)
        bits |= PTE_R;
    if (flags & METAL_REGION_WRITE)
        bits |= PTE_R | PTE_W;
    if (flags & METAL_REGION_EXEC && !(flags & METAL_REGION_DEVICE))
        bits |= PTE_X;
    return bits;
}

static u32 level_for(u64 gpa, u64 hpa, u64 left)
{
    u32 level = LEVELS - 1;

    while (level && ((gpa | hpa) % level_size(level) || left < level_size(level)))
        level--;
    return level;
}

bool gstage_map(struct gstage_pool *pool, u32 root, const struct metal_region *r)
{
    for (u64 done = 0; done < r->size;) {
        u32 level = level_for(r->gpa + done, r->hpa + done, r->size - done);
        u64 *entry = entry_at(pool, root, r->gpa + done, level);

        if (!entry || *entry)
            return false;
        *entry = (r->hpa + done) >> PAGE_SHIFT << PTE_PPN_SHIFT | leaf_bits(r->flags);
        done += level_size(level);
    }
    return true;
}
