/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Integer work in the manner of CoreMark, of our own writing: a linked list that is searched,
 * reversed and sorted through comparing functions, two of whose kinds of items are worth what a
 * state machine over text and small matrices come to, and a CRC bit by bit over all results.
 *
 * The sizes are CoreMark's, a third of 2000 bytes for each of the three, so that a list of about
 * thirty nodes, a text of 660 characters and matrices of 9 by 9 lie in the first cache anywhere;
 * so are the numbers of searches, sorts and runs in an iteration. By the profile natively both
 * spend two fifths of their time in walks of the list and a fifth or less in each of the text,
 * the matrices and the CRC, and make about as many iterations a second.
 *
 * Usage: loop ITERATIONS; prints one line: "loop: N iterations, T us, checksum 0xXXXX".
 * Or, as a program of the suite: loop TIME coremark.
 */
#include "bench.h"

#define NODES    32
#define SEARCHES 102
#define SIDE     9
#define TEXT     660

struct item {
    int16_t value, order;
    uint16_t worth; /* once computed; its top bit tells */
};

struct node {
    struct node *next;
    struct item *item;
};

struct work {
    struct node *list;
    int16_t *a, *b;
    int32_t *c;
    uint8_t *text;
    int side;
    uint16_t crc;
};

static uint16_t crc_byte(uint8_t byte, uint16_t crc)
{
    for (uint8_t i = 0; i < 8; i++) {
        uint8_t carry = (byte ^ crc) & 1;

        byte >>= 1;
        crc >>= 1;
        if (carry)
            crc ^= 0xa001;
    }
    return crc;
}

static BENCH_NOINLINE uint16_t crc_half(uint16_t half, uint16_t crc)
{
    return crc_byte((uint8_t)(half >> 8), crc_byte((uint8_t)half, crc));
}

static BENCH_NOINLINE uint16_t crc_word(uint32_t word, uint16_t crc)
{
    return crc_half((uint16_t)(word >> 16), crc_half((uint16_t)word, crc));
}

/* How far the sums of a matrix grow before they start again, and where it rises. */
static int16_t matrix_shape(int side, const int32_t *c, int16_t limit)
{
    int32_t sum = 0, before = 0;
    int16_t shape = 0;

    for (int i = 0; i < side * side; i++) {
        sum += c[i];
        if (sum > limit) {
            shape += 10;
            sum = 0;
        } else {
            shape += c[i] > before;
        }
        before = c[i];
    }
    return shape;
}

static void matrix_add(int side, int16_t *a, int16_t value)
{
    for (int i = 0; i < side * side; i++)
        a[i] += value;
}

static void matrix_scale(int side, int32_t *c, const int16_t *a, int16_t value)
{
    for (int i = 0; i < side * side; i++)
        c[i] = a[i] * value;
}

static void matrix_vector(int side, int32_t *c, const int16_t *a, const int16_t *b)
{
    for (int i = 0; i < side; i++) {
        int32_t sum = 0;

        for (int k = 0; k < side; k++)
            sum += a[i * side + k] * b[k];
        c[i] = sum;
    }
}

static BENCH_NOINLINE void matrix_product(int side, int32_t *c, const int16_t *a, const int16_t *b)
{
    for (int i = 0; i < side; i++) {
        for (int j = 0; j < side; j++) {
            int32_t sum = 0;

            for (int k = 0; k < side; k++)
                sum += a[i * side + k] * b[k * side + j];
            c[i * side + j] = sum;
        }
    }
}

/* Of every product, two fields of bits are multiplied. */
static BENCH_NOINLINE void matrix_fields(int side, int32_t *c, const int16_t *a, const int16_t *b)
{
    for (int i = 0; i < side; i++) {
        for (int j = 0; j < side; j++) {
            int32_t sum = 0;

            for (int k = 0; k < side; k++) {
                int32_t product = a[i * side + k] * b[k * side + j];

                sum += (product >> 3 & 0xf) * (product >> 6 & 0x7f);
            }
            c[i * side + j] = sum;
        }
    }
}

static BENCH_NOINLINE uint16_t matrix_work(struct work *work, int16_t value, uint16_t crc)
{
    int16_t limit = (int16_t)(0xf000 | value);
    int side = work->side;

    matrix_add(side, work->a, value);
    matrix_scale(side, work->c, work->a, value);
    crc = crc_half((uint16_t)matrix_shape(side, work->c, limit), crc);
    matrix_vector(side, work->c, work->a, work->b);
    crc = crc_half((uint16_t)matrix_shape(side, work->c, limit), crc);
    matrix_product(side, work->c, work->a, work->b);
    crc = crc_half((uint16_t)matrix_shape(side, work->c, limit), crc);
    matrix_fields(side, work->c, work->a, work->b);
    crc = crc_half((uint16_t)matrix_shape(side, work->c, limit), crc);
    matrix_add(side, work->a, (int16_t)-value);
    return crc;
}

enum state { START, SIGN, DIGITS, FRACTION, POWER, POWER_SIGN, POWER_DIGITS, BAD, STATES };

static inline int is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* One number of the text: what it ends as; its steps are counted by the state they are made in. */
static BENCH_NOINLINE enum state scan(const uint8_t **text, uint32_t *steps)
{
    const uint8_t *at = *text;
    enum state state = START;

    while (*at && state != BAD) {
        uint8_t c = *at++;

        if (c == ',')
            break;
        switch (state) {
        case START:
            state = is_digit(c) ? DIGITS : c == '+' || c == '-' ? SIGN : c == '.' ? FRACTION : BAD;
            steps[START]++;
            break;
        case SIGN:
            state = is_digit(c) ? DIGITS : c == '.' ? FRACTION : BAD;
            steps[SIGN]++;
            break;
        case DIGITS:
            if (c == '.') {
                state = FRACTION;
                steps[DIGITS]++;
            } else if (!is_digit(c)) {
                state = BAD;
                steps[DIGITS]++;
            }
            break;
        case FRACTION:
            if (c == 'e' || c == 'E') {
                state = POWER;
                steps[FRACTION]++;
            } else if (!is_digit(c)) {
                state = BAD;
                steps[FRACTION]++;
            }
            break;
        case POWER:
            state = c == '+' || c == '-' ? POWER_SIGN : BAD;
            steps[POWER]++;
            break;
        case POWER_SIGN:
            state = is_digit(c) ? POWER_DIGITS : BAD;
            steps[POWER_SIGN]++;
            break;
        case POWER_DIGITS:
            if (!is_digit(c)) {
                state = BAD;
                steps[POWER_DIGITS]++;
            }
            break;
        default:
            break;
        }
    }
    *text = at;
    return state;
}

static void text_scan(const uint8_t *text, uint32_t *ends, uint32_t *steps)
{
    while (*text)
        ends[scan(&text, steps)]++;
}

/* Every so many characters are changed; done twice it leaves the text as it was. */
static void text_damage(uint8_t *text, int step, uint8_t by)
{
    for (int i = 0; i < TEXT; i += step) {
        if (text[i] != ',')
            text[i] ^= by;
    }
}

static BENCH_NOINLINE uint16_t state_work(struct work *work, int step, uint16_t crc)
{
    uint32_t ends[STATES] = {0}, steps[STATES] = {0};

    text_scan(work->text, ends, steps);
    text_damage(work->text, step, 0x40);
    text_scan(work->text, ends, steps);
    text_damage(work->text, step, 0x40);
    for (int i = 0; i < STATES; i++)
        crc = crc_word(steps[i], crc_word(ends[i], crc));
    return crc;
}

/* What an item counts for in a sort by worth: for two kinds in eight it takes work to tell. */
static int32_t worth_of(struct item *item, struct work *work)
{
    int step = item->value >> 3 & 15;
    uint16_t worth;

    if (item->worth & 0x8000)
        return item->worth & 0x7fff;
    switch (item->value & 7) {
    case 0:
        worth = state_work(work, step < 2 ? 34 : 17 * step, work->crc);
        break;
    case 1:
        worth = matrix_work(work, (int16_t)(step * 17), work->crc);
        break;
    default:
        worth = (uint16_t)item->value;
        break;
    }
    work->crc = crc_half(worth, work->crc);
    item->worth = worth | 0x8000;
    return worth & 0x7fff;
}

typedef int32_t compare(struct item *a, struct item *b, struct work *work);

static int32_t by_worth(struct item *a, struct item *b, struct work *work)
{
    int32_t first = worth_of(a, work);

    return first - worth_of(b, work);
}

/* Also forgets what the items were found to be worth. */
static int32_t by_order(struct item *a, struct item *b, struct work *work)
{
    (void)work;
    a->worth = 0;
    b->worth = 0;
    return a->order - b->order;
}

static struct node *list_merge(struct node *a, struct node *b, compare *order, struct work *work)
{
    struct node first, *last = &first;

    while (a && b) {
        if (order(a->item, b->item, work) <= 0) {
            last->next = a;
            a = a->next;
        } else {
            last->next = b;
            b = b->next;
        }
        last = last->next;
    }
    last->next = a ? a : b;
    return first.next;
}

/* Bottom-up: bin[i] holds a sorted list of 2^i nodes or none. */
static BENCH_NOINLINE struct node *list_sort(struct node *list, compare *order, struct work *work)
{
    struct node *bin[8] = {NULL}, *sorted = NULL;

    while (list) {
        struct node *run = list;
        unsigned i = 0;

        list = list->next;
        run->next = NULL;
        for (; bin[i]; i++) {
            run = list_merge(bin[i], run, order, work);
            bin[i] = NULL;
        }
        bin[i] = run;
    }
    for (unsigned i = 0; i < 8; i++)
        sorted = list_merge(bin[i], sorted, order, work);
    return sorted;
}

/* By order, or where that is negative by value. */
static struct node *list_find(struct node *list, const struct item *wanted)
{
    if (wanted->order >= 0) {
        while (list && list->item->order != wanted->order)
            list = list->next;
    } else {
        while (list && (list->item->value & 0xff) != wanted->value)
            list = list->next;
    }
    return list;
}

static struct node *list_reverse(struct node *list)
{
    struct node *reversed = NULL;

    while (list) {
        struct node *next = list->next;

        list->next = reversed;
        reversed = list;
        list = next;
    }
    return reversed;
}

static uint16_t list_crc(const struct node *list, uint16_t crc)
{
    for (; list; list = list->next)
        crc = crc_half((uint16_t)list->item->value, crc);
    return crc;
}

/* Searches, each followed by a turn of the list; what comes behind a find moves to the front. */
static BENCH_NOINLINE uint16_t list_search(struct work *work, int16_t order)
{
    struct node *list = work->list;
    struct item wanted = {0, order, 0};
    uint16_t found = 0, sum = 0;

    for (int16_t i = 0; i < SEARCHES; i++) {
        struct node *hit, *behind;

        wanted.value = i & 0xff;
        hit = list_find(list, &wanted);
        list = list_reverse(list);
        if (hit) {
            found++;
            if (hit->item->value & 1)
                sum += hit->item->value >> 9 & 1;
            behind = hit->next;
            if (behind) {
                hit->next = behind->next;
                behind->next = list->next;
                list->next = behind;
            }
        } else {
            sum += list->next->item->value >> 8 & 1;
        }
        if (wanted.order >= 0)
            wanted.order++;
    }
    work->list = list;
    return (uint16_t)(sum + 5 * found - SEARCHES);
}

static uint16_t list_work(struct work *work, int16_t order)
{
    uint16_t crc = list_search(work, order);

    if (order > 0)
        work->list = list_sort(work->list, by_worth, work);
    crc = list_crc(work->list, crc);
    work->list = list_sort(work->list, by_order, work);
    return list_crc(work->list, crc);
}

static void text_fill(uint8_t *text)
{
    static const char *const number[] = {
        "2718",      "-53",      "+406",     "90125",    "14.2857", "+.57721", "-31.4", ".08",
        "6.022e+23", "-2.99e+8", "+.66E-33", "1.38e-23", "T0.5-9",  "-7.3e9",  "+17h",  "4.4.4e+1"};
    size_t at = 0;
    uint32_t state = 20;

    for (;;) {
        const char *next = number[bench_random(&state) >> 8 & 15];
        size_t length = strlen(next);

        if (at + length + 2 > TEXT)
            break;
        memcpy(text + at, next, length);
        text[at + length] = ',';
        at += length + 1;
    }
    memset(text + at, 0, TEXT + 1 - at);
}

static uint16_t iterate(unsigned long iterations)
{
    static int16_t a[SIDE * SIDE], b[SIDE * SIDE];
    static int32_t c[SIDE * SIDE];
    static uint8_t text[TEXT + 1];
    static struct node node[NODES];
    static struct item item[NODES];
    static volatile int side = SIDE; /* no compiler knows it */
    struct work work = {NULL, a, b, c, text, side, 0};
    uint32_t state = 77;

    for (int i = 0; i < SIDE * SIDE; i++) {
        a[i] = (int16_t)(bench_random(&state) & 0xff);
        b[i] = (int16_t)(bench_random(&state) & 0xfff);
    }
    for (int16_t i = NODES - 1; i >= 0; i--) {
        uint16_t low = (uint16_t)((bench_random(&state) & 15) << 3 | (i & 7));

        item[i] = (struct item){(int16_t)(low << 8 | low), i, 0};
        node[i] = (struct node){work.list, &item[i]};
        work.list = &node[i];
    }
    text_fill(text);
    for (unsigned long i = 0; i < iterations; i++) {
        uint16_t first = list_work(&work, 1), second;

        work.crc = crc_half(first, work.crc);
        second = list_work(&work, -1);
        work.crc = crc_half(second, work.crc);
    }
    return work.crc;
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
