/* SPDX-License-Identifier: BSD-2-Clause */
/* Integer work: records and strings in the manner of Dhrystone, a sieve, sorting, SHA-256. */
#include "bench.h"

enum kind { KIND_ONE, KIND_TWO, KIND_THREE, KIND_FOUR };

struct record {
    struct record *next;
    enum kind kind, other;
    int value;
    char text[32];
};

#define DHRYSTONES 1000

static struct record *first, second;
static int global_int;
static char global_char;
static int table_one[50], table_two[50][50];

static BENCH_NOINLINE void swap_kind(enum kind kind, enum kind *result)
{
    *result = kind == KIND_THREE ? KIND_ONE : KIND_FOUR;
    switch (kind) {
    case KIND_ONE:
        *result = KIND_ONE;
        break;
    case KIND_TWO:
        *result = global_int > 100 ? KIND_ONE : KIND_FOUR;
        break;
    case KIND_THREE:
        *result = KIND_TWO;
        break;
    case KIND_FOUR:
        break;
    }
}

static BENCH_NOINLINE void copy_record(struct record *from)
{
    struct record *to = from->next;

    *to = *first;
    from->value = 5;
    to->value = from->value;
    to->next = from->next;
    if (to->kind == KIND_ONE) {
        to->value = 6;
        swap_kind(from->other, &to->other);
        to->next = first->next;
        to->value += 10 + global_int;
    } else {
        *from = *from->next;
    }
}

static BENCH_NOINLINE void fill_tables(int *one, int (*two)[50], int at, int value)
{
    int place = at + 5;

    one[place] = value;
    one[place + 1] = one[place];
    one[place + 30] = place;
    for (int i = place; i <= place + 1; i++)
        two[place][i] = place;
    two[place][place - 1]++;
    two[place + 20][place] = one[place];
    global_int = 5;
}

static BENCH_NOINLINE int texts_differ(const char *a, const char *b, int *at)
{
    int i = 2;

    while (i <= 2) {
        if (a[i] == b[i + 1])
            return 0;
        global_char = a[i];
        i++;
    }
    if (strcmp(a, b) > 0) {
        *at = i + 7;
        return 1;
    }
    return 0;
}

static uint64_t dhrystone(void)
{
    static struct record record;
    char one[32], two[32];
    int a = 0, b = 0, c = 0, at = 0;

    first = &record;
    record = (struct record){&second, KIND_ONE, KIND_THREE, 40, "A RECORD OF OUR OWN, SOME TEXT."};
    strcpy(one, "THE FIRST OF THE STRINGS, AS IS");
    memset(table_two, 0, sizeof table_two);
    for (int i = 1; i <= DHRYSTONES; i++) {
        global_char = 'A';
        a = 2, b = 3;
        strcpy(two, "THE FIRST OF THE STRINGS, AS OF");
        if (!texts_differ(one, two, &at))
            c = 5 * a - b;
        fill_tables(table_one, table_two, a + (i & 7), c);
        copy_record(first);
        for (char letter = 'A'; letter <= 'A' + (i & 1); letter++) {
            if (letter == two[4])
                swap_kind(KIND_ONE, &record.other);
        }
        b = b * a + i;
        a = b / (c + 1);
        c = 7 * (b - c) - a;
    }
    return bench_fold((uint64_t)(a + b + c + at), table_two, sizeof table_two) +
           (uint64_t)second.value;
}

#define SIEVE 131072

static uint64_t sieve(void)
{
    static uint8_t composite[SIEVE];
    uint64_t primes = 0, sum = 0;

    memset(composite, 0, sizeof composite);
    for (uint32_t i = 2; i < SIEVE; i++) {
        if (composite[i])
            continue;
        primes++;
        sum += i;
        for (uint32_t multiple = 2 * i; multiple < SIEVE; multiple += i)
            composite[multiple] = 1;
    }
    return primes << 40 ^ sum;
}

#define SORTED 8192

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static uint64_t sort(void)
{
    static uint32_t item[SORTED];
    uint32_t state = 99;

    for (int i = 0; i < SORTED; i++)
        item[i] = bench_random(&state);
    qsort(item, SORTED, sizeof *item, compare);
    return bench_fold(0, item, 400) ^ item[SORTED / 2];
}

#define HASHED 65536

static uint32_t round_constant[64];

/* The first 32 bits behind the point of the square and cube roots of the primes, by long
 * arithmetic. */
static uint32_t root_bits(uint32_t prime, int cube)
{
    unsigned __int128 target = (unsigned __int128)prime << (cube ? 96 : 64);
    uint64_t root = 0;

    for (int bit = 35; bit >= 0; bit--) {
        uint64_t next = root | (uint64_t)1 << bit;
        unsigned __int128 power = (unsigned __int128)next * next;

        if (cube && power > target / next)
            continue;
        if (cube ? power * next <= target : power <= target)
            root = next;
    }
    return (uint32_t)root;
}

static uint32_t first_state[8];

static void sha256_setup(void)
{
    for (uint32_t n = 2, found = 0; found < 64; n++) {
        uint32_t d = 2;

        while (d * d <= n && n % d)
            d++;
        if (d * d <= n)
            continue;
        if (found < 8)
            first_state[found] = root_bits(n, 0);
        round_constant[found++] = root_bits(n, 1);
    }
}

static inline uint32_t turn(uint32_t word, int by)
{
    return word >> by | word << (32 - by);
}

static BENCH_NOINLINE void sha256_block(uint32_t *state, const uint8_t *data)
{
    uint32_t w[64], s[8];

    for (int i = 0; i < 16; i++, data += 4)
        w[i] = (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
    for (int i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];

        w[i] = w[i - 16] + w[i - 7] + (turn(a, 7) ^ turn(a, 18) ^ a >> 3) +
               (turn(b, 17) ^ turn(b, 19) ^ b >> 10);
    }
    memcpy(s, state, sizeof s);
    for (int i = 0; i < 64; i++) {
        uint32_t e = s[4], a = s[0];
        uint32_t one = s[7] + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) +
                       ((e & s[5]) ^ (~e & s[6])) + round_constant[i] + w[i];
        uint32_t two =
            (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));

        s[7] = s[6], s[6] = s[5], s[5] = e;
        s[4] = s[3] + one;
        s[3] = s[2], s[2] = s[1], s[1] = a;
        s[0] = one + two;
    }
    for (int i = 0; i < 8; i++)
        state[i] += s[i];
}

/* The state after HASHED letters and the padding: its first half is the checksum. */
static uint64_t sha256(void)
{
    static uint8_t data[HASHED + 64];
    uint32_t state[8];

    memset(data, 'a', HASHED);
    memset(data + HASHED, 0, 64);
    data[HASHED] = 0x80;
    for (int i = 0; i < 8; i++)
        data[HASHED + 63 - i] = (uint8_t)((uint64_t)HASHED * 8 >> 8 * i);
    memcpy(state, first_state, sizeof state);
    for (size_t at = 0; at < sizeof data; at += 64)
        sha256_block(state, data + at);
    return (uint64_t)state[0] << 32 | state[1];
}

static const struct bench_row rows[] = {
    {"dhrystone", "kiterations", DHRYSTONES * 1e-3, dhrystone, NULL, NULL},
    {"sieve", "Mnumbers", SIEVE * 1e-6, sieve, NULL, NULL},
    {"qsort", "Mitems", SORTED * 1e-6, sort, NULL, NULL},
    {"sha256", "MB", HASHED * 1e-6, sha256, sha256_setup, NULL},
};

BENCH_MAIN(rows)
