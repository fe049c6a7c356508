/* SPDX-License-Identifier: BSD-2-Clause */
/* The bookkeeping of the software TLB; the theory of operation is in the header. */
#include "rv/tlb.h"

#include "base/bits.h"

#include <string.h>

static gva_t empty_tag(u32 index)
{
    return index ? 0 : 4096;
}

static bool is_empty(const struct tlb_entry *e, u32 index)
{
    return tlb_index(e->tag) != index;
}

static u64 host_page(const struct tlb_entry *e)
{
    return e->tag + e->addend;
}

static struct tlb_entry *write_entry(struct tlb *tlb, u32 held)
{
    return &tlb->table[held >> TLB_BITS].write[held % TLB_ENTRIES];
}

static void drop_entry(struct tlb_entry *e, u32 index)
{
    if (!is_empty(e, index))
        e->tag = empty_tag(index);
}

void tlb_init(struct tlb *tlb, bool guests)
{
    tlb->modes = guests ? TLB_MODES : TLB_HOSTS;
    for (u32 mode = 0; mode < tlb->modes; mode++)
        tlb->table[mode].read[0].tag = tlb->table[mode].write[0].tag = empty_tag(0);
}

static void note(struct tlb_log *log, u32 index)
{
    if (log->count < TLB_LOG_SIZE)
        log->at[log->count] = (u16)index;
    if (log->count <= TLB_LOG_SIZE)
        log->count++;
    log->chunks |= BIT(index / TLB_CHUNK);
}

static u32 *ways_of(struct tlb *tlb, u64 host)
{
    return tlb->hold[host >> 12 & (TLB_HOLDS - 1)];
}

/* Is this way of a page's in use? Other pages with the same hash have their ways there, too. */
static bool way_is_live(struct tlb *tlb, const u32 *ways, u32 held)
{
    const struct tlb_entry *e = write_entry(tlb, held);

    return !is_empty(e, held % TLB_ENTRIES) && ways_of(tlb, host_page(e)) == ways;
}

/* Remembers which entry is about to lead to the host page. */
static void hold(struct tlb *tlb, u64 host, u32 entry)
{
    u32 *ways = ways_of(tlb, host);
    u32 way;

    for (way = 0; way < TLB_WAYS; way++) {
        if (ways[way] == entry)
            return;
    }
    for (way = 0; way < TLB_WAYS && way_is_live(tlb, ways, ways[way]); way++)
        ;
    if (way == TLB_WAYS) {
        way = tlb->victim++ % TLB_WAYS;
        drop_entry(write_entry(tlb, ways[way]), ways[way] % TLB_ENTRIES);
    }
    ways[way] = entry;
}

void tlb_fill(struct tlb *tlb, enum tlb_mode mode, const struct tlb_fill *fill)
{
    u32 index = tlb_index(fill->page);
    struct tlb_entry *read = &tlb->table[mode].read[index];
    struct tlb_entry *write = &tlb->table[mode].write[index];
    u64 host = (u64)(uintptr_t)fill->host;

    if (fill->readable)
        *read = (struct tlb_entry){fill->page, host - fill->page};
    if (fill->writable) {
        hold(tlb, host, mode << TLB_BITS | index);
        *write = (struct tlb_entry){fill->page, host - fill->page};
    } else if (write->tag == fill->page) {
        write->tag = empty_tag(index);
    }
    note(&tlb->log[mode][fill->global], index);
}

static void empty_index(struct tlb_table *table, u32 index)
{
    table->read[index].tag = table->write[index].tag = empty_tag(index);
}

static void empty_logged(struct tlb_table *table, struct tlb_log *log)
{
    if (log->count <= TLB_LOG_SIZE) {
        for (u32 i = 0; i < log->count; i++)
            empty_index(table, log->at[i]);
    } else {
        for (u64 left = log->chunks; left; left &= left - 1) {
            u32 first = (u32)__builtin_ctzll(left) * TLB_CHUNK;
            memset(&table->read[first], 0, TLB_CHUNK * sizeof(table->read[0]));
            memset(&table->write[first], 0, TLB_CHUNK * sizeof(table->write[0]));
        }
        empty_index(table, 0);
    }
    log->count = 0;
    log->chunks = 0;
}

static void empty_site(struct tlb_pool *pool, u32 site)
{
    struct tlb_site *s = &pool->site[site];

    *s = (struct tlb_site){.addend = s->addend};
    pool->used[site / 64] &= ~BIT(site % 64);
}

static void empty_pool(struct tlb_pool *pool)
{
    for (u32 i = 0; i < ARRAY_SIZE(pool->used); i++) {
        while (UNLIKELY(pool->used[i]))
            empty_site(pool, i * 64 + (u32)__builtin_ctzll(pool->used[i]));
    }
}

/* The bytes, a multiple of a page's, from its start that a site reaches. */
static u64 site_bytes(const struct tlb_site *site)
{
    return align_up(site->room, 4096);
}

/* Empties the sites that reach a page, of the guest or of the host. */
static void drop_sites(struct tlb *tlb, u64 page, bool host)
{
    for (u32 mode = 0; mode < TLB_HOSTS; mode++) {
        struct tlb_pool *pool = &tlb->pool[mode];
        for (u32 i = 0; i < ARRAY_SIZE(pool->used); i++) {
            for (u64 left = pool->used[i]; UNLIKELY(left); left &= left - 1) {
                u32 at = i * 64 + (u32)__builtin_ctzll(left);
                const struct tlb_site *site = &pool->site[at];
                if (page - site->start - (host ? site->addend : 0) < site_bytes(site))
                    empty_site(pool, at);
            }
        }
    }
}

static void empty_adopted(struct tlb *tlb)
{
    for (u32 left = tlb->adopted; left; left &= left - 1)
        empty_pool(&tlb->pool[__builtin_ctz(left)]);
}

void tlb_adopt_sites(struct tlb *tlb, enum tlb_mode pool)
{
    if (!(tlb->adopted >> pool & 1))
        empty_pool(&tlb->pool[pool]);
    tlb->adopted |= 1u << pool;
}

void tlb_return_sites(struct tlb *tlb)
{
    empty_adopted(tlb);
    tlb->adopted = 0;
}

void tlb_change_world(struct tlb *tlb)
{
    for (u32 mode = 0; mode < TLB_HOSTS; mode++)
        empty_pool(&tlb->pool[mode]);
    tlb->adopted = 0;
}

static bool goes_on(const struct tlb_entry *entries, gva_t page, u64 addend)
{
    const struct tlb_entry *e = &entries[tlb_index(page)];

    return e->tag == page && e->addend == addend;
}

void tlb_widen_site(struct tlb_site *site, const struct tlb_entry *entries)
{
    const u32 max = site->fills < TLB_ENTRIES / 8 ? site->fills * 8 : TLB_ENTRIES;
    u32 n;

    for (n = 0; n < max && goes_on(entries, site->start - 4096, site->addend); n++) {
        site->start -= 4096;
        site->room += 4096;
    }
    for (; n < max && goes_on(entries, site->start + site_bytes(site), site->addend); n++)
        site->room += 4096;
    site->widened = site->fills < 4096 ? site->fills * 4 : site->fills + 4096;
}

void tlb_flush(struct tlb *tlb, enum tlb_mode mode, bool global)
{
    empty_pool(&tlb->pool[tlb_pool_of(mode)]);
    empty_adopted(tlb);
    empty_logged(&tlb->table[mode], &tlb->log[mode][0]);
    if (global)
        empty_logged(&tlb->table[mode], &tlb->log[mode][1]);
}

void tlb_drop(struct tlb *tlb, gva_t va)
{
    u32 index = tlb_index(va);

    for (u32 mode = 0; mode < tlb->modes; mode++) {
        drop_entry(&tlb->table[mode].read[index], index);
        drop_entry(&tlb->table[mode].write[index], index);
    }
    drop_sites(tlb, va & ~UINT64_C(4095), false);
    if (tlb->view.dropped)
        tlb->view.dropped(tlb->view.ctx, va & ~UINT64_C(4095));
}

void tlb_drop_writes(struct tlb *tlb, const u8 *host)
{
    const u32 *ways = ways_of(tlb, (u64)(uintptr_t)host);

    for (u32 way = 0; way < TLB_WAYS; way++) {
        struct tlb_entry *e = write_entry(tlb, ways[way]);
        if (host_page(e) == (u64)(uintptr_t)host)
            drop_entry(e, ways[way] % TLB_ENTRIES);
    }
    drop_sites(tlb, (u64)(uintptr_t)host, true);
    if (tlb->view.dropped_writes)
        tlb->view.dropped_writes(tlb->view.ctx, host);
}

void tlb_drop_writes_if(struct tlb *tlb, bool (*drop)(void *ctx, const u8 *host), void *ctx)
{
    if (tlb->view.flushed)
        tlb->view.flushed(tlb->view.ctx, -1);
    for (u32 mode = 0; mode < tlb->modes; mode++) {
        struct tlb_entry *write = tlb->table[mode].write;
        empty_pool(&tlb->pool[tlb_pool_of((enum tlb_mode)mode)]);
        u64 left = tlb->log[mode][0].chunks | tlb->log[mode][1].chunks;
        for (; left; left &= left - 1) {
            u32 first = (u32)__builtin_ctzll(left) * TLB_CHUNK;
            for (u32 i = first; i < first + TLB_CHUNK; i++) {
                if (!is_empty(&write[i], i) && drop(ctx, (u8 *)(uintptr_t)host_page(&write[i])))
                    write[i].tag = empty_tag(i);
            }
        }
    }
}
