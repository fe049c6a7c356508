/* SPDX-License-Identifier: BSD-2-Clause */
/* The translating engine's creation and end, and what the back end is told of a hart. */
#include "exec/jit_impl.h"

#include "base/assert.h"
#include "rv/softfp.h"

#include <stdlib.h>
#include <time.h>

#define CODE_SIZE  (256u << 20) /* bytes; pages of it are taken as they are filled */
#define SEGMENTS   16
#define PAGES_MAX  65536
#define HEAT       8
#define VIEW_AFTER 500000

/* x registers in host registers: stack, arguments, and the first saved ones. */
static const u8 pinned[] = {10, 15, 14, 11, 2, 13, 12, 8, 9};

/* f registers by slot, f0 is 33: what compilers take first. */
#define F(n) (33 + (n))
static const u8 pinned_fp[] = {F(15), F(14), F(13), F(12), F(11), F(10), F(8),
                               F(9),  F(0),  F(1),  F(18), F(19), F(2)};

static const struct jit_layout layout = {
    .slot = offsetof(struct hart, x),
    .pc = offsetof(struct hart, pc),
    .count = offsetof(struct hart, insns),
    .turn = offsetof(struct hart, jit.turn),
    .left = offsetof(struct hart, jit.left),
    .page = offsetof(struct hart, jit.page),
    .away = offsetof(struct hart, jit.away),
    .attn = offsetof(struct hart, attn),
    .patch = offsetof(struct hart, jit.patch),
    .source = offsetof(struct hart, jit.source),
    .tlb = offsetof(struct hart, data_tlb),
    .tlb_bits = TLB_BITS,
    .tlb_read = offsetof(struct tlb_table, read),
    .tlb_write = offsetof(struct tlb_table, write),
    .sites = offsetof(struct hart, tlb.pool[0].site),
    .sites_used = offsetof(struct hart, tlb.pool[0].used),
    .sites_count = TLB_SITES,
    .sites_next = sizeof(struct tlb_pool),
    .view = offsetof(struct hart, jit.view),
    .view_writable = offsetof(struct hart, jit.view_writable),
    .view_credit = offsetof(struct hart, jit.view_credit),
    .mode = offsetof(struct hart, site_mode),
    .modes_kept = 1 << TLB_U,
    .site = offsetof(struct hart, jit.site),
    .link = offsetof(struct hart, reserved),
    .link_value = offsetof(struct hart, reserved_value),
    .link_size = offsetof(struct hart, reserved_size),
    .jumps = offsetof(struct hart, jit.jumps),
    .jumps_bits = JUMPS_BITS,
    .checks = offsetof(struct jump_table, check),
    .int_slots = 32,
    .pinned = pinned,
    .pinned_count = sizeof(pinned),
    .pinned_fp = pinned_fp,
    .pinned_fp_count = sizeof(pinned_fp),
    .fp_level = offsetof(struct hart, jit.fp_level),
    .fp_live = offsetof(struct hart, jit.fp_live),
    .fp_round = offsetof(struct hart, jit.fp_round),
    .fp_flags = offsetof(struct hart, csr.fflags),
    .fp_flag = {[JIT_FP_INVALID] = FP_NV,
                [JIT_FP_DIVIDE] = FP_DZ,
                [JIT_FP_OVERFLOW] = FP_OF,
                [JIT_FP_UNDERFLOW] = FP_UF,
                [JIT_FP_INEXACT] = FP_NX},
};

_Static_assert(offsetof(struct hart, jit.fp_live) == JIT_NEAR_FIRST, "as it says");
_Static_assert(offsetof(struct hart, f) == offsetof(struct hart, x) + 33 * 8, "as F says");

_Static_assert(offsetof(struct jump_table, jump) == 0, "checks lie behind it");

_Static_assert(sizeof(struct tlb_entry) == 16 && offsetof(struct tlb_entry, tag) == 0 &&
                   offsetof(struct tlb_entry, addend) == 8,
               "as jit_layout says");

bool jit_is_supported(void)
{
    return jit_backend_is_supported();
}

static void init_wake(struct jit *jit)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&jit->wake, &attr);
    pthread_condattr_destroy(&attr);
}

struct jit *jit_create(const struct jit_config *config)
{
    static const struct jit_config usual = {0};
    struct jit *jit = calloc(1, sizeof(*jit));
    struct jit_layout l = layout;
    u32 code_size;

    if (!jit)
        return NULL;
    if (!config)
        config = &usual;
    code_size = config->code_size ? config->code_size : CODE_SIZE;
    pthread_mutex_init(&jit->lock, NULL);
    jit->retired_end = &jit->retired;
    init_wake(jit);
    jit->page_max = config->pages ? config->pages : PAGES_MAX;
    jit->at_once = config->at_once;
    jit->patient = config->patient;
    jit->keep_guards = config->keep_guards;
    jit->heat_wanted = config->heat ? config->heat : HEAT;
    jit->view_blocks = config->view_blocks;
    jit->view_after = config->view_after ? config->view_after : VIEW_AFTER;
    jit->lift = malloc(sizeof(*jit->lift));
    l.redirects = config->regions;
    if (config->limited)
        l.limit = offsetof(struct hart, jit.limit);
    jit->backend = jit_backend_create(&l, &jit_engine, code_size);
    if (!jit->backend || !jit->lift || (config->regions && !jit_tier_init(jit)) ||
        !jit_code_init(jit, code_size, config->segments ? config->segments : SEGMENTS)) {
        jit_destroy(jit);
        return NULL;
    }
    return jit;
}

void jit_destroy(struct jit *jit)
{
    if (!jit)
        return;
    ASSERT(!jit->harts);
    jit_tier_fini(jit);
    jit_drop_all(jit);
    jit_collect(jit);
    ASSERT(!jit->retired);
    free(jit->span);
    free(jit->targets);
    for (u32 i = 0; i < JIT_TIERS; i++)
        jit_compiler_destroy(jit->tier[i].compiler);
    free(jit->lift);
    jit_backend_destroy(jit->backend);
    pthread_cond_destroy(&jit->wake);
    pthread_mutex_destroy(&jit->lock);
    free(jit);
}

bool jit_attach(struct jit *jit, struct hart *hart)
{
    struct jit_hart *h = calloc(1, sizeof(*h));

    if (!h)
        return false;
    h->jit = jit;
    h->hart = hart;
    atomic_init(&h->ack, UINT64_MAX);
    pthread_mutex_lock(&jit->lock);
    h->next = jit->harts;
    jit->harts = h;
    pthread_mutex_unlock(&jit->lock);
    hart->jit.engine = h;
    if (jit->work || jit->view_blocks)
        jit_views_create(h);
    return true;
}

bool jit_attach_alone(struct hart *hart, const struct jit_config *config)
{
    struct jit *jit = jit_create(config);

    if (!jit)
        return false;
    if (!jit_attach(jit, hart)) {
        jit_destroy(jit);
        return false;
    }
    hart->jit.engine->alone = true;
    return true;
}

void jit_detach(struct hart *hart)
{
    struct jit_hart *h = hart->jit.engine, **at;

    if (!h)
        return;
    jit_tier_stop(h->jit);
    pthread_mutex_lock(&h->jit->lock);
    for (at = &h->jit->harts; *at != h; at = &(*at)->next)
        ;
    *at = h->next;
    pthread_mutex_unlock(&h->jit->lock);
    if (h->alone)
        jit_destroy(h->jit);
    jit_views_destroy(h);
    free(h);
    hart->jit.engine = NULL;
}

void jit_stats_read(struct jit *jit, struct jit_stats *stats)
{
    pthread_mutex_lock(&jit->lock);
    *stats = jit->stats;
    pthread_mutex_unlock(&jit->lock);
}

void jit_stats_of(const struct hart *hart, struct jit_stats *stats)
{
    jit_stats_read(hart->jit.engine->jit, stats);
}
