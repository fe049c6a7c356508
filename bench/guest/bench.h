/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the programs of the suite share: each has rows, a row repeats one piece of work whose result
 * is the same every time, and prints one line: "ROW: VALUE UNIT, checksum 0xXXXX".
 *
 * Usage of every program: PROGRAM TIME [ROW]..., where TIME is a number of milliseconds a row
 * (after a warm-up of a quarter of it), or "Nx" for N pieces; without a ROW all of them run.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BENCH_NOINLINE __attribute__((noinline))

/* Nothing is known of such a function where it is called, as if another file had it. */
#ifdef __clang__
#define BENCH_APART BENCH_NOINLINE
#else
#define BENCH_APART __attribute__((noipa))
#endif

struct bench_row {
    const char *name;
    const char *unit;
    double amount;           /* what one piece of work amounts to in the unit, without "a second" */
    uint64_t (*piece)(void); /* does it; returns what the work came to */
    void (*setup)(void);     /* before the first piece; or NULL */
    void (*finish)(void);    /* after the last; or NULL */
};

_Noreturn static inline void bench_die(const char *what)
{
    perror(what);
    exit(1);
}

static inline double bench_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline uint32_t bench_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* FNV-1a over bytes, to fold what a piece made into its checksum. */
static inline uint64_t bench_fold(uint64_t sum, const void *data, size_t size)
{
    const uint8_t *byte = data;

    for (size_t i = 0; i < size; i++)
        sum = (sum ^ byte[i]) * 0x100000001b3;
    return sum;
}

/* Eight digits of a number: compilers differ in where they fuse a product and a sum. */
static inline uint64_t bench_digits(uint64_t sum, double value)
{
    char text[32];
    int length = snprintf(text, sizeof text, "%.8g", value);

    return bench_fold(sum, text, (size_t)length);
}

/* Room for a row; what it uses of it is ones, and there before the clock runs. */
static inline void bench_buffer(void **buffer, size_t size, size_t used)
{
    if (!*buffer)
        *buffer = aligned_alloc(4096, size);
    if (!*buffer)
        bench_die("memory");
    memset(*buffer, 1, used);
}

static inline double bench_repeat(const struct bench_row *row, double seconds, uint64_t pieces,
                                  uint64_t expected)
{
    double start = bench_seconds(), now;
    uint64_t done = 0;

    do {
        if (row->piece() != expected) {
            fprintf(stderr, "%s: the same work came to something else\n", row->name);
            exit(1);
        }
        done++;
        now = bench_seconds();
    } while (pieces ? done < pieces : now - start < seconds);
    return row->amount * (double)done / (now - start);
}

static inline void bench_row_run(const struct bench_row *row, double seconds, uint64_t pieces)
{
    double warm = seconds / 4, rate, start;
    uint64_t expected;

    if (row->setup)
        row->setup();
    start = bench_seconds();
    expected = row->piece();
    warm -= bench_seconds() - start; /* a large piece is warm-up enough */
    if (!pieces && warm > 0)
        bench_repeat(row, warm, 0, expected);
    rate = bench_repeat(row, seconds, pieces, expected);
    if (row->finish)
        row->finish();
    printf("%s: %.6g %s/s, checksum 0x%llx\n", row->name, rate, row->unit,
           (unsigned long long)expected);
    fflush(stdout); /* a child of fork must not print it again */
}

static inline int bench_main(int argc, char **argv, const struct bench_row *rows, size_t count)
{
    char *end = "";
    unsigned long time = argc > 1 ? strtoul(argv[1], &end, 10) : 1000;
    uint64_t pieces = *end == 'x' ? (time ? time : 1) : 0;

    for (size_t i = 0; i < count; i++) {
        int wanted = argc <= 2;

        for (int a = 2; a < argc; a++)
            wanted |= strcmp(argv[a], rows[i].name) == 0;
        if (wanted)
            bench_row_run(&rows[i], (double)time * 1e-3, pieces);
    }
    return 0;
}

#define BENCH_MAIN(rows)                                                  \
    int main(int argc, char **argv)                                       \
    {                                                                     \
        return bench_main(argc, argv, rows, sizeof(rows) / sizeof *rows); \
    }

#endif
