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

/* A word of the recent protections: epoch, from EPOCH_SHIFT on | page. */

static _Atomic u64 *word_of(struct code_map *map, gpa_t gpa)
{
    u64 page = (gpa - map->base) >> PAGE_SHIFT;

    return gpa >= map->base && page < map->pages ? &map->state[page] : NULL;
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
static u64 begin_epoch(struct code_map *map, const struct hart *self, _Atomic u64 *word, u64 old)
{
    u64 page = (u64)(word - map->state);
    u64 epoch = atomic_fetch_add_explicit(&map->epoch, 1, memory_order_seq_cst) + 1;
    u64 new = epoch << EPOCH_SHIFT | (old & (GEN_MASK | CODE));
    bool dated = atomic_compare_exchange_strong_explicit(word, &old, new, memory_order_seq_cst,
                                                         memory_order_seq_cst);

    /* Who looks before it is there finds an older epoch, and looks at all flags. */
    if (!(page >> EPOCH_SHIFT))
        atomic_store_explicit(&map->recent[epoch % CODE_MAP_RECENT], epoch << EPOCH_SHIFT | page,
                              memory_order_seq_cst);
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
            old = begin_epoch(map, self, word, new);
    }
    *trusted = least_ack(self, true) >= old >> EPOCH_SHIFT;
    return old;
}

bool code_map_protected_at(struct code_map *map, u64 epoch, gpa_t *gpa)
{
    u64 recent = atomic_load_explicit(&map->recent[epoch % CODE_MAP_RECENT], memory_order_seq_cst);

    *gpa = map->base + ((recent & (BIT(EPOCH_SHIFT) - 1)) << PAGE_SHIFT);
    return recent >> EPOCH_SHIFT == epoch;
}

bool code_map_is_protected(const struct hart *self, u64 word)
{
    return least_ack(self, false) >= word >> EPOCH_SHIFT;
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

static void page_written(struct code_map *map, _Atomic u64 *word)
{
    u64 old = atomic_load_explicit(word, memory_order_seq_cst);

    while (old & CODE) {
        u64 new = ((old + BIT(GEN_SHIFT)) & GEN_MASK) | (old & ~(GEN_MASK | CODE));
        if (atomic_compare_exchange_weak_explicit(word, &old, new, memory_order_seq_cst,
                                                  memory_order_seq_cst)) {
            atomic_fetch_add_explicit(&map->writes, 1, memory_order_seq_cst);
            return;
        }
    }
}

void code_map_written(struct code_map *map, gpa_t gpa, u64 len)
{
    gpa_t page = align_down(gpa, PAGE_SIZE);

    /* The bytes must be there before the generation moves. */
    atomic_thread_fence(memory_order_seq_cst);
    for (; len && page - map->base < map->pages << PAGE_SHIFT && page < gpa + len;
         page += PAGE_SIZE) {
        _Atomic u64 *word = word_of(map, page);
        if (word)
            page_written(map, word);
    }
}
