/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The second tier: finds what is executed much and compiles it again as regions.
 *
 * Theory of operation. Nothing is counted in the code. A worker thread asks the harts that run
 * where they are (ATTN_ENGINE), every so often; a hart notes the place where it leaves translated
 * code for that, which is the target of a backward or indirect jump. A place that was met a few
 * times in a block of the first tier is a job for the worker: it copies its page and others that
 * the code goes on in, compiles a region without holding any lock, and installs it if none of the
 * pages has been dropped meanwhile. Which others the hart looked up when it found the place. Blocks
 * of the region's entries are redirected to it in place, so jumps that were chained to them lead
 * there, too. The worker asks rarely while harts run in regions already, and hardly ever while all
 * sleep, until one of them runs for a while again.
 */
#include "exec/jit_impl.h"

#include "base/endian.h"
#include "ir/flow.h"
#include "ir/rows.h"
#include "rv/region.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MS          UINT64_C(1000000) /* in nanoseconds */
#define ASK_OFTEN   (MS / 4)
#define ASK_RARELY  (5 * MS)
#define ASK_ASLEEP  (50 * MS)
#define ASK_RESTING (1000 * MS)
#define REST_ROUNDS 8   /* asleep, after which nothing more is expected to be translated */
#define RESTLESS    512 /* exits in one stretch, for which the worker shall not rest */
#define COLD_ROUNDS 40  /* without a block being met, after which the worker asks rarely */

_Static_assert(REGION_ENTRIES_MAX <= JIT_ENTRIES_MAX, "a back end takes them all");

/* What a region is made of, and with. */
struct region_work {
    struct region region;
    struct ir_rows rows;
    struct ir_flow flow;
    struct region_map map, scout; /* scout: for jit_span_scout */
    struct job job;
    u8 bytes[REGION_PAGES][PAGE_SIZE];   /* of the job's page and of the others */
    struct jit_page *page[REGION_PAGES]; /* the same */
    u64 apart[LIFT_REGION_MAX / 64];     /* bit n: instruction n's accesses stay alone */
    struct jit_span *span;               /* NULL: it keeps to one page */
    const struct isa *isa;
    struct jit_entry entry[JIT_ENTRIES_MAX];
    struct jit_jump jump[REGION_JUMPS_MAX];
    u32 start; /* of the code, */
    u32 size;
    u64 began;
};

bool jit_tier_init(struct jit *jit)
{
    jit->work = calloc(1, sizeof(*jit->work));
    jit->span = calloc(SPANS_MAX, sizeof(*jit->span));
    return jit->work && jit->span && jit_targets_init(jit);
}

/* ---- making one ---- */

static struct jit_page *find_page(struct jit *jit, gpa_t gpa, u32 name)
{
    struct jit_page *page = jit_page_find(jit, gpa);

    return page && page->name == name ? page : NULL;
}

/* The pages of the job; false: one is not there any more. Under the lock. */
static bool find_pages(struct jit *jit)
{
    struct region_work *w = jit->work;
    bool found = true;

    for (u32 n = 0; n <= w->job.away_count; n++) {
        w->page[n] = n ? find_page(jit, w->job.away[n - 1].gpa, w->job.away[n - 1].name)
                       : find_page(jit, w->job.gpa, w->job.page);
        found &= w->page[n] != NULL;
    }
    return found;
}

/* A page's number in the job; REGION_PAGES: it is none of them. */
static u32 number_at(const struct job *job, s32 at)
{
    u32 n = 0;

    if (!at)
        return 0;
    while (n < job->away_count && job->away[n].at != at)
        n++;
    return n == job->away_count ? REGION_PAGES : n + 1;
}

static s32 page_of(s32 offset)
{
    return offset & ~(s32)(PAGE_SIZE - 1);
}

static const u8 *bytes_away(void *ctx, s32 target)
{
    const struct jit *jit = ctx;
    const struct region_work *w = jit->work;
    u32 n = number_at(&w->job, page_of(target));

    return n < REGION_PAGES && jit_span_wants(jit, w->page[n], target) ? w->bytes[n] : NULL;
}

static u32 targets_of(void *ctx, s32 offset, const s32 **to)
{
    const struct jit *jit = ctx;
    const struct region_work *w = jit->work;
    u32 n = number_at(&w->job, page_of(offset));

    return n < REGION_PAGES
               ? jit_targets_of(jit, w->page[n]->name, (u32)(offset - page_of(offset)), to)
               : 0;
}

static void copy(u8 *to, const u8 *from)
{
    for (u32 i = 0; i < PAGE_SIZE; i += 8) {
        u64 v = __atomic_load_n((const u64 *)(const void *)(from + i), __ATOMIC_RELAXED);
        memcpy(to + i, &v, 8);
    }
}

/* Describes it as one that there is. */
static struct jit_held held(const struct region_work *w)
{
    struct jit_held held = {.span = w->span,
                            .code = w->start,
                            .size = w->size,
                            .sites = w->job.sites,
                            .view = w->job.view,
                            .seed_count = w->map.seed_count};
    u32 n = 0;

    while (w->map.page[n].at)
        n++;
    memcpy(held.starts, w->map.page[n].starts, sizeof(held.starts));
    memcpy(held.seed, w->map.seed, sizeof(held.seed));
    return held;
}

static void discover(struct region_work *w, const struct region_away *away)
{
    struct jit_held new;

    region_discover(&w->map, w->isa, w->bytes[0], w->job.seed[0], away);
    for (u32 i = 1; i < w->job.seed_count; i++)
        region_extend(&w->map, w->isa, w->job.seed[i], away);
    new = held(w);
    jit_held_merge(w->page[0], &new);
    for (u32 i = w->job.seed_count; i < new.seed_count; i++)
        region_extend(&w->map, w->isa, new.seed[i], away);
    w->job.sites = new.sites;
    w->job.view = new.view;
}

/* Takes the pages' bytes as blocks see them, and what of them shall be compiled. False: they are
 * not there any more. Under the lock. */
static bool take(struct jit *jit, const struct job *job)
{
    struct region_work *w = jit->work;
    const struct region_away away = {bytes_away, targets_of, jit};
    const struct region_away alone = {NULL, targets_of, jit};

    w->job = *job;
    w->began = jit_now_ns();
    if (!jit->harts || !find_pages(jit))
        return false;
    for (u32 n = 0; n <= job->away_count; n++)
        copy(w->bytes[n], w->page[n]->bytes);
    w->isa = &jit->harts->hart->isa;
    discover(w, &away);
    w->span = w->map.page_count > 1 ? jit_span_claim(jit) : NULL;
    if (w->map.page_count > 1 && !w->span)
        discover(w, &alone);
    return true;
}

static void find_apart(struct jit *jit)
{
    struct region_work *w = jit->work;
    const struct lift *l = &w->region.lift;

    memset(w->apart, 0, sizeof(w->apart));
    for (u32 i = 0; i < l->count; i++) {
        s32 offset = l->where[i] & ~LIFT_SHORT;
        u32 n = number_at(&w->job, page_of(offset));
        gpa_t gpa = n ? w->job.away[n - 1].gpa : w->job.gpa;
        if (jit_is_apart(jit, gpa + (u32)(offset - page_of(offset))))
            w->apart[i / 64] |= BIT(i % 64);
    }
}

/* False: it cannot be had. */
static bool build(struct jit *jit)
{
    struct region_work *w = jit->work;

    if (!region_lift(&w->region, w->isa, &w->map) || !w->region.entry_count)
        return false;
    find_apart(jit);
    ir_forward(&w->flow, ir_rows(&w->rows, &w->region.lift.ir, w->apart));
    ir_choose(&w->flow);
    if (!w->job.view) /* by a view an access costs less than its part of a guard */
        ir_guard(&w->flow, w->apart);
    ir_prune(&w->flow);
    if (w->job.view)
        ir_view(&w->flow.out, w->apart);
    return true;
}

/* False: the segment is full. */
static bool compile(struct jit *jit)
{
    struct jit_compiler *compiler = jit->tier[JIT_TIER_REGION].compiler;
    struct region_work *w = jit->work;
    const struct lift *lift = &w->region.lift;

    for (u32 i = 0; i < w->region.entry_count; i++)
        w->entry[i].offset = w->region.entry[i];
    for (u32 i = 0; i < w->map.jump_count; i++)
        w->jump[i] = (struct jit_jump){w->map.jump[i].from, w->map.jump[i].to};
    jit_compiler_expect(compiler, w->jump, w->map.jump_count);
    w->start = jit_compiler_at(compiler);
    if (!jit_backend_compile_region(compiler, &w->flow.out, lift->where, w->job.page,
                                    w->job.sites ? w->job.mode : JIT_NO_SITES,
                                    jit_span_index(jit, w->span), w->entry, w->region.entry_count))
        return false;
    w->size = jit_compiler_at(compiler) - w->start;
    return true;
}

/* Does another region have the place already? One with sites or by the view is better than most. */
static bool is_taken(const struct jit *jit, u32 old, s32 offset)
{
    const struct region_work *w = jit->work;

    return old && jit_tier_of(jit, old) == JIT_TIER_REGION && !w->job.sites && !w->job.view &&
           offset != (s32)w->job.offset && !jit_held_is_replaced(w->page[0], old);
}

/* What code there is, it leads to the region from now on. */
static bool install_entry(struct jit *jit, const struct jit_entry *entry)
{
    struct region_work *w = jit->work;
    struct jit_page *page = w->page[number_at(&w->job, page_of(entry->offset))];
    u32 key = (u32)(entry->offset - page_of(entry->offset));
    u32 old = jit_entry_find(page, key), before = jit_entry_forgotten(page, key);

    if (is_taken(jit, old, entry->offset))
        return true;
    if (!jit_entry_set(jit, page, key, entry->code))
        return false;
    if (w->span)
        w->span->entry[w->span->entry_count++] = *entry;
    if (before)
        jit_backend_redirect(jit->backend, before, entry->code);
    if (old)
        jit_backend_redirect(jit->backend, old, entry->code);
    jit_heat_settled(jit, page, key, &w->job);
    return true;
}

static void note_region(struct jit *jit)
{
    const struct region_work *w = jit->work;
    const struct jit_translation t = {
        .tier = 2,
        .gpa = w->job.gpa + w->job.offset,
        .pc = w->job.pc,
        .priv = w->job.priv,
        .guest_bytes = w->map.insns * 4, /* about */
        .guest_insns = w->region.lift.count,
        .host = jit_backend_address(jit->backend, w->start),
        .host_bytes = w->size,
    };

    jit_translated(jit, &t, jit_now_ns() - w->began);
}

/* It came to nothing. */
static void give_up(struct jit *jit)
{
    if (jit->work->span)
        jit_span_free(jit, jit->work->span);
    jit->stats.refusals++;
}

/*
 * Stores to what was lifted count from now on. False: they have come before. A step is 64 bytes, of
 * which an instruction may go on in the next.
 */
static bool mark(struct jit *jit, const struct region_page *lifted)
{
    const struct region_work *w = jit->work;
    const struct jit_page *page = w->page[number_at(&w->job, lifted->at)];

    for (u32 at = 0; at < PAGE_SIZE; at += 64) {
        u32 len = at + 66 <= PAGE_SIZE ? 66 : 64;
        if (!(lifted->starts[at / 128] >> (at / 2 % 64) & UINT32_MAX))
            continue;
        jit_page_mark(jit, page, at, len);
        for (u32 i = at; i < at + len; i += 2) {
            const u16 *now = (const void *)(page->bytes + i);
            if (__atomic_load_n(now, __ATOMIC_RELAXED) != le16_load(lifted->bytes + i))
                return false;
        }
    }
    return true;
}

/* False: it is not to be any more. */
static bool is_current(struct jit *jit)
{
    const struct region_work *w = jit->work;
    bool is = find_pages(jit);

    for (u32 i = 0; is && i < w->map.page_count; i++)
        is = mark(jit, &w->map.page[i]);
    return is;
}

/* The first page comes first in its span. */
static void join_pages(struct jit *jit)
{
    const struct region_work *w = jit->work;

    for (u32 n = 0; n <= w->job.away_count; n++) {
        for (u32 i = 0; i < w->map.page_count; i++) {
            if (number_at(&w->job, w->map.page[i].at) != n)
                continue;
            w->page[n]->segments |= 1u << jit->tier[JIT_TIER_REGION].segment;
            if (w->span)
                jit_span_add_page(w->span, w->page[n], w->map.page[i].at);
        }
    }
}

/* Under the lock. */
static void install(struct jit *jit)
{
    struct region_work *w = jit->work;
    const struct jit_held new = held(w);

    if (!is_current(jit)) {
        give_up(jit);
        return;
    }
    join_pages(jit);
    jit_held_replace(w->page[0], &new);
    for (u32 i = 0; i < w->region.entry_count; i++) {
        if (!install_entry(jit, &w->entry[i]))
            break;
    }
    jit->stats.replaced += jit_held_forget_replaced(w->page[0]);
    jit_held_add(w->page[0], &new);
    jit->stats.wide += w->span != NULL;
    note_region(jit);
    jit_look_ahead(jit, JIT_TIER_REGION);
}

/* Takes over what another region was made from that has the place. False: this has come to an end.
 */
static bool inherit(const struct jit *jit, struct job *job, const struct jit_held *from)
{
    u32 n = 0;

    while (n < from->seed_count && from->seed[n] != job->offset)
        n++;
    if (n == REGION_SEEDS_MAX)
        return jit->at_once || (job->sites && !from->sites) || (job->view && !from->view);
    memcpy(job->seed, from->seed, sizeof(job->seed));
    job->seed[n] = (u16)job->offset;
    job->seed_count = n == from->seed_count ? n + 1 : from->seed_count;
    job->sites |= from->sites;
    job->view |= from->view;
    return true;
}

/* What shall be made for a place that the hart is at; false: nothing. */
static bool plan(struct jit_hart *h, const struct jit_page *page, u32 offset, bool sites,
                 struct job *job)
{
    const struct jit_held *other = jit_held_at(page, offset);

    *job = (struct job){page->gpa,       h->hart->pc,
                        h->hart->priv,   h->hart->site_mode,
                        page->name,      offset,
                        .sites = sites,  .view = jit_view_wanted(h, sites),
                        .seed_count = 1, .seed = {(u16)offset}};
    if (other && !inherit(h->jit, job, other))
        return false;
    jit_span_scout(h, page, job, &h->jit->work->scout);
    return true;
}

void jit_region_now(struct jit_hart *h, const struct jit_page *page, u32 offset)
{
    struct jit *jit = h->jit;
    struct job job;

    if (!plan(h, page, offset, true, &job))
        return;
    if (!take(jit, &job)) {
        jit->stats.refusals++;
        return;
    }
    if (build(jit) && (compile(jit) || (jit_next_segment(jit, JIT_TIER_REGION) && compile(jit))))
        install(jit);
    else
        give_up(jit);
}

void jit_add_job(struct jit_hart *h, const struct jit_page *page, u32 offset, bool sites)
{
    struct jit *jit = h->jit;

    jit->job_count += plan(h, page, offset, sites, &jit->job[jit->job_count]);
}

/* ---- finding them ---- */

/* Asks harts that run where they are; false: there are none. */
static bool ask(struct jit *jit)
{
    bool any = false;

    for (struct jit_hart *h = jit->harts; h; h = h->next) {
        if (atomic_load_explicit(&h->ack, memory_order_relaxed) == UINT64_MAX)
            continue;
        any = true;
        atomic_store_explicit(&h->asked, 1, memory_order_relaxed);
        hart_attention(h->hart, ATTN_ENGINE);
    }
    return any;
}

/* Does the job that is in the way the longest; the lock is not held while it compiles. */
static void do_job(struct jit *jit)
{
    struct job job = jit->job[0];
    bool built, room, done = false;

    memmove(&jit->job[0], &jit->job[1], --jit->job_count * sizeof(job));
    if (!take(jit, &job))
        return;
    pthread_mutex_unlock(&jit->lock);
    built = build(jit);
    done = built && compile(jit);
    pthread_mutex_lock(&jit->lock);
    if (built && !done) {
        room = jit_next_segment(jit, JIT_TIER_REGION);
        pthread_mutex_unlock(&jit->lock);
        done = room && compile(jit);
        pthread_mutex_lock(&jit->lock);
    }
    if (done)
        install(jit);
    else
        give_up(jit);
}

static void sleep_until_asked(struct jit *jit, u64 ns)
{
    struct timespec until;
    u64 end = jit_now_ns() + ns;

    until.tv_sec = (time_t)(end / 1000000000);
    until.tv_nsec = (long)(end % 1000000000);
    pthread_cond_timedwait(&jit->wake, &jit->lock, &until);
}

void jit_rouse(struct jit_hart *h)
{
    struct jit *jit = h->jit;

    if (++h->exits < RESTLESS)
        return;
    h->exits = 0;
    pthread_mutex_lock(&jit->lock);
    atomic_store_explicit(&jit->rests, false, memory_order_relaxed);
    pthread_cond_signal(&jit->wake);
    pthread_mutex_unlock(&jit->lock);
}

/* How long until harts are asked again; asleep: rounds without one that runs. */
static u64 interval(struct jit *jit, u32 cold, u32 asleep)
{
    bool rests = asleep >= REST_ROUNDS;

    if (asleep == REST_ROUNDS)
        jit_backend_rest(jit->backend);
    atomic_store_explicit(&jit->rests, rests, memory_order_relaxed);
    if (asleep)
        return rests ? ASK_RESTING : ASK_ASLEEP;
    return cold == COLD_ROUNDS ? ASK_RARELY : ASK_OFTEN;
}

static void *work(void *arg)
{
    struct jit *jit = arg;
    u32 cold = 0, asleep = 0;

    if (jit->began)
        jit->began(jit->began_ctx, true);
    pthread_mutex_lock(&jit->lock);
    while (!jit->quit) {
        bool awake;
        while (jit->job_count && !jit->quit)
            do_job(jit);
        cold = jit->found_cold ? 0 : cold + (cold < COLD_ROUNDS);
        jit->found_cold = false;
        awake = ask(jit);
        asleep = awake ? 0 : asleep + (asleep <= REST_ROUNDS);
        sleep_until_asked(jit, interval(jit, cold, asleep));
    }
    pthread_mutex_unlock(&jit->lock);
    return NULL;
}

int jit_start(struct jit *jit, void (*began)(void *ctx, bool translates), void *ctx)
{
    int r;

    if (!jit->work || jit->at_once || jit->has_worker)
        return 0;
    jit->began = began;
    jit->began_ctx = ctx;
    r = pthread_create(&jit->worker, NULL, work, jit);
    jit->has_worker = !r;
    return r;
}

void jit_tier_stop(struct jit *jit)
{
    if (!jit->has_worker)
        return;
    pthread_mutex_lock(&jit->lock);
    jit->quit = true;
    pthread_cond_signal(&jit->wake);
    pthread_mutex_unlock(&jit->lock);
    pthread_join(jit->worker, NULL);
    jit->has_worker = false;
}

void jit_tier_fini(struct jit *jit)
{
    jit_tier_stop(jit);
    free(jit->work);
    jit->work = NULL;
}
