/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unit tests: TEST(name) { CHECK(...); } in one file a module, run by test_main as TAP.
 *
 *     #include "tests/test.h"
 *     TEST(adds) { CHECK_EQ(1 + 1, 2); }
 *     TEST_MAIN()
 */
#ifndef COSM_TESTS_TEST_H
#define COSM_TESTS_TEST_H

#include "base/types.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test {
    const char *name;
    void (*run)(void);
    struct test *next;
};

static struct test *test_first, **test_last = &test_first;
static unsigned test_failures;

#define TEST(id)                                                 \
    static void test_##id(void);                                 \
    static struct test test_entry_##id = {#id, test_##id, NULL}; \
    __attribute__((constructor)) static void test_add_##id(void) \
    {                                                            \
        *test_last = &test_entry_##id;                           \
        test_last = &test_entry_##id.next;                       \
    }                                                            \
    static void test_##id(void)

#define CHECK(cond)                                             \
    do {                                                        \
        if (!(cond)) {                                          \
            printf("# %s:%d: %s\n", __FILE__, __LINE__, #cond); \
            test_failures++;                                    \
        }                                                       \
    } while (0)

#define CHECK_EQ(got, want)                                                                       \
    do {                                                                                          \
        u64 got_ = (u64)(got), want_ = (u64)(want);                                               \
        if (got_ != want_) {                                                                      \
            printf("# %s:%d: %s = 0x%" PRIx64 ", want 0x%" PRIx64 "\n", __FILE__, __LINE__, #got, \
                   got_, want_);                                                                  \
            test_failures++;                                                                      \
        }                                                                                         \
    } while (0)

#define CHECK_STR(got, want)                                                                      \
    do {                                                                                          \
        const char *got_ = (got), *want_ = (want);                                                \
        if (strcmp(got_, want_)) {                                                                \
            printf("# %s:%d: %s = \"%s\", want \"%s\"\n", __FILE__, __LINE__, #got, got_, want_); \
            test_failures++;                                                                      \
        }                                                                                         \
    } while (0)

static inline int test_main(void)
{
    unsigned n = 0, failed = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (struct test *t = test_first; t; t = t->next) {
        test_failures = 0;
        t->run();
        printf("%sok %u - %s\n", test_failures ? "not " : "", ++n, t->name);
        failed += test_failures != 0;
    }
    printf("1..%u\n", n);
    return failed != 0;
}

#define TEST_MAIN()         \
    int main(void)          \
    {                       \
        return test_main(); \
    }

#endif
