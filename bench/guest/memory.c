/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory: copies large, of a page and misaligned, the triad of three streams, updates at random. */
#include "bench.h"

#define LARGE (64 << 20)

static void *from, *to;

/* All rows have the same two places; a page that a row does not use costs no time to obtain. */
static void buffers_setup(size_t from_used, size_t to_used)
{
    bench_buffer(&from, LARGE, from_used);
    bench_buffer(&to, LARGE, to_used);
}

/* A few places of what was written; all of it would cost more than the copy. */
static uint64_t sample(const void *data, size_t size)
{
    const uint8_t *byte = data;
    uint64_t sum = 0;

    for (size_t i = 0; i < 16; i++)
        sum = sum * 31 + byte[(size - 1) / 15 * i];
    return sum;
}

static void large_setup(void)
{
    buffers_setup(LARGE, LARGE);
}

static uint64_t copy_large(void)
{
    memcpy(to, from, LARGE);
    return sample(to, LARGE);
}

#define PAGES  16
#define SMALL  ((PAGES + 2) * 4096)
#define COPIES 64

static BENCH_NOINLINE void copy(uint8_t *a, const uint8_t *b, size_t size)
{
    memcpy(a, b, size);
}

static void small_setup(void)
{
    uint8_t *byte;

    buffers_setup(SMALL, SMALL);
    byte = from;
    for (int i = 0; i < SMALL; i++)
        byte[i] = (uint8_t)(i * 7 + i / 251);
}

static uint64_t copy_page(void)
{
    for (int i = 0; i < COPIES; i++) {
        size_t at = (size_t)(i % PAGES) * 4096;

        copy((uint8_t *)to + at, (const uint8_t *)from + at, 4096);
    }
    return sample(to, PAGES * 4096);
}

/* Not at nearly the same place of a page, where a PC takes its loads for loads of what it stores.
 */
#define MISALIGNED (2048 + 6)

static uint64_t copy_misaligned(void)
{
    for (int i = 0; i < COPIES; i++) {
        size_t at = (size_t)(i % PAGES) * 4096;

        copy((uint8_t *)to + at + 1, (const uint8_t *)from + at + MISALIGNED, 4096);
    }
    return sample((uint8_t *)to + 1, PAGES * 4096);
}

/*
 * Doubles: 16 MB an array, beyond the caches of most machines and what software TLBs reach. Not a
 * power of two, so that the three streams do not meet in one entry of a TLB all the way.
 */
#define TRIAD 2000000

static void triad_setup(void)
{
    double *b, *c;

    buffers_setup((size_t)TRIAD * 16, (size_t)TRIAD * 8);
    b = from;
    c = b + TRIAD;
    for (int i = 0; i < TRIAD; i++) {
        b[i] = i * 0.5;
        c[i] = i % 1000;
    }
}

static BENCH_NOINLINE void triad_run(double *a, const double *b, const double *c, double factor)
{
    for (int i = 0; i < TRIAD; i++)
        a[i] = b[i] + factor * c[i];
}

static uint64_t triad(void)
{
    const double *b = from;

    triad_run(to, b, b + TRIAD, 3);
    return sample(to, TRIAD * 8);
}

#define WORDS   (LARGE / 8)
#define UPDATES 50000

static void update_setup(void)
{
    uint64_t *word;

    buffers_setup(0, LARGE);
    word = to;
    for (uint64_t i = 0; i < WORDS; i++)
        word[i] = i;
}

/* Every update is made twice, which leaves the table as it was. */
static uint64_t update(void)
{
    uint64_t *word = to, sum = 0;

    for (int pass = 0; pass < 2; pass++) {
        uint64_t state = 88172645463325252;

        for (int i = 0; i < UPDATES; i++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            sum += word[state % WORDS] ^= state;
        }
    }
    return sum;
}

static const struct bench_row rows[] = {
    {"copy-large", "GB", LARGE * 1e-9, copy_large, large_setup, NULL},
    {"copy-page", "GB", COPIES * 4096 * 1e-9, copy_page, small_setup, NULL},
    {"copy-misaligned", "GB", COPIES * 4096 * 1e-9, copy_misaligned, small_setup, NULL},
    {"triad", "GB", TRIAD * 24 * 1e-9, triad, triad_setup, NULL},
    {"update", "Mupdates", 2 * UPDATES * 1e-6, update, update_setup, NULL},
};

BENCH_MAIN(rows)
