/* SPDX-License-Identifier: BSD-2-Clause */
/* The bookkeeping of the software TLB; the theory of operation is in the header. */
#include "rv/tlb.h"

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

static struct tlb_entry *write_entry(struct tlb *tlb, u16 held)
{
    return &tlb->table[held >> TLB_BITS].write[held % TLB_ENTRIES];
}

static void drop_entry(struct tlb_entry *e, u32 index)
{
    if (!is_empty(e, index))
        e->tag = empty_tag(index);
}

void tlb_init(struct tlb *tlb)
{
    for (u32 mode = 0; mode < TLB_MODES; mode++)
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

static u16 *ways_of(struct tlb *tlb, u64 host)
{
    return tlb->hold[host >> 12 & (TLB_HOLDS - 1)];
}

/* Is this way of a page's in use? Other pages with the same hash have their ways there, too. */
static bool way_is_live(struct tlb *tlb, const u16 *ways, u16 held)
{
    const struct tlb_entry *e = write_entry(tlb, held);

    return !is_empty(e, held % TLB_ENTRIES) && ways_of(tlb, host_page(e)) == ways;
}

/* Remembers which entry is about to lead to the host page. */
static void hold(struct tlb *tlb, u64 host, u16 entry)
{
    u16 *ways = ways_of(tlb, host);
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
        hold(tlb, host, (u16)(mode << TLB_BITS | index));
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

void tlb_flush(struct tlb *tlb, enum tlb_mode mode, bool global)
{
    empty_logged(&tlb->table[mode], &tlb->log[mode][0]);
    if (global)
        empty_logged(&tlb->table[mode], &tlb->log[mode][1]);
}

void tlb_drop(struct tlb *tlb, gva_t va)
{
    u32 index = tlb_index(va);

    for (u32 mode = 0; mode < TLB_MODES; mode++) {
        drop_entry(&tlb->table[mode].read[index], index);
        drop_entry(&tlb->table[mode].write[index], index);
    }
}

void tlb_drop_writes(struct tlb *tlb, const u8 *host)
{
    const u16 *ways = ways_of(tlb, (u64)(uintptr_t)host);

    for (u32 way = 0; way < TLB_WAYS; way++) {
        struct tlb_entry *e = write_entry(tlb, ways[way]);
        if (host_page(e) == (u64)(uintptr_t)host)
            drop_entry(e, ways[way] % TLB_ENTRIES);
    }
}

void tlb_drop_writes_if(struct tlb *tlb, bool (*drop)(void *ctx, const u8 *host), void *ctx)
{
    for (u32 mode = 0; mode < TLB_MODES; mode++) {
        struct tlb_entry *write = tlb->table[mode].write;
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
