/* SPDX-License-Identifier: BSD-2-Clause */
/* Integer work: records and strings in the manner of Dhrystone, a sieve, sorting, SHA-256. */
#include "bench.h"

/*
 * Dhrystone-like: a round makes what a round of Dhrystone makes, in our words: fifteen calls of
 * small functions, half of which its second file has, so that nothing is known of them where they
 * are called; a record of 56 bytes copied, two texts of thirty characters compared that differ in
 * the twentieth, one of them copied each round; globals, an array and a table of 50 by 50. The C
 * library's strcmp weighs most, on each side as its library has it.
 */
enum rank { LOWEST, LOW, MIDDLE, HIGH, HIGHEST };

#define TEXT 31

struct record {
    struct record *next;
    enum rank rank, other;
    int value;
    char text[TEXT];
};

#define DHRYSTONES 10000

static struct record *current, *spare;
static int number, flag;
static char letter_one, letter_two;
static int line[50], table[50][50];

/* As if they were in another file. */

static BENCH_APART void sum_and_two(int a, int b, int *sum)
{
    *sum = b + (a + 2);
}

static BENCH_APART void fill_tables(int *one, int (*two)[50], int at, int value)
{
    int place = at + 5;

    one[place] = value;
    one[place + 1] = one[place];
    one[place + 30] = place;
    for (int i = place; i <= place + 1; i++)
        two[place][i] = place;
    two[place][place - 1]++;
    two[place + 20][place] = one[place];
    number = 5;
}

static BENCH_APART enum rank rank_of_letters(char a, char b)
{
    char first = a;

    if (first != b)
        return LOWEST;
    letter_one = first;
    return LOW;
}

static BENCH_APART int text_is_later(const char *a, const char *b)
{
    char letter = 'A';
    int i = 2;

    while (i <= 2) {
        if (rank_of_letters(a[i], b[i + 1]) == LOWEST) {
            letter = 'A';
            i++;
        }
    }
    if (letter >= 'W' && letter < 'Z')
        i = 7;
    if (letter == 'R' || strcmp(a, b) <= 0)
        return 0;
    number = i + 7;
    return 1;
}

static BENCH_APART int is_middle(enum rank rank)
{
    return rank == MIDDLE;
}

static BENCH_APART void next_rank(enum rank rank, enum rank *next)
{
    *next = is_middle(rank) ? rank : HIGH;
    switch (rank) {
    case LOWEST:
        *next = LOWEST;
        break;
    case LOW:
        *next = number > 100 ? LOWEST : HIGH;
        break;
    case MIDDLE:
        *next = LOW;
        break;
    case HIGHEST:
        *next = MIDDLE;
        break;
    default:
        break;
    }
}

/* As if they were in this one. */

static void follow(struct record **to)
{
    if (current)
        *to = current->next;
    sum_and_two(10, number, &current->value);
}

static BENCH_NOINLINE void copy_record(struct record *from)
{
    struct record *to = from->next;

    *to = *current;
    from->value = 5;
    to->value = from->value;
    to->next = from->next;
    follow(&to->next);
    if (to->rank == LOWEST) {
        to->value = 6;
        next_rank(from->other, &to->other);
        to->next = current->next;
        sum_and_two(to->value, 10, &to->value);
    } else {
        *from = *from->next;
    }
}

static void settle(int *value)
{
    int moved = *value + 10;

    for (;;) {
        if (letter_one == 'A') {
            moved--;
            *value = moved - number;
            break;
        }
    }
}

static void mark_letters(void)
{
    flag |= letter_one == 'A';
    letter_two = 'B';
}

static void start_letters(void)
{
    letter_one = 'A';
    flag = 0;
}

static BENCH_NOINLINE uint64_t dhrystone_rounds(int rounds)
{
    char one[TEXT], two[TEXT];
    int a = 0, b = 0, c = 0;
    enum rank rank = LOWEST;

    strcpy(one, "TWO TEXTS COMPARE, 1 IS FIRST.");
    for (int i = 1; i <= rounds; i++) {
        start_letters();
        mark_letters();
        a = 2;
        b = 3;
        strcpy(two, "TWO TEXTS COMPARE, 2 IS AFTER.");
        rank = LOW;
        flag = !text_is_later(one, two);
        while (a < b) {
            c = 5 * a - b;
            sum_and_two(a, b, &c);
            a++;
        }
        fill_tables(line, table, a, c);
        copy_record(current);
        for (char letter = 'A'; letter <= letter_two; letter++) {
            if (rank == rank_of_letters(letter, 'C')) {
                next_rank(LOWEST, &rank);
                strcpy(two, "TWO TEXTS COMPARE, 3 IS NEVER.");
                b = i;
                number = i;
            }
        }
        b *= a;
        a = b / c;
        b = 7 * (b - c) - a;
        settle(&a);
    }
    return bench_fold((uint64_t)(a + 3 * b + 5 * c + (int)rank + flag), two, sizeof two);
}

static uint64_t dhrystone(void)
{
    static struct record first, second;

    current = &first;
    spare = &second;
    first = (struct record){spare, LOWEST, MIDDLE, 40, "THE TEXT OF A RECORD OF OURS.."};
    memset(line, 0, sizeof line);
    memset(table, 0, sizeof table);
    return bench_fold(dhrystone_rounds(DHRYSTONES), table[8], sizeof table[8]) ^
           (uint64_t)spare->value;
}

/*
 * The array is far larger than what a software TLB of some hundred pages reaches, and every pass
 * over it with a stride comes to a new page before long: what a table of sixteen million entries
 * costs.
 */
#define SIEVE (16 << 20)

static uint64_t sieve(void)
{
    static uint8_t *composite;
    uint64_t primes = 0, sum = 0;

    bench_buffer((void **)&composite, SIEVE, 0);
    memset(composite, 0, SIEVE);
    for (uint64_t i = 2; i < SIEVE; i++) {
        if (composite[i])
            continue;
        primes++;
        sum += i;
        for (uint64_t multiple = i * i; multiple < SIEVE; multiple += i)
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
