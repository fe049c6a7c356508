/* SPDX-License-Identifier: BSD-2-Clause */
/* Floating point: bodies that attract each other, a matrix product, a mix in the manner of
 * Whetstone. */
#include <math.h>

#include "bench.h"

#define BODIES       5
#define NBODY_STEPS  1000
#define NBODY_SECOND 0.002

static struct body {
    double at[3], speed[3], mass;
} body[BODIES];

static void nbody_start(void)
{
    uint32_t state = 5;

    for (int i = 0; i < BODIES; i++) {
        for (int k = 0; k < 3; k++) {
            body[i].at[k] = i ? 4.0 * i + bench_random(&state) % 1000 * 1e-3 : 0;
            body[i].speed[k] = i ? (k - 1) * 2.5 / i + bench_random(&state) % 100 * 1e-3 : 0;
        }
        body[i].mass = i ? 0.01 / i : 39.5;
    }
}

static void nbody_pair(struct body *a, struct body *b, double time)
{
    double d[3], square = 0, pull;

    for (int k = 0; k < 3; k++) {
        d[k] = a->at[k] - b->at[k];
        square += d[k] * d[k];
    }
    pull = time / (square * sqrt(square));
    for (int k = 0; k < 3; k++) {
        a->speed[k] -= d[k] * b->mass * pull;
        b->speed[k] += d[k] * a->mass * pull;
    }
}

static uint64_t nbody(void)
{
    uint64_t sum = 0;

    nbody_start();
    for (int step = 0; step < NBODY_STEPS; step++) {
        for (int i = 0; i < BODIES; i++) {
            for (int j = i + 1; j < BODIES; j++)
                nbody_pair(&body[i], &body[j], NBODY_SECOND);
        }
        for (int i = 0; i < BODIES; i++) {
            for (int k = 0; k < 3; k++)
                body[i].at[k] += NBODY_SECOND * body[i].speed[k];
        }
    }
    for (int i = 0; i < BODIES; i++)
        sum = bench_digits(sum, body[i].at[0] + body[i].at[1]);
    return sum;
}

#define SIDE 64

static uint64_t matrix(void)
{
    static double a[SIDE][SIDE], b[SIDE][SIDE], c[SIDE][SIDE];
    double trace = 0;

    for (int i = 0; i < SIDE; i++) {
        for (int j = 0; j < SIDE; j++) {
            a[i][j] = (i * 7 + j) % 31 * 0.125;
            b[i][j] = (i + j * 5) % 29 * 0.3;
        }
    }
    for (int i = 0; i < SIDE; i++) {
        for (int j = 0; j < SIDE; j++) {
            double sum = 0;

            for (int k = 0; k < SIDE; k++)
                sum += a[i][k] * b[k][j];
            c[i][j] = sum;
        }
    }
    for (int i = 0; i < SIDE; i++)
        trace += c[i][(i * 3) % SIDE];
    return bench_digits(0, trace);
}

/* Series of our own, so that guest and host compute the same. */
static BENCH_NOINLINE double sine(double x)
{
    double square = x * x;

    return x * (1 - square / 6 * (1 - square / 20 * (1 - square / 42 * (1 - square / 72))));
}

static BENCH_NOINLINE double exponential(double x)
{
    return 1 + x * (1 + x / 2 * (1 + x / 3 * (1 + x / 4 * (1 + x / 5 * (1 + x / 6)))));
}

static BENCH_NOINLINE double arctangent(double x)
{
    double square = x * x;

    return x * (1 - square * (1.0 / 3 - square * (1.0 / 5 - square * (1.0 / 7 - square / 9))));
}

static BENCH_NOINLINE void mix(double *e, double t)
{
    for (int i = 0; i < 3; i++) {
        e[0] = (e[0] + e[1] + e[2] - e[3]) * t;
        e[1] = (e[0] + e[1] - e[2] + e[3]) * t;
        e[2] = (e[0] - e[1] + e[2] + e[3]) * t;
        e[3] = (-e[0] + e[1] + e[2] + e[3]) / (t + t);
    }
}

#define WHETSTONES 1000

static uint64_t whetstone(void)
{
    double x = 0.5, y = 0.25, z = 0.75, total = 0;
    int j = 1;

    for (int i = 0; i < WHETSTONES; i++) {
        double e[4] = {1, -1, y, -z};

        mix(e, 0.499975);
        x = 0.5 * arctangent(2 * sine(x) * 0.4 / (sine(x + 0.1) + 1.5));
        y = 0.25 + 0.1 * sine(x + y * 0.5);
        z = sqrt(exponential(0.1 * x + y) * 0.6);
        j = (j * 3 + (int)(z * 10) + i) % 7;
        total += j < 4 ? e[j] : z;
    }
    return bench_digits(bench_digits((uint64_t)j, x + y + z), total);
}

static const struct bench_row rows[] = {
    {"nbody", "ksteps", NBODY_STEPS * 1e-3, nbody, NULL, NULL},
    {"matrix", "MFLOP", 2.0 * SIDE *SIDE *SIDE * 1e-6, matrix, NULL, NULL},
    {"whetstone", "kiterations", WHETSTONES * 1e-3, whetstone, NULL, NULL},
};

BENCH_MAIN(rows)
