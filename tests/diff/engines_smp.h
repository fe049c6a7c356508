/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random programs of several harts that share code and rewrite it under each other's hands, by the
 * rules: what they compute does not depend on who runs when.
 *
 * A program goes in rounds, with a barrier after each. In a round, a function in the shared pages
 * is either run, by any harts, or changed by one hart: an instruction, all of it, or the mapping of
 * its pages. Before a hart runs what others changed, it fences itself, or who changed it made all
 * fence, by an interrupt or through the platform. Meanwhile the others run and change the functions
 * beside it, and data between them.
 */
#ifndef COSM_TESTS_ENGINES_SMP_H
#define COSM_TESTS_ENGINES_SMP_H

#include "tests/diff/engines.h"

#define SMP_HARTS     4
#define SMP_FUNCTIONS 16
#define SMP_REGIONS   2
#define SMP_ACTIONS   2000
#define SMP_SLOTS     24
#define SMP_VARIANTS  4

/* In pages of RAM, which is as large as for engines.h. */
#define SMP_PAGE_START   0 /* handler, barrier */
#define SMP_PAGE_FLAGS   1
#define SMP_PAGE_COMM    2 /* what harts ask of each other, SMP_COMM bytes each */
#define SMP_PAGE_LOG     3 /* a word a round and hart */
#define SMP_PAGE_ROOT    4
#define SMP_PAGE_MIDDLE  5 /* of addresses from 0, 1 GiB and 2 GiB */
#define SMP_PAGE_LAST    8
#define SMP_PAGE_VARIANT 9
#define SMP_PAGE_SHARED  12 /* regions: each two pages, and two of a copy */
#define SMP_PAGE_DATA    20 /* four a hart */
#define SMP_PAGE_SCRIPT  36 /* seven a hart */
#define SMP_SCRIPT_PAGES 7
#define SMP_COMM         512
#define SMP_ALIAS        UINT64_C(0x40000000) /* RAM's first byte, by a superpage */

/* What ECALLs ask for, in REG_DEPTH. */
enum { SMP_END, SMP_FENCE_I, SMP_FENCE_VMA };

enum smp_kind {
    SMP_NONE,
    SMP_RUN,
    SMP_PATCH,
    SMP_REWRITE,
    SMP_POOL,
    SMP_REMAP,
    SMP_IPI,    /* all others fence, by an interrupt */
    SMP_REMOTE, /* the same through the platform; value: what */
    SMP_LOCAL,  /* value: what */
    SMP_BARRIER,
};

struct smp_action {
    enum smp_kind kind;
    u32 hart, round, function;
    u32 value; /* rounds; slot; variant; region */
    bool copy; /* of the region, that a change goes to */
    u64 seed;
};

struct smp_function {
    u32 region, offset; /* within it */
    u32 slots, rounds;
    u32 callee; /* SMP_FUNCTIONS: none */
};

struct smp_program {
    u64 seed;
    u32 harts, rounds, functions, count;
    bool translated;
    struct program plain; /* what instructions are drawn from */
    struct smp_function function[SMP_FUNCTIONS];
    struct smp_action action[SMP_ACTIONS];
    u64 script[SMP_HARTS]; /* where each begins, once built */
};

/* engines_smp_gen.c */
void smp_gen(struct smp_program *p, u64 seed, u32 harts);
bool smp_build(struct smp_program *p, u8 *image);

#endif
