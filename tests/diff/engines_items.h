/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files that emit items share. */
#ifndef COSM_TESTS_ENGINES_ITEMS_H
#define COSM_TESTS_ENGINES_ITEMS_H

#include "tests/diff/engines.h"

static inline u64 rnd(struct text *t, u64 below)
{
    return engines_rnd(&t->rng, below);
}

static inline u32 free_reg(struct text *t)
{
    u32 reg;

    do
        reg = engines_free_reg(&t->rng);
    while (t->kept >> reg & 1);
    return reg;
}

static inline u32 other_free_reg(struct text *t, u32 than)
{
    u32 reg;

    do
        reg = free_reg(t);
    while (reg == than);
    return reg;
}

static inline s64 distance(const struct text *t, u32 to)
{
    return (s64)t->program->offset[to] - (s64)t->at;
}

static inline u32 counter_of(u32 level)
{
    return level == LOOP_FN ? REG_LOOP_FN : REG_LOOP + level;
}

/* Item `at`, if it is one of theirs; engines_flow.c: jumps, calls, loops, code that changes;
 * engines_system.c: interrupts, translation, modes, CSRs. */
bool engines_emit_flow(struct text *t, const struct program *p, u32 at);
bool engines_emit_system(struct text *t, const struct program *p, u32 at);
void engines_emit_rows(struct text *t); /* engines_rows.c */

#endif
