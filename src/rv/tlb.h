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
 *
 * Sites. Translated code keeps for places that access memory in loops which addresses they reached
 * last, as a range that one addend holds for, found in the tables: what a site allows some entry
 * allowed when it was filled. So whatever takes entries away takes sites away, too, but for an
 * entry that only gives way to another. Code knows the mode that it is to run in and has sites in
 * that mode's pool; if it runs in another it says so (tlb_adopt_sites), and then the pool holds
 * what is right in the current mode, until that changes. tests/unit/test_tlb.c has a model.
 */
#ifndef COSM_RV_TLB_H
#define COSM_RV_TLB_H

#include "base/bits.h"
#include "base/types.h"

/* Effective modes with tables of their own: a change of mode picks one and flushes nothing. */
enum tlb_mode {
    TLB_U,
    TLB_S,
    TLB_S_SUM,
    TLB_M,
    TLB_HOSTS, /* how many there are without guests */
    TLB_VU = TLB_HOSTS,
    TLB_VS,
    TLB_VS_SUM,
    TLB_MODES
};

/* The mode whose pool of sites is this one's: guests use the host's, and each finds them empty. */
static inline enum tlb_mode tlb_pool_of(enum tlb_mode mode)
{
    return mode < TLB_HOSTS ? mode : (enum tlb_mode)(mode - TLB_HOSTS);
}

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

#define TLB_SITES 1536

/* Accesses of a few bytes, as many as who fills it has in mind, may be made at start and room - 1
 * bytes on. */
struct tlb_site {
    gva_t start; /* of a page */
    u64 room;    /* 0: empty */
    u64 addend;  /* as of the entries; if it is empty, of what it was last */
    u32 fills;   /* since it was empty */
    u32 widened; /* fills up to which it is not to be widened again */
};

struct tlb_pool {
    struct tlb_site site[TLB_SITES];
    u64 used[TLB_SITES / 64]; /* bit n: site n may not be empty */
};

/*
 * Somebody who lets translated code reach pages of mode U's entries in a way of his own (see
 * exec/jit_view.c), and is told what he must take back. Any function may be NULL.
 */
struct tlb_view {
    u64 end; /* virtual addresses below it may be reached so in mode U; 0: none now */
    void *ctx;
    void (*flushed)(void *ctx, s64 asid); /* all of an address space, -1: of all */
    void (*dropped)(void *ctx, gva_t page);
    void (*dropped_writes)(void *ctx, const u8 *host);
    void (*space_changed)(void *ctx); /* and nothing else: entries of both may be kept */
};

struct tlb {
    struct tlb_view view;
    u32 modes; /* that are in use: TLB_HOSTS, or TLB_MODES */
    struct tlb_table table[TLB_MODES];
    struct tlb_log log[TLB_MODES][2]; /* [1]: of global pages */
    u32 hold[TLB_HOLDS][TLB_WAYS];    /* mode << TLB_BITS | index of a write entry */
    u32 victim;                       /* way to be given up next */
    u32 adopted;                      /* bit n: pool n is the current mode's */
    struct tlb_pool pool[TLB_HOSTS];
};

_Static_assert(sizeof(struct tlb_entry) == 16, "translated code multiplies by it with a shift");
_Static_assert(sizeof(struct tlb_site) == 32, "jit_layout says so");
_Static_assert(TLB_BITS <= 16, "struct tlb_log's indices have 16 bits");

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

/* Before first use of zeroed memory; guests: are there modes of theirs? */
void tlb_init(struct tlb *tlb, bool guests);

void tlb_fill(struct tlb *tlb, enum tlb_mode mode, const struct tlb_fill *fill);

/* Empties a mode's tables: of pages that are not global, or of all. */
void tlb_flush(struct tlb *tlb, enum tlb_mode mode, bool global);

/* Drops a virtual page from all tables. */
void tlb_drop(struct tlb *tlb, gva_t va);

/* Code with sites in a pool is about to run in another mode than the pool's. */
void tlb_adopt_sites(struct tlb *tlb, enum tlb_mode pool);
/* The mode changes: adopted pools are given back, empty. */
void tlb_return_sites(struct tlb *tlb);
/* The same, from the host's modes to guests' or back: all pools are empty. */
void tlb_change_world(struct tlb *tlb);
/* A site holds a page of these entries, of the current mode: neighbours that go on there join it.
 * The more often a site was filled the more are looked for, and the rarer. */
void tlb_widen_site(struct tlb_site *site, const struct tlb_entry *entries);

/* Drops the write entries that lead to a page of the host. */
void tlb_drop_writes(struct tlb *tlb, const u8 *host);

/* Drops the write entries that lead to pages for which drop() is true. */
void tlb_drop_writes_if(struct tlb *tlb, bool (*drop)(void *ctx, const u8 *host), void *ctx);

#endif
