/* SPDX-License-Identifier: BSD-2-Clause */
/* Control flow: recursive calls, calls through pointers, a loop over byte code with a switch. */
#include "bench.h"

/* Neither result is merely added, so that no compiler makes a loop of one of the two calls. */
static BENCH_NOINLINE uint32_t tree(uint32_t n)
{
    uint32_t a, b;

    if (n < 2)
        return n;
    a = tree(n - 1);
    b = tree(n - 2);
    return (a ^ (b << 1)) + n;
}

#define FIB_DEPTH 22
#define FIB_CALLS 57313 /* 2 * fib(23) - 1 */

static uint64_t fib(void)
{
    return tree(FIB_DEPTH);
}

typedef uint64_t target(uint64_t a, uint64_t b);

#define TARGET(name, expression)                                \
    static BENCH_NOINLINE uint64_t name(uint64_t a, uint64_t b) \
    {                                                           \
        return expression;                                      \
    }

TARGET(target_add, a + b)
TARGET(target_sub, a - b)
TARGET(target_xor, a ^ (b << 3))
TARGET(target_or, a + (b | 5))
TARGET(target_and, a ^ (b & 0xff))
TARGET(target_mul, a * 5 + b)
TARGET(target_shift, (a << 7 | a >> 57) ^ b)
TARGET(target_not, ~a + b)
TARGET(target_less, a + (a < b))
TARGET(target_half, (a >> 1) + b)
TARGET(target_two, a + 2 * b)
TARGET(target_swap, (a << 32 | a >> 32) + b)
TARGET(target_square, a + b * b)
TARGET(target_neg, b - a)
TARGET(target_max, a > b ? a : b + 3)
TARGET(target_low, (a & 0xffff) + b * 3)

static target *const targets[] = {
    target_add,    target_sub, target_xor,  target_or,   target_and, target_mul,
    target_shift,  target_not, target_less, target_half, target_two, target_swap,
    target_square, target_neg, target_max,  target_low,
};

#define INDIRECT_CALLS 20000

static uint64_t indirect(void)
{
    uint32_t state = 12345;
    uint64_t sum = 1;

    for (int i = 0; i < INDIRECT_CALLS; i++) {
        state = state * 1664525 + 1013904223;
        sum = targets[state >> 28](sum, state);
    }
    return sum;
}

enum { SET, MOVE, ADD, SUB, MUL, XOR, AND, OR, SHL, SHR, ADDI, LESS, SWAP, SKIP, SKIPNOT, AGAIN };

#define CODE_LENGTH 200
#define CODE_ROUNDS 200

/* A program of random instructions over eight registers; its last one goes back to the first. */
static struct code {
    uint8_t op, a, b, c;
} code[CODE_LENGTH];

static BENCH_NOINLINE uint32_t code_run(const struct code *first, uint32_t rounds)
{
    uint32_t reg[8] = {1, 2, 3, 5, 8, 13, 21, 34}, word;

    for (const struct code *at = first;; at++) {
        switch (at->op) {
        case SET:
            reg[at->a] = (uint32_t)at->b << 8 | at->c;
            break;
        case MOVE:
            reg[at->a] = reg[at->b];
            break;
        case ADD:
            reg[at->a] = reg[at->b] + reg[at->c];
            break;
        case SUB:
            reg[at->a] = reg[at->b] - reg[at->c];
            break;
        case MUL:
            reg[at->a] = reg[at->b] * (reg[at->c] | 1);
            break;
        case XOR:
            reg[at->a] = reg[at->b] ^ reg[at->c];
            break;
        case AND:
            reg[at->a] = reg[at->b] & ~reg[at->c];
            break;
        case OR:
            reg[at->a] = reg[at->b] | reg[at->c];
            break;
        case SHL:
            reg[at->a] = reg[at->b] << at->c;
            break;
        case SHR:
            reg[at->a] = reg[at->b] >> at->c;
            break;
        case ADDI:
            reg[at->a] = reg[at->b] + at->c;
            break;
        case LESS:
            reg[at->a] += reg[at->b] < reg[at->c];
            break;
        case SWAP:
            word = reg[at->a], reg[at->a] = reg[at->b], reg[at->b] = word;
            break;
        case SKIP:
            at += reg[at->a] >> 31;
            break;
        case SKIPNOT:
            at += !(reg[at->a] & 3);
            break;
        default:
            if (--rounds == 0)
                return reg[0] ^ reg[1] ^ reg[2] ^ reg[3] ^ reg[4] ^ reg[5] ^ reg[6] ^ reg[7];
            reg[rounds & 7] += rounds;
            at = first - 1;
        }
    }
}

static void code_setup(void)
{
    uint32_t state = 2026;

    for (int i = 0; i < CODE_LENGTH; i++) {
        uint32_t word = bench_random(&state);

        code[i] =
            (struct code){(uint8_t)(word % AGAIN), word >> 8 & 7, word >> 16 & 7, word >> 24 & 7};
    }
    code[CODE_LENGTH - 2] = (struct code){MOVE, 0, 1, 0}; /* nothing skips the last one */
    code[CODE_LENGTH - 1] = (struct code){AGAIN, 0, 0, 0};
}

static uint64_t switch_loop(void)
{
    return code_run(code, CODE_ROUNDS);
}

/* About one instruction in eight is a skip, and half of them do: close enough for a figure. */
static const struct bench_row rows[] = {
    {"fib", "Mcalls", FIB_CALLS * 1e-6, fib, NULL, NULL},
    {"indirect", "Mcalls", INDIRECT_CALLS * 1e-6, indirect, NULL, NULL},
    {"switch", "Mops", CODE_LENGTH *CODE_ROUNDS * 15 / 16 * 1e-6, switch_loop, code_setup, NULL},
};

BENCH_MAIN(rows)
