/* SPDX-License-Identifier: BSD-2-Clause */
/* Which guest pages hold decoded code; the theory of operation is in the header. */
#include "rv/code_map.h"

/* The word of a page: epoch | generation | CODE. */
#define CODE      BIT(0)
#define GEN_SHIFT 1
#define GEN_BITS  27
#define GEN_MASK  GENMASK(GEN_SHIFT + GEN_BITS - 1, GEN_SHIFT)

#define EPOCH_SHIFT (GEN_SHIFT + GEN_BITS)
#define EPOCH_NONE  (UINT64_MAX >> EPOCH_SHIFT) /* greater than any that a hart acknowledges */

/* Its marks: one a granule | stores beside them, one in SAMPLE counts | generation. */
#define GRANULE         (PAGE_SIZE / 32)
#define MARKS_MASK      GENMASK(31, 0)
#define BESIDE_ONE      BIT(32)
#define BESIDE_MASK     GENMASK(36, 32)
#define MARKS_GEN_SHIFT 36 /* of a word's generation, which begins at bit 1 */
#define MARKS_GEN_MASK  GENMASK(63, 37)
#define SAMPLE          32

/* A word of what was protected or changed recently: epoch or number, from EPOCH_SHIFT on | page. */

static struct code_map_page *page_of(struct code_map *map, gpa_t gpa)
{
    u64 page = (gpa - map->base) >> PAGE_SHIFT;

    return gpa >= map->base && page < map->pages ? &map->state[page] : NULL;
}

static _Atomic u64 *word_of(struct code_map *map, gpa_t gpa)
{
    struct code_map_page *page = page_of(map, gpa);

    return page ? &page->word : NULL;
}

static void remember(_Atomic u64 *recent, u64 n, u64 page)
{
    if (!(page >> EPOCH_SHIFT))
        atomic_store_explicit(&recent[n % CODE_MAP_RECENT], n << EPOCH_SHIFT | page,
                              memory_order_seq_cst);
}

static bool recall(const struct code_map *map, const _Atomic u64 *recent, u64 n, gpa_t *gpa)
{
    u64 seen = atomic_load_explicit(&recent[n % CODE_MAP_RECENT], memory_order_seq_cst);

    *gpa = map->base + ((seen & (BIT(EPOCH_SHIFT) - 1)) << PAGE_SHIFT);
    return seen >> EPOCH_SHIFT == n;
}

static u64 least_ack(const struct hart *self, bool others_only)
{
    const struct hart_env *env = self->env;
    u64 least = UINT64_MAX;

    for (u32 i = 0; i < env->hart_count; i++) {
        struct hart *other = env->harts[i];
        u64 ack;
        if (others_only && other == self)
            continue;
        /* Pairs with the store in mem_attend_protect, after which it looks for flags. */
        ack = atomic_load_explicit(&other->code_ack, memory_order_seq_cst);
        if (ack < least)
            least = ack;
    }
    return least;
}

static void ask_others(const struct hart *self)
{
    const struct hart_env *env = self->env;

    for (u32 i = 0; i < env->hart_count; i++) {
        if (env->harts[i] != self)
            hart_attention(env->harts[i], ATTN_PROTECT);
    }
}

/*
 * Dates the page whose flag was just set; returns its word. A store may have taken the flag away
 * meanwhile: then it is to be set anew.
 */
static u64 begin_epoch(struct code_map *map, const struct hart *self, gpa_t gpa, u64 old)
{
    _Atomic u64 *word = word_of(map, gpa);
    u64 epoch = atomic_fetch_add_explicit(&map->epoch, 1, memory_order_seq_cst) + 1;
    u64 new = epoch << EPOCH_SHIFT | (old & (GEN_MASK | CODE));
    bool dated = atomic_compare_exchange_strong_explicit(word, &old, new, memory_order_seq_cst,
                                                         memory_order_seq_cst);

    /* Who looks before it is there finds an older epoch, and looks at all flags. */
    remember(map->recent, epoch, (gpa - map->base) >> PAGE_SHIFT);
    ask_others(self);
    return dated ? new : old;
}

u64 code_map_protect(struct code_map *map, struct hart *self, gpa_t gpa, bool *trusted)
{
    _Atomic u64 *word = word_of(map, gpa);
    u64 old;

    *trusted = true;
    if (!word)
        return 0;
    old = atomic_load_explicit(word, memory_order_seq_cst);
    while (!(old & CODE)) {
        u64 new = EPOCH_NONE << EPOCH_SHIFT | (old & GEN_MASK) | CODE;
        if (atomic_compare_exchange_strong_explicit(word, &old, new, memory_order_seq_cst,
                                                    memory_order_seq_cst))
            old = begin_epoch(map, self, gpa, new);
    }
    *trusted = least_ack(self, true) >= old >> EPOCH_SHIFT;
    return old;
}

bool code_map_protected_at(struct code_map *map, u64 epoch, gpa_t *gpa)
{
    return recall(map, map->recent, epoch, gpa);
}

bool code_map_is_protected(const struct hart *self, u64 word)
{
    return least_ack(self, false) >= word >> EPOCH_SHIFT;
}

bool code_map_changed_at(struct code_map *map, u64 n, gpa_t *gpa)
{
    return recall(map, map->changed, n, gpa);
}

bool code_map_changed(struct code_map *map, gpa_t gpa, u64 word)
{
    _Atomic u64 *now = word_of(map, gpa);

    return now && ((atomic_load_explicit(now, memory_order_seq_cst) ^ word) & GEN_MASK);
}

bool code_map_is_code(struct code_map *map, gpa_t gpa)
{
    _Atomic u64 *word = word_of(map, gpa);

    return word && (atomic_load_explicit(word, memory_order_seq_cst) & CODE);
}

/* The granules of a page that [gpa, gpa + len) touches, len not 0; of the first page. */
static u64 granules(gpa_t gpa, u64 len)
{
    u64 first = (gpa & ~PAGE_MASK) / GRANULE, last = ((gpa & ~PAGE_MASK) + len - 1) / GRANULE;

    return GENMASK(last < 31 ? last : 31, first);
}

void code_map_mark(struct code_map *map, gpa_t gpa, u64 len, u64 word)
{
    struct code_map_page *page = page_of(map, gpa);
    u64 mine = (word & GEN_MASK) << MARKS_GEN_SHIFT, bits = granules(gpa, len), old, new;

    if (!page)
        return;
    old = atomic_load_explicit(&page->marks, memory_order_relaxed);
    do {
        if ((old & MARKS_GEN_MASK) == mine && (old & bits) == bits)
            break;
        /* If the generation has moved the caller will drop all that it decodes. */
        if ((atomic_load_explicit(&page->word, memory_order_seq_cst) ^ word) & GEN_MASK)
            return;
        new = bits | mine | ((old & MARKS_GEN_MASK) == mine ? old & ~MARKS_GEN_MASK : 0);
    } while (!atomic_compare_exchange_weak_explicit(&page->marks, &old, new, memory_order_seq_cst,
                                                    memory_order_seq_cst));
    /* Pairs with the fence in code_map_written. */
    atomic_thread_fence(memory_order_seq_cst);
}

/* Is this store, of which the page has been told by word, to be taken as one to code? */
static bool is_hit(struct code_map *map, struct code_map_page *page, u64 word, u64 bits)
{
    u64 marks = atomic_load_explicit(&page->marks, memory_order_seq_cst);
    u64 beside = marks & BESIDE_MASK;

    if ((marks & MARKS_GEN_MASK) != (word & GEN_MASK) << MARKS_GEN_SHIFT)
        return false;
    if ((marks & bits) || beside == BESIDE_MASK)
        return true;
    if (atomic_fetch_add_explicit(&map->beside, 1, memory_order_relaxed) % SAMPLE)
        return false;
    /* It may fail: then the count is one less than it should be. */
    atomic_compare_exchange_weak_explicit(&page->marks, &marks, marks + BESIDE_ONE,
                                          memory_order_seq_cst, memory_order_seq_cst);
    return false;
}

static void page_written(struct code_map *map, gpa_t gpa, u64 bits)
{
    struct code_map_page *page = page_of(map, gpa);
    u64 old = atomic_load_explicit(&page->word, memory_order_seq_cst), n;

    while ((old & CODE) && is_hit(map, page, old, bits)) {
        u64 new = ((old + BIT(GEN_SHIFT)) & GEN_MASK) | (old & ~(GEN_MASK | CODE));
        if (atomic_compare_exchange_weak_explicit(&page->word, &old, new, memory_order_seq_cst,
                                                  memory_order_seq_cst)) {
            n = atomic_fetch_add_explicit(&map->writes, 1, memory_order_seq_cst) + 1;
            remember(map->changed, n, (gpa - map->base) >> PAGE_SHIFT);
            return;
        }
    }
}

void code_map_written(struct code_map *map, gpa_t gpa, u64 len)
{
    gpa_t end = gpa + len;

    /* The bytes must be there before anybody looks whether they matter. */
    atomic_thread_fence(memory_order_seq_cst);
    while (gpa < end && page_of(map, gpa)) {
        gpa_t next = align_down(gpa, PAGE_SIZE) + PAGE_SIZE;
        page_written(map, gpa, granules(gpa, end - gpa));
        gpa = next;
    }
}
