/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The software TLB of a hart: pages that the inlined fast path of loads and stores may reach.
 *
 * Theory of operation. Each effective mode has a table of entries for reads and one for writes,
 * direct-mapped by the low bits of the page number. An entry holds the virtual address of its page
 * and the distance to the host's. So one comparison decides: address XOR tag is at most PAGE_SIZE
 * less the access's size if and only if all of the access lies in that page.
 *
 * An entry is empty when its tag belongs to another index; zeroed memory is thus an empty table but
 * for index 0, and tables cost no memory where they were never filled. What was filled is noted in
 * logs, apart for global pages, so that a flush costs no more than the fills before it. A log that
 * is full is replaced by a bit a chunk of the table.
 *
 * Stores to pages with decoded code must take the slow path. To take away write entries by
 * physical page there are a few places a page for the indices that lead to it (ways, by a hash of
 * the host page): who finds no place for another takes one away, and its write entry with it.
 */
#ifndef COSM_RV_TLB_H
#define COSM_RV_TLB_H

#include "base/bits.h"
#include "base/types.h"

/* Effective modes with tables of their own: a change of mode picks one and flushes nothing. */
enum tlb_mode { TLB_U, TLB_S, TLB_S_SUM, TLB_M, TLB_MODES };

#define TLB_BITS      14
#define TLB_ENTRIES   (1u << TLB_BITS)
#define TLB_CHUNK     (TLB_ENTRIES / 64) /* entries: a bit of struct tlb_log's chunks */
#define TLB_LOG_SIZE  512
#define TLB_WAYS      4
#define TLB_HOLD_BITS 14
#define TLB_HOLDS     (1u << TLB_HOLD_BITS)

struct tlb_entry {
    gva_t tag;  /* of the page; empty: its index is not that of the entry */
    u64 addend; /* host address = guest-virtual address + addend */
};

struct tlb_table {
    struct tlb_entry read[TLB_ENTRIES], write[TLB_ENTRIES];
};

/* Indices that were filled since the last flush. */
struct tlb_log {
    u64 chunks;
    u32 count; /* beyond TLB_LOG_SIZE: only chunks tells */
    u16 at[TLB_LOG_SIZE];
};

struct tlb {
    struct tlb_table table[TLB_MODES];
    struct tlb_log log[TLB_MODES][2]; /* [1]: of global pages */
    u16 hold[TLB_HOLDS][TLB_WAYS];    /* mode << TLB_BITS | index of a write entry */
    u32 victim;                       /* way to be given up next */
};

_Static_assert(sizeof(struct tlb_entry) == 16, "translated code multiplies by it with a shift");
_Static_assert(TLB_MODES << TLB_BITS <= 1 << 16, "struct tlb's hold has 16 bits for each");

/* A page to be entered. */
struct tlb_fill {
    gva_t page;
    u8 *host;
    bool readable, writable;
    bool global; /* in all address spaces */
};

static inline u32 tlb_index(gva_t va)
{
    return (u32)(va >> 12) & (TLB_ENTRIES - 1);
}

/* Does an entry serve all of size bytes at va? */
static inline bool tlb_serves(const struct tlb_entry *e, gva_t va, u64 size)
{
    return (e->tag ^ va) <= 4096 - size;
}

/* Before first use of zeroed memory. */
void tlb_init(struct tlb *tlb);

void tlb_fill(struct tlb *tlb, enum tlb_mode mode, const struct tlb_fill *fill);

/* Empties a mode's tables: of pages that are not global, or of all. */
void tlb_flush(struct tlb *tlb, enum tlb_mode mode, bool global);

/* Drops a virtual page from all tables. */
void tlb_drop(struct tlb *tlb, gva_t va);

/* Drops the write entries that lead to a page of the host. */
void tlb_drop_writes(struct tlb *tlb, const u8 *host);

/* Drops the write entries that lead to pages for which drop() is true. */
void tlb_drop_writes_if(struct tlb *tlb, bool (*drop)(void *ctx, const u8 *host), void *ctx);

#endif
