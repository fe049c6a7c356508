/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside the translating engine: what its files share.
 *
 * struct jit belongs to a VM, struct jit_hart to a hart. Whoever changes struct jit holds its lock,
 * and never waits for a hart meanwhile. Harts look pages and entries up without it: see
 * jit_code.c on when what they may still hold is freed.
 */
#ifndef COSM_EXEC_JIT_IMPL_H
#define COSM_EXEC_JIT_IMPL_H

#include "exec/jit.h"
#include "jit/backend.h"
#include "rv/region.h"

#include <pthread.h>

/* What harts may still hold after it was taken out of the cache; begins what it is part of. */
struct retired {
    struct retired *next;
    u64 epoch;
    enum { RETIRED_ENTRIES, RETIRED_PAGE, RETIRED_SPAN } kind;
};

/*
 * A page's entries. The key is the offset; for an instruction that goes on in the next page, with
 * what stands there << 16. A hash table of powers of two, at most three quarters full.
 */
struct entries {
    struct retired retired;
    u32 mask, used;
    _Atomic u64 slot[]; /* code << 32 | key; 0: free; the code's bit 0: no more, see jit_span.c */
};

/* Translations of a guest-physical page. */
struct jit_page {
    struct retired retired;
    _Atomic(struct jit_page *) next; /* in the hash chain, for readers even after it was dropped */
    _Atomic(struct entries *) entries; /* NULL: none yet */
    gpa_t gpa;
    u32 name;                         /* no other page ever has it */
    _Atomic(struct jit_span *) spans; /* that it belongs to; others than NULL under the lock */
    bool alone;                       /* regions that begin here shall keep to this page */
    /* From here on under the lock. */
    struct jit_held *held; /* regions of which it is the first page, newest first */
    _Atomic bool dropped;
    u32 segments;     /* bit n: there is code of it in segment n */
    const u8 *memory; /* the page */
    const u8 *bytes;  /* what is translated: memory, or copy; jit_page_mark comes first */
    u8 *copy;         /* not NULL: not trusted yet, see jit_cache.c */
    u64 word;         /* of the code map */
};

/* A region that there is, as far as its first page goes: see jit_held.c. */
struct jit_held {
    struct jit_held *next;
    const struct jit_span *span;    /* NULL: it keeps to its page */
    u32 code, size;                 /* in the buffer */
    u64 starts[PAGE_SIZE / 2 / 64]; /* of its instructions, as in region_page */
    bool sites, view;
    bool replaced; /* by the one at hand */
    u32 seed_count;
    u16 seed[REGION_SEEDS_MAX];
};

#define SPANS_MAX 4096
#define NO_PAGE   1 /* in place of the address of one */

/* What a region in several pages depends on: see jit_span.c. Harts may read dead and at. */
struct jit_span {
    struct retired retired;
    _Atomic bool dead;
    u32 page_count;
    s32 at[REGION_PAGES]; /* distance of each page from the first */
    /* From here on under the lock. */
    struct jit_page *page[REGION_PAGES];
    struct jit_span *next[REGION_PAGES]; /* in each page's list; next[0] if it is free */
    u32 strikes;                         /* how often it could not be entered */
    u32 entry_count;
    struct jit_entry entry[JIT_ENTRIES_MAX];
};

enum segment_state {
    SEGMENT_FREE,
    SEGMENT_FILLING,
    SEGMENT_FULL,
    SEGMENT_DRAINING, /* free as soon as all harts have seen its epoch */
};

/* A part of the code buffer that is reused as a whole. */
struct segment {
    u32 start, end; /* offsets in the buffer */
    enum segment_state state;
    enum jit_tier tier; /* of the code in it */
    u64 epoch;
};

#define LAST_HALF (PAGE_SIZE - 2)
/* What compiles one tier, and the segment that it fills. */
struct tier {
    struct jit_compiler *compiler;
    u32 segment;
};

/* Where samples were: see jit_heat.c. */
struct heat {
    u32 page; /* its name */
    u16 offset;
    u8 hits;     /* in about the last so many samples */
    bool asked;  /* a region was asked for, */
    bool sited;  /* one with sites, */
    bool viewed; /* by the view */
    u32 age;     /* of hits */
};

/* Another page that a region may go on in. */
struct job_page {
    gpa_t gpa;
    u32 name;
    s32 at; /* its distance */
};

/* A region to be made. */
struct job {
    gpa_t gpa;
    gva_t pc; /* for observers */
    enum priv priv;
    u32 mode; /* enum tlb_mode, of data */
    u32 page; /* its name */
    u32 offset;
    bool sites;     /* it shall have some */
    bool view;      /* accesses shall be by the harts' views */
    u32 seed_count; /* what it is made from: offset, and what another one was made from */
    u16 seed[REGION_SEEDS_MAX];
    u32 away_count;
    struct job_page away[REGION_PAGES - 1];
};

#define HEATS      16384
#define JOBS_MAX   64
#define PAGE_HASH  4096
#define LINKS      2048
#define JUMPS_BITS 16
#define JUMPS      (1u << JUMPS_BITS)
#define FILLS_MAX  16384
#define PAGES_SEEN 32768
#define MET        65536
#define APART      65536 /* bits */
#define MISSED     64

struct jit {
    struct jit_backend *backend;
    u32 page_max;
    bool patient, keep_guards, view_blocks;
    u32 view_after;
    _Atomic bool no_views;         /* they do not hold what is used */
    _Atomic u64 apart[APART / 64]; /* by a hash of instructions, see jit_apart.c */
    _Atomic u32 met[MET];          /* what was met once, by a hash: jit_is_new */
    pthread_mutex_t lock;
    _Atomic(struct jit_page *) hash[PAGE_HASH];
    _Atomic u64 epoch;      /* counts up when something was retired */
    _Atomic u64 drop_epoch; /* when the last page was */

    /* From here on under the lock. */
    struct jit_hart *harts;
    u32 page_count, last_name;
    u32 untrusted; /* pages with a copy */
    u32 flushes;   /* code_flushes of all harts together, at the last look */
    u64 writes;    /* of the code map, when pages were last compared with it */
    struct retired *retired, **retired_end; /* oldest first */
    u32 retired_count;
    struct segment segment[JIT_SEGMENTS_MAX];
    u32 segment_count;
    u32 newest; /* the segment that was begun last */
    struct tier tier[JIT_TIERS];
    struct lift *lift;
    struct jit_stats stats;

    /* Regions; NULL and 0 if there shall be none. The worker compiles without the lock. */
    struct region_work *work;
    struct targets *targets;           /* see jit_targets.c */
    struct jit_span *span, *free_span; /* SPANS_MAX, of which span_count have been in use */
    u32 span_count;
    struct heat heat[HEATS];
    u16 latest[64]; /* places of the latest samples, in heat */
    struct job job[JOBS_MAX];
    u32 job_count;
    u32 heat_wanted;
    void (*began)(void *ctx, bool translates); /* NULL: nobody wants to know */
    void *began_ctx;
    bool at_once, quit, has_worker;
    bool found_cold;    /* since the worker last looked */
    _Atomic bool rests; /* the worker; harts that run for a while rouse it */
    pthread_t worker;
    pthread_cond_t wake;
};

struct jump {
    u64 pc; /* jump_none: none */
    u64 code;
};

/* No pc is odd, but what a guest's register says may be: it must not be found at its place, either.
 */
static inline u64 jump_none(u32 at)
{
    return at ? 1 : 3;
}

/* What was filled since a table was last emptied, so that emptying it again costs no more. */
struct fills {
    u32 count; /* beyond FILLS_MAX: too many to list */
    u16 at[FILLS_MAX];
};

/* Where the code of a virtual page is. */
struct link {
    u64 tag; /* code_link_tag; 0: none */
    struct jit_page *page;
    bool global; /* in all address spaces */
    bool listed; /* among link_fills */
};

enum jump_state {
    JUMP_GLOBAL = 1, /* the code's page is in all address spaces */
    JUMP_LISTED = 2, /* among fills[0] */
    JUMP_LISTED_GLOBAL = 4,
};

/* Where jumps by the table lead, in one mode. */
struct jump_table {
    struct jump jump[JUMPS]; /* by pc >> 1 */
    u64 check[SPANS_MAX];    /* by span: where its first page is, or NO_PAGE */
    u8 state[JUMPS];         /* enum jump_state */
    bool check_global[SPANS_MAX];
    bool ready;                         /* empty jumps say so; until its first use none do */
    bool has_local;                     /* some jump or check may not be global */
    struct fills fills[2], check_fills; /* [1]: of global jumps */
};

/* A group of accesses that could not be had directly. */
struct missed {
    gpa_t gpa; /* of its first instruction */
    u32 bytes; /* of all */
    u32 count; /* how often */
    u64 since; /* hart->insns when it was 0 */
};

struct jit_hart {
    struct jit *jit;
    struct hart *hart;
    struct jit_hart *next;
    bool alone;   /* jit is its own */
    bool sampled; /* it was asked where it is */
    bool strayed; /* it is behind a guard that failed: amid code that no region begins at */
    u32 exits;    /* since it was entered, while the worker rests */
    _Atomic u32 asked;
    u64 seen;        /* epoch when the tables were last emptied */
    _Atomic u64 ack; /* the same for others to see; UINT64_MAX: not in the engine */
    u32 map_changes, code_changes, code_flushes; /* of the hart, as of the last look */
    u32 space_changes, page_changes;             /* the same */
    bool replaced; /* a link gave way to another: there may be jumps without a link of theirs */
    struct views *views; /* NULL: there are none */
    struct missed missed[MISSED];
    struct link link[LINKS];
    struct fills link_fills;
    u64 seen_pages[PAGES_SEEN / 64];     /* bit n: jumps may depend on page n, modulo */
    struct jump_table table[PRIV_COUNT]; /* by mode */
};

/* ---- jit_code.c: segments, epochs ---- */

MUST_CHECK bool jit_code_init(struct jit *jit, u32 code_size, u32 segments);

/* To be freed when no hart can hold it any more; the epoch must be advanced before that is asked.
 */
void jit_retire(struct jit *jit, struct retired *retired);
void jit_advance(struct jit *jit);
/* Frees what can be freed. */
void jit_collect(struct jit *jit);

/* The piece that is filled is full: another one. False: not yet. */
bool jit_next_segment(struct jit *jit, enum jit_tier tier);
/* After compiling: makes room in time. */
void jit_look_ahead(struct jit *jit, enum jit_tier tier);
enum jit_tier jit_tier_of(const struct jit *jit, u32 code);

/* ---- jit_tables.c: what a hart knows by virtual address ---- */

void jit_link(struct jit_hart *h, gva_t pc, struct jit_page *page, bool global);
void jit_unlink(struct jit_hart *h, gva_t pc);
/* The page that is linked where a pc is; NULL: none. */
struct jit_page *jit_linked(struct jit_hart *h, gva_t pc);
/* hart->pc's code is this, of this page. */
void jit_jump(struct jit_hart *h, u32 code);
/* What hart->pc's code is, as far as jumps tell; 0: they do not. */
u32 jit_known(struct jit_hart *h);
/* The jumps of the hart's mode, for generated code. */
struct jump *jit_jumps(struct jit_hart *h);
void jit_empty_tables(struct jit_hart *h);
/* Forgets, of the tables, what is not global; what concerns a virtual page. */
void jit_forget_space(struct jit_hart *h);
void jit_forget_page(struct jit_hart *h, gva_t va);
/* Says that it holds nothing of before; forgets what concerns pages that were dropped. */
void jit_catch_up(struct jit_hart *h);
/* Around the time that it may hold anything. */
void jit_enter(struct jit_hart *h);
void jit_leave(struct jit_hart *h);

/* Does the span hold with its first page at va, as far as the hart's mode knows (NO_PAGE: nothing
 * is known)? Now it does; global: in all address spaces. */
bool jit_check_is(struct jit_hart *h, const struct jit_span *span, u64 va);
void jit_check_set(struct jit_hart *h, const struct jit_span *span, gva_t va, bool global);

/* ---- jit_span.c: under the lock but for jit_span_ready ---- */

/* Where a region of the place at hart->pc may go on; map: to work with. */
void jit_span_scout(struct jit_hart *h, const struct jit_page *page, struct job *job,
                    struct region_map *map);
/* Shall a region go on at this offset, which lies in another page? */
bool jit_span_wants(const struct jit *jit, const struct jit_page *page, s32 offset);
/* NULL: there are too many. */
struct jit_span *jit_span_claim(struct jit *jit);
void jit_span_free(struct jit *jit, struct jit_span *span);
u32 jit_span_index(const struct jit *jit, const struct jit_span *span); /* of NULL, too */
void jit_span_add_page(struct jit_span *span, struct jit_page *page, s32 at);
/* All that a page belongs to. */
void jit_spans_end(struct jit *jit, struct jit_page *page);
/* May the hart enter this code of the page at hart->pc, which may belong to a span? */
bool jit_span_ready(struct jit_hart *h, struct jit_page *page, u32 code);

/* ---- jit_held.c: which regions there are; under the lock ---- */

/* The newest that has an instruction at an offset of its first page; NULL: there is none. */
struct jit_held *jit_held_at(const struct jit_page *page, u32 offset);
/* Another one, a copy of this. Without memory it is not known of, no more. */
void jit_held_add(struct jit_page *page, const struct jit_held *held);
/* What this one shall be, for others that it has the code of: adds to its seeds, sites and view. */
void jit_held_merge(const struct jit_page *page, struct jit_held *held);
/* Marks those of which all is in this one as replaced by it. Is this code of one of them? */
void jit_held_replace(struct jit_page *page, const struct jit_held *by);
bool jit_held_is_replaced(const struct jit_page *page, u32 code);
/* Forgets those that are replaced, how many; that are of a span; all. */
u32 jit_held_forget_replaced(struct jit_page *page);
void jit_held_forget_span(struct jit_page *page, const struct jit_span *span);
void jit_held_forget_all(struct jit_page *page);

/* ---- jit_cache.c: pages, entries; under the lock but for the finding ---- */

struct jit_page *jit_page_find(struct jit *jit, gpa_t gpa);
/* The same, or a new one; NULL: no memory. Takes the lock. */
struct jit_page *jit_page_add(struct jit_hart *h, gpa_t gpa, const u8 *bytes);
/* Drops all pages with code in these segments. */
void jit_drop_segments(struct jit *jit, u32 segments);
void jit_drop_all(struct jit *jit);
void jit_drop_page(struct jit *jit, struct jit_page *page);
/* Drops what may have changed. */
void jit_drop_changed(struct jit_hart *h);
void jit_page_free(struct jit_page *page);

/* The code of an entry; 0: none. */
u32 jit_entry_find(const struct jit_page *page, u32 key);
/* An entry that there is: as if there were none. What code it had, 0: this was not said of it. */
void jit_entry_forget(struct jit_page *page, u32 key);
u32 jit_entry_forgotten(const struct jit_page *page, u32 key);
/* False: no memory. */
MUST_CHECK bool jit_entry_set(struct jit *jit, struct jit_page *page, u32 key, u32 code);

/* ---- jit_calls.c ---- */

extern const struct jit_engine jit_engine;

/* Tells translated code of its hart, before it runs and where its mode changes. */
void jit_follow(struct jit_hart *h);
/* Follows changes of translation. */
void jit_forget_links(struct jit_hart *h);
/* Takes the exception that the hart's trap says. */
void jit_raise(struct hart *hart);

/* ---- jit_translate.c ---- */

/* Makes the code of an entry; 0: there is none, or no room now, and if *dropped the page is to be
 * looked for anew. */
u32 jit_translate(struct jit_hart *h, struct jit_page *page, u32 key, bool *dropped);

/*
 * Stores to these bytes of a page count from now on: whoever translates from page->bytes says so
 * before it reads them, or a change of them goes unnoticed at the next FENCE.I. Under the lock.
 */
void jit_page_mark(const struct jit *jit, const struct jit_page *page, u32 offset, u32 len);

/* Notes what was compiled and tells observers; under the lock. */
void jit_translated(struct jit *jit, const struct jit_translation *t, u64 ns);

/* What is translated at an offset. Takes the lock. */
u32 jit_page_half(struct jit *jit, const struct jit_page *page, u32 offset);

/* ---- jit_targets.c ---- */

MUST_CHECK bool jit_targets_init(struct jit *jit);
/* An indirect jump of the hart led from here to there. Takes the lock. */
void jit_target_note(struct jit_hart *h, gva_t from, gva_t to);
/* Where the one at an offset of a page is known to lead, from the page's start; how many. Under the
 * lock. */
u32 jit_targets_of(const struct jit *jit, u32 page, u32 offset, const s32 **to);

/* ---- jit_cold.c ---- */

/* Is this the first time, as far as is known, that an entry is asked for? */
bool jit_is_new(struct jit *jit, const struct jit_page *page, u32 key);
/* Interprets from hart->pc on, the page's entry, to the next jump or so, some instructions at most.
 * COLD_NOTHING: it did not. */
#define COLD_ALL UINT32_MAX
enum cold { COLD_NOTHING, COLD_RAN, COLD_FAULT };
enum cold jit_run_cold(struct jit_hart *h, struct jit_page *page, u32 key, u32 insns);

/* ---- jit_heat.c ---- */

/* A sample: the hart is about to run this code. */
void jit_heat(struct jit_hart *h, const struct jit_page *page, u32 key, u32 code);
/* A region that was made so has this place; under the lock. */
void jit_heat_settled(struct jit *jit, const struct jit_page *page, u32 key, const struct job *job);

/* ---- jit_apart.c ---- */

/* A guard failed at an offset; the group it is for is so many bytes of code long. */
void jit_missed(struct jit_hart *h, struct jit_page *page, u32 offset, u32 bytes);
/* Accesses of an instruction go the slow way all the time. */
void jit_refused(struct jit_hart *h, gva_t pc);
/* Shall the accesses of an instruction have no guard, and no view? Any thread. */
bool jit_is_apart(const struct jit *jit, gpa_t insn);

/* ---- jit_view.c ---- */

/* There may be none, if the host does not give them. */
void jit_views_create(struct jit_hart *h);
void jit_views_destroy(struct jit_hart *h);
/* Shall a region of what the hart runs be by the view? sites: is it a place that wants some? */
bool jit_view_wanted(const struct jit_hart *h, bool sites);
/* The thread is about to run the hart's code. */
void jit_view_enter(struct jit_hart *h);
/* Does what had to wait until no code of the hart's runs. */
void jit_view_attend(struct jit_hart *h);
/* An access by the view went the slow way. */
void jit_view_missed(struct jit_hart *h, gva_t va, bool write);
/* Is there none, where there may be one later? */
bool jit_view_lacks(const struct jit_hart *h);
/* The page joins the view if it may be. True: it is there, to be written if so. */
bool jit_view_map(struct jit_hart *h, gva_t va, bool write);

/* ---- jit_tier.c ---- */

MUST_CHECK bool jit_tier_init(struct jit *jit);
/* Ends the worker, which looks at harts. */
void jit_tier_stop(struct jit *jit);
void jit_tier_fini(struct jit *jit);
/* The hart is at a place that deserves a region; under the lock. */
void jit_add_job(struct jit_hart *h, const struct jit_page *page, u32 offset, bool sites);
/* The hart looks something up though the worker rests: ends that if it does so for a while. */
void jit_rouse(struct jit_hart *h);
/* Makes the region of a place now; under the lock. */
void jit_region_now(struct jit_hart *h, const struct jit_page *page, u32 offset);

u64 jit_now_ns(void);

#endif
