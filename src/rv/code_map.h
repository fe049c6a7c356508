/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which guest pages hold decoded code, shared by the harts of a VM; how a store to code is noticed.
 *
 * Theory of operation. Each RAM page has a word: a CODE flag, a generation that a store to code
 * bumps, and the epoch at which the flag was last set. A hart that decodes from a page sets the
 * flag first (code_map_protect); from then on no hart may keep a TLB write entry for it, so stores
 * take the slow path, which tells code_map_written *after* storing. At FENCE.I a hart drops every
 * decoded page whose generation has moved.
 *
 * Before it decodes a part of the page a hart marks it (code_map_mark), a bit a granule. A store
 * that hits no marked granule changes nothing: either it sees the mark, or who marks will see what
 * was stored. One that hits clears the flag and bumps the generation. Marks carry the generation
 * that they are for, so those of earlier ones mean nothing. Many stores beside code are taken for a
 * hit, too, so that data on a page with code that no FENCE.I minds is not slow to write for ever.
 *
 * Other harts lose their write entries only when they next attend (ATTN_PROTECT), and publish in
 * code_ack the epoch that they do it for. Until all have, a store may go unnoticed: a page decoded
 * in that time is untrusted and is dropped at the next FENCE.I whatever its generation says. A
 * sleeping hart has code_ack at UINT64_MAX and attends before it runs again.
 *
 * Why a great enough code_ack can be believed: the flag is set before the epoch begins (until its
 * page has one, the word holds EPOCH_NONE), and a hart publishes code_ack before it looks at flags
 * (or at the pages of the epochs since its last look, which is cheaper) and stores nothing in
 * between. So who has acknowledged this epoch, or sleeps, sees the flag.
 */
#ifndef COSM_RV_CODE_MAP_H
#define COSM_RV_CODE_MAP_H

#include "rv/hart.h"

#define CODE_MAP_RECENT 256

/* See code_map.c. */
struct code_map_page {
    _Atomic u64 word, marks;
};

struct code_map {
    gpa_t base;                  /* RAM that is tracked */
    u64 pages;                   /* of PAGE_SIZE */
    struct code_map_page *state; /* one a page; zeroed by the owner at creation */
    _Atomic u64 epoch;           /* of the last protection */
    _Atomic u64 writes; /* generations moved, all pages together: if still, nothing changed */
    _Atomic u64 recent[CODE_MAP_RECENT]; /* what was protected in the last epochs, see code_map.c */
    _Atomic u64 changed[CODE_MAP_RECENT]; /* which generations moved last */
    _Atomic u64 beside;                   /* stores to pages with code that hit none of it */
};

/*
 * Sets the CODE flag of gpa's page and returns its word, for code_map_changed. *trusted: no hart
 * can store there unnoticed any more. The caller drops its own write entries (mem_protect).
 */
u64 code_map_protect(struct code_map *map, struct hart *self, gpa_t gpa, bool *trusted);

/*
 * The page whose protection began an epoch. False: not known (any more, or yet); who asks must look
 * at the flags of all pages that it may write to.
 */
MUST_CHECK bool code_map_protected_at(struct code_map *map, u64 epoch, gpa_t *gpa);

/*
 * [gpa, gpa + len), on the page for which protect returned word, is about to be decoded: stores to
 * it count from now on.
 */
void code_map_mark(struct code_map *map, gpa_t gpa, u64 len, u64 word);

/* Has code on gpa's page been written since protect returned word? */
bool code_map_changed(struct code_map *map, gpa_t gpa, u64 word);

/* The page whose generation the nth of all moves moved. False: not known (any more, or yet). */
MUST_CHECK bool code_map_changed_at(struct code_map *map, u64 n, gpa_t *gpa);

/* Counts moves of generations; read before looking at pages, it spares the next look. */
static inline u64 code_map_writes(struct code_map *map)
{
    return atomic_load_explicit(&map->writes, memory_order_seq_cst);
}

/* Has every hart, self too, given up its write entries for the page whose word that is? */
bool code_map_is_protected(const struct hart *self, u64 word);

/* Must a store to gpa's page take the slow path? */
bool code_map_is_code(struct code_map *map, gpa_t gpa);

/* [gpa, gpa + len) was stored to by a hart's slow path, a device or a debugger. */
void code_map_written(struct code_map *map, gpa_t gpa, u64 len);

#endif
