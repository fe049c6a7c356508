/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An integer loop in the manner of CoreMark, of our own writing: a linked list that is sorted and
 * searched, a matrix product, a state machine over text, and a CRC over all results.
 *
 * Usage: loop ITERATIONS; prints one line: "loop: N iterations, T us, checksum 0xXXXX".
 * Or, as a program of the suite: loop TIME coremark.
 */
#include "bench.h"

#define NODES 256
#define SIDE  24

struct node {
    struct node *next;
    uint32_t key;
};

static uint32_t random_next(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static uint16_t crc16(uint32_t word, uint16_t crc)
{
    for (int i = 0; i < 32; i++) {
        unsigned carry = (crc ^ word) & 1;

        crc >>= 1;
        word >>= 1;
        if (carry)
            crc ^= 0xa001;
    }
    return crc;
}

static struct node *list_merge(struct node *a, struct node *b)
{
    struct node *first = NULL, **last = &first;

    while (a && b) {
        struct node **smaller = a->key <= b->key ? &a : &b;

        *last = *smaller;
        last = &(*last)->next;
        *smaller = *last;
    }
    *last = a ? a : b;
    return first;
}

/* Bottom-up: bin[i] holds a sorted list of 2^i nodes or none. */
static struct node *list_sort(struct node *list)
{
    struct node *bin[16] = {NULL}, *sorted = NULL;

    while (list) {
        struct node *run = list;
        unsigned i = 0;

        list = list->next;
        run->next = NULL;
        for (; bin[i]; i++) {
            run = list_merge(bin[i], run);
            bin[i] = NULL;
        }
        bin[i] = run;
    }
    for (unsigned i = 0; i < 16; i++)
        sorted = list_merge(bin[i], sorted);
    return sorted;
}

static uint16_t list_work(struct node *node, uint32_t seed, uint16_t crc)
{
    struct node *list = NULL;
    uint32_t rank = 0;

    for (unsigned i = 0; i < NODES; i++) {
        node[i].key = random_next(&seed) & 0xffff;
        node[i].next = list;
        list = &node[i];
    }
    for (struct node *at = list_sort(list); at; at = at->next) {
        if ((++rank & 15) == 0)
            crc = crc16(at->key * rank, crc);
    }
    return crc;
}

static uint16_t matrix_work(uint32_t seed, uint16_t crc)
{
    int16_t a[SIDE][SIDE], b[SIDE][SIDE];
    int32_t trace = 0;

    for (int i = 0; i < SIDE * SIDE; i++) {
        a[i / SIDE][i % SIDE] = (int16_t)random_next(&seed);
        b[i % SIDE][i / SIDE] = (int16_t)(random_next(&seed) >> 3);
    }
    for (int i = 0; i < SIDE; i++) {
        for (int j = 0; j < SIDE; j++) {
            int32_t sum = 0;

            for (int k = 0; k < SIDE; k++)
                sum += (a[i][k] * b[k][j]) >> 4;
            trace ^= sum + i * j;
        }
    }
    return crc16((uint32_t)trace, crc);
}

enum state { START, SIGN, DIGITS, POINT, FRACTION, EXPONENT, BAD, STATES };

static enum state state_next(enum state state, char c)
{
    if (c == ',')
        return START;
    switch (state) {
    case START:
        if (c == '+' || c == '-')
            return SIGN;
        return c >= '0' && c <= '9' ? DIGITS : c == '.' ? POINT : BAD;
    case SIGN:
        return c >= '0' && c <= '9' ? DIGITS : c == '.' ? POINT : BAD;
    case DIGITS:
        if (c >= '0' && c <= '9')
            return DIGITS;
        return c == '.' ? FRACTION : c == 'e' ? EXPONENT : BAD;
    case POINT:
    case FRACTION:
        if (c >= '0' && c <= '9')
            return FRACTION;
        return c == 'e' && state == FRACTION ? EXPONENT : BAD;
    case EXPONENT:
        return c >= '0' && c <= '9' ? EXPONENT : BAD;
    default:
        return BAD;
    }
}

static uint16_t state_work(uint32_t seed, uint16_t crc)
{
    static const char letter[] = "0123456789+-.,,e";
    uint32_t visits[STATES] = {0};
    enum state state = START;

    for (int i = 0; i < 2048; i++) {
        state = state_next(state, letter[random_next(&seed) & 15]);
        visits[state]++;
    }
    for (int i = 0; i < STATES; i++)
        crc = crc16(visits[i], crc);
    return crc;
}

static struct node node[NODES];

static uint16_t iterate(unsigned long iterations)
{
    uint16_t crc = 0xffff;

    for (unsigned long i = 0; i < iterations; i++) {
        crc = list_work(node, (uint32_t)i + 1, crc);
        crc = matrix_work((uint32_t)i + 77, crc);
        crc = state_work((uint32_t)i + 991, crc);
    }
    return crc;
}

#define PIECE 4

static uint64_t piece(void)
{
    return iterate(PIECE);
}

static const struct bench_row row = {"coremark", "iterations", PIECE, piece, NULL, NULL};

int main(int argc, char **argv)
{
    unsigned long iterations = argc > 1 ? strtoul(argv[1], NULL, 10) : 100;
    double start = bench_seconds();
    uint16_t crc;

    if (argc > 2)
        return bench_main(argc, argv, &row, 1);
    crc = iterate(iterations);
    printf("loop: %lu iterations, %.0f us, checksum 0x%04x\n", iterations,
           (bench_seconds() - start) * 1e6, crc);
    return 0;
}
