/* SPDX-License-Identifier: BSD-2-Clause */
/* The translating engine: the code of a VM's harts as host code, shared by all of them. */
#ifndef COSM_EXEC_JIT_H
#define COSM_EXEC_JIT_H

#include "rv/hart.h"

struct jit;

/* Bounds; 0 means what is good for a virtual machine. Tests take less, to see them reached. */
struct jit_config {
    u32 code_size;    /* bytes of host code, a multiple of 4096 */
    u32 segments;     /* pieces of it that are given up one at a time, at most JIT_SEGMENTS_MAX */
    u32 pages;        /* translated at a time */
    bool limited;     /* as hart_env.limited */
    bool regions;     /* what is executed much is compiled again, better */
    u32 heat;         /* how often a place is met by samples before that */
    bool keep_guards; /* of accesses that share a look, however often they fail, and their like */
    u32 view_after;   /* accesses after which an address space gets a view, see jit_view.c */
    bool view_blocks; /* all blocks of user mode are by the view, as if there were one already */
    bool patient; /* what is met for the first time is interpreted, translated only if met again */
    bool at_once; /* regions are made with the first block of theirs, on the hart's thread */
};

#define JIT_SEGMENTS_MAX 16

/* Can this host run translated code? */
bool jit_is_supported(void);

/* A cache of translations for harts that share memory. config may be NULL; NULL: no memory. */
MUST_CHECK struct jit *jit_create(const struct jit_config *config);
/* Its harts are detached. */
void jit_destroy(struct jit *jit);

/* Lets hart run from jit's cache; false: no memory. No hart runs meanwhile. */
MUST_CHECK bool jit_attach(struct jit *jit, struct hart *hart);
/* The same with a cache of the hart's own. */
MUST_CHECK bool jit_attach_alone(struct hart *hart, const struct jit_config *config);
void jit_detach(struct hart *hart);

/* Begins to sample harts and to compile regions in the background, if there shall be any; until
 * a hart is detached. The thread calls began first, unless that is NULL. 0 or an errno. */
MUST_CHECK int jit_start(struct jit *jit, void (*began)(void *ctx, bool translates), void *ctx);

enum jit_tier { JIT_TIER_BLOCK, JIT_TIER_REGION, JIT_TIERS };

struct jit_tier_stats {
    u64 count, insns, host_bytes, ns; /* compiled, of so many guest instructions */
};

struct jit_stats {
    struct jit_tier_stats tier[JIT_TIERS];
    u64 pages, drops; /* translated; of these no more so, for whatever reason */
    u64 evictions;    /* pieces of the code buffer given up */
    u64 samples;      /* of harts in translated code, */
    u64 samples_cold; /* which found a block, not a region */
    u64 wide;         /* regions in several pages, */
    u64 wide_ended;   /* which were given up with one of them, or as it is mapped elsewhere */
    u64 replaced;     /* regions whose code is in later ones, which are entered instead */
    u64 parted;       /* pages whose groups of accesses are so often apart that they are left so */
    u64 refusals;     /* no region could be made, or its page was gone */
};

/* Any thread. */
void jit_stats_read(struct jit *jit, struct jit_stats *stats);
/* The same of a hart's. */
void jit_stats_of(const struct hart *hart, struct jit_stats *stats);

/* What was translated, for those who listen. */
struct jit_translation {
    u32 tier; /* 1: a block; 2: a region, by its first instruction */
    gpa_t gpa;
    gva_t pc; /* where it was met first; other mappings of the page may run it, too */
    enum priv priv;
    u32 guest_bytes, guest_insns;
    u64 host; /* where it runs */
    u32 host_bytes;
};

/*
 * Listens to an engine: hart_env.jit_observer, set before jit_attach, outlives the harts. Called on
 * whatever thread translates, perhaps on several at once, with the engine's locks held: it must not
 * call back, nor take long. An address may be used again after dropped and flushed.
 */
struct jit_observer {
    void (*translated)(void *ctx, const struct jit_translation *translation);
    void (*dropped)(void *ctx, gpa_t page); /* all that was made of this guest page */
    void (*flushed)(void *ctx);             /* all that there is (in this cache) */
    void *ctx;
};

/*
 * As interp_run, limits included (hart_env.limited says beforehand that there will be some: code
 * then looks at them, see JIT_LIMIT_SLACK); the last instructions before one are interpreted. Steps
 * and debugging are the interpreter's, which shares all state. */
enum hart_exit jit_run(struct hart *hart, bool step);

#endif
