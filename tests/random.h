/* SPDX-License-Identifier: BSD-2-Clause */
/* Random numbers of tests and fuzzers: splitmix64, the same on every run. */
#ifndef COSM_TESTS_RANDOM_H
#define COSM_TESTS_RANDOM_H

#include "base/types.h"

static inline u64 test_random(u64 *state)
{
    u64 z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

#endif
