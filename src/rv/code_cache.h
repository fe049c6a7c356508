/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hart's decoded instructions, one array a guest-physical page: a slot a halfword, each a record
 * of rv/decode.h or 0. Virtual pages lead to them through a small table of links.
 */
#ifndef COSM_RV_CODE_CACHE_H
#define COSM_RV_CODE_CACHE_H

#include "rv/decode.h"

#define CODE_SLOTS     (PAGE_SIZE / 2)
#define CODE_LINKS     512
#define CODE_PAGES_MAX 512 /* a hart; 16 KiB each, allocated as they are needed */
#define CODE_PAGES_MIN 128
#define CODE_PAGES_ALL 640 /* of a VM's harts together, unless there are very many */
#define CODE_HASH      1024

struct code_page {
    u64 slot[CODE_SLOTS + 2]; /* the last two hold OP_PAGE_END */
    gpa_t gpa;
    const u8 *bytes; /* the page in host memory; NULL: not memory, never cached */
    u64 word;        /* of code_map at decode time */
    bool trusted;    /* see code_map.h */
    bool used;
    bool recent; /* for eviction: entered since the clock hand passed */
    u16 next;    /* in the hash chain; index + 1, 0: end */
};

struct code_link {
    u64 tag; /* gva of the page | mode << 1 | 1; 0: none */
    struct code_page *page;
};

struct code_cache {
    struct code_link link[CODE_LINKS];
    u16 hash[CODE_HASH]; /* by gpa; index + 1 */
    struct code_page *page[CODE_PAGES_MAX];
    struct code_page *uncached; /* for fetches from devices: its slots stay empty */
    u32 count;
    u32 limit; /* count grows up to it */
    u32 hand;
    u32 untrusted; /* pages in use that are not trusted */
    u64 writes;    /* of the code map, at the last fence */
};

/* One of harts such caches of a VM. NULL: no memory. */
struct code_cache *code_cache_create(u32 harts);
void code_cache_destroy(struct code_cache *cache);

static inline u64 code_link_tag(gva_t pc, enum priv mode)
{
    return (pc & PAGE_MASK) | (u64)mode << 1 | 1;
}

/* The page to run pc from. NULL: fetching faults, hart->trap set. */
struct code_page *code_cache_enter(struct hart *hart, gva_t pc);

/*
 * The instruction at pc, decoded afresh: into its slot, too, unless it must be looked at every
 * time. Returns what to execute now, 0: the fetch of its second half faults, hart->trap set.
 */
u64 code_cache_fetch(struct hart *hart, struct code_page *page, gva_t pc);

/* The bits of the instruction at pc for mtval; 0 where they cannot be read. */
u32 code_cache_raw(struct hart *hart, gva_t pc);

/* FENCE.I: forgets what may have changed. */
void code_cache_fence(struct hart *hart);

/* Forgets virtual-to-physical links: all, those that are not global, or of one page. */
void code_cache_flush_map(struct hart *hart);
void code_cache_flush_map_space(struct hart *hart);
void code_cache_flush_map_page(struct hart *hart, gva_t va);

/* Forgets everything (breakpoints changed, reset). */
void code_cache_flush(struct hart *hart);

#endif
