/* SPDX-License-Identifier: BSD-2-Clause */
/* base/fmt against the C library's snprintf, on random conversions and by hand. */
#include "base/fmt.h"
#include "tests/test.h"

#include <limits.h>

static char ours[512], theirs[512];

#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
#pragma GCC diagnostic ignored "-Wformat"

static u32 random_state = 12345;

static u32 random_below(u32 n)
{
    random_state = random_state * 1664525 + 1013904223;
    return (random_state >> 8) % n;
}

static u64 random_value(void)
{
    static const u64 special[] = {0,          1,        9,         10,
                                  0x7F,       0x80,     0xFFFF,    INT_MAX,
                                  0x80000000, UINT_MAX, INT64_MAX, UINT64_C(1) << 63,
                                  UINT64_MAX};

    if (random_below(2))
        return special[random_below(ARRAY_SIZE(special))];
    return ((u64)random_below(1 << 24) << 40 | (u64)random_below(1 << 24) << 20 |
            random_below(1 << 20)) >>
           random_below(64);
}

/* Flags, width and precision that both sides define: no '0' beside '-' or a precision. */
static char *random_layout(char *at, bool numeric)
{
    bool left = random_below(3) == 0, precision = random_below(3) == 0;

    if (left)
        *at++ = '-';
    else if (numeric && !precision && random_below(2))
        *at++ = '0';
    if (random_below(2))
        at += sprintf(at, "%u", 1 + random_below(24));
    if (precision)
        at += sprintf(at, ".%u", random_below(20));
    return at;
}

static bool agree(const char *format, size_t size, size_t got, int want)
{
    if (got == (size_t)want && !strcmp(ours, theirs))
        return true;
    printf("# \"%s\" into %zu: %zu \"%s\", want %d \"%s\"\n", format, size, got, ours, want,
           theirs);
    return false;
}

TEST(integers_as_snprintf)
{
    static const char *const lengths[] = {"hh", "h", "", "l", "ll", "z", "j"};

    for (int n = 0; n < 200000; n++) {
        u32 length = random_below(ARRAY_SIZE(lengths));
        size_t size = random_below(4) ? sizeof(ours) : random_below(30);
        char format[64] = "<%", *at = format + 2;
        u64 v = random_value();
        size_t got;
        int want;

        at = random_layout(at, true);
        sprintf(at, "%s%c>", lengths[length], "diuxX"[random_below(5)]);
        strcpy(ours, "unset");
        strcpy(theirs, "unset");
        if (length < 3) {
            got = fmt_print(ours, size, format, (int)v);
            want = snprintf(theirs, size, format, (int)v);
        } else {
            got = fmt_print(ours, size, format, v);
            want = snprintf(theirs, size, format, v);
        }
        if (!agree(format, size, got, want)) {
            CHECK(false);
            return;
        }
    }
}

TEST(strings_as_snprintf)
{
    static const char *const texts[] = {"", "a", "cosm", "a rather long text of words"};

    for (int n = 0; n < 20000; n++) {
        size_t size = random_below(4) ? sizeof(ours) : random_below(30);
        const char *text = texts[random_below(ARRAY_SIZE(texts))];
        char format[64] = "%", *at = format + 1;
        size_t got;
        int want;

        at = random_layout(at, false);
        strcpy(at, "s|");
        strcpy(ours, "unset");
        strcpy(theirs, "unset");
        got = fmt_print(ours, size, format, text);
        want = snprintf(theirs, size, format, text);
        if (!agree(format, size, got, want)) {
            CHECK(false);
            return;
        }
    }
}

#define SAME(...)                                                  \
    do {                                                           \
        size_t got_ = fmt_print(ours, sizeof(ours), __VA_ARGS__);  \
        int want_ = snprintf(theirs, sizeof(theirs), __VA_ARGS__); \
        CHECK(agree("by hand", sizeof(ours), got_, want_));        \
    } while (0)

TEST(by_hand)
{
    SAME("%d%%, %c%3c%-3c|", -5, 'x', 'y', 'z');
    SAME("%#x %#X %#x %#010x %#-10x|", 0x1Fu, 0x1Fu, 0u, 0x1Fu, 0x1Fu);
    SAME("%*d|%-*d|%.*s|%*s", 6, 42, 6, 42, 2, "abc", -5, "x");
    SAME("%p", (void *)(uintptr_t)0x1234);
    SAME("%lld %llu", LLONG_MIN, ULLONG_MAX);
    SAME("%.0d|%.0u", 0, 0u);
    SAME("%s %s", "a", "b");
}

TEST(precision_beats_zero_flag)
{
    SAME("%08.3d|", 7);
    SAME("%-08d|", 7);
}

TEST(odd_formats_do_no_harm)
{
    const char *volatile none = NULL;

    CHECK_EQ(fmt_print(ours, sizeof(ours), "%s", none), 6);
    CHECK_STR(ours, "(null)");
    fmt_print(ours, sizeof(ours), "%q %d", 5);
    CHECK(strlen(ours) > 0);
    fmt_print(ours, sizeof(ours), "100%");
    CHECK(strlen(ours) >= 3);
    CHECK_EQ(fmt_print(NULL, 0, "%d", 12345), 5);
    fmt_print(ours, 1, "text");
    CHECK_STR(ours, "");
    fmt_print(ours, sizeof(ours), "%.100d|%300d", 1, 2);
    CHECK(strlen(ours) >= 300);
}

TEST_MAIN()
