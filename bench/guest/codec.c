/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Compressors of our own, of three kinds of work:
 *
 * "lz" is what LZ4 does in both ways: one candidate of 4 bytes by a hash into a table of 16 KiB,
 * steps that grow where nothing matches, lengths by 8 bytes at a time, copies of 8 bytes that may
 * write too much. Where a compiler must not access words misaligned, as those for plain RV64GC
 * believe, each of these words is read and written as bytes: that is the row's work in a guest.
 *
 * "deflate" is what zlib does by default: chains of up to 128 candidates, told apart by the bytes
 * at the end of the longest match so far, a match taken only if the next place has no longer one,
 * Huffman codes; "inflate" reads that back with tables and copies byte by byte. Both sum up what
 * goes through, as zlib does. Codes have at most 11 bits, so that one table does.
 *
 * The text packs as C sources do: to about a half by the first, to a third by the second. It has
 * 64 KiB, beyond a first cache and, with all tables, within a second one and a software TLB.
 */
#include "bench.h"

#define TEXT       65536
#define ROOM       (2 * TEXT + 4096)
#define WORDS      640
#define MATCH_MIN  3
#define MATCH_MAX  258
#define WINDOW     32768
#define HASH_BITS  15
#define CHAIN      128  /* candidates the packer looks at */
#define GOOD       8    /* after a match so long, a quarter of them */
#define LAZY       16   /* as long: the next place is not looked at */
#define NICE       128  /* as long: no further candidate */
#define FAR        4096 /* no match of 3 bytes so far */
#define FAR_END    262
#define SYMBOLS    (256 + 1 + 28)
#define DISTANCES  30
#define CODE_BITS  11
#define END_OF_ALL 256

static uint8_t text[TEXT + 16], packed[ROOM], unpacked[ROOM];
static size_t packed_size;

/* Words of a made-up language, the early ones more often; then parts of the last lines again. */
static void text_setup(void)
{
    static char word[WORDS][12];
    uint32_t state = 4711;
    size_t at = 0;

    for (int i = 0; i < WORDS; i++) {
        uint32_t length = 2 + bench_random(&state) % 8;

        for (uint32_t k = 0; k < length; k++)
            word[i][k] = "etaoinshrdlucmfwygpbvk"[bench_random(&state) % (k & 1 ? 6 : 22)];
        word[i][length] = '\0';
    }
    while (at < TEXT) {
        uint32_t a = bench_random(&state) % WORDS, b = bench_random(&state) % (a + 1);
        const char *from = word[bench_random(&state) % (b + 1)];

        if (at > 4096 && bench_random(&state) % 100 < 40) {
            size_t back = 1 + bench_random(&state) % (at < 24000 ? at : 24000);
            size_t length = 6 + bench_random(&state) % 26;

            for (; length && at < TEXT; length--, at++)
                text[at] = text[at - back];
        }
        while (*from && at < TEXT)
            text[at++] = (uint8_t)*from++;
        if (at < TEXT)
            text[at++] = (uint8_t) " (,)\n;   "[a % 9];
    }
}

static inline uint32_t load32(const uint8_t *at)
{
    uint32_t word;

    memcpy(&word, at, sizeof word);
    return word;
}

static inline uint64_t load64(const uint8_t *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof word);
    return word;
}

#define LZ_MIN   4
#define LZ_BITS  13
#define LZ_END   12 /* no match begins so near to the end */
#define LZ_LAST  5  /* so many bytes at the end are literals */
#define LZ_STEPS 6  /* a step grows by one with every 64 misses */

static inline uint32_t lz_hash(const uint8_t *at)
{
    return load32(at) * 2654435761u >> (32 - LZ_BITS);
}

/* How many bytes are the same, before a reaches its end. */
static inline size_t lz_same(const uint8_t *a, const uint8_t *b, const uint8_t *end)
{
    const uint8_t *start = a;

    for (; a + 8 <= end; a += 8, b += 8) {
        uint64_t different = load64(a) ^ load64(b);

        if (different)
            return (size_t)(a - start) + ((size_t)__builtin_ctzll(different) >> 3);
    }
    while (a < end && *a == *b)
        a++, b++;
    return (size_t)(a - start);
}

/* Copies at least what is asked for, and up to seven bytes more. */
static inline void lz_copy(uint8_t *to, const uint8_t *from, const uint8_t *end)
{
    do {
        memcpy(to, from, 8);
        to += 8;
        from += 8;
    } while (to < end);
}

/* A length beyond what a nibble holds goes on in bytes. */
static inline uint8_t *lz_put_length(uint8_t *out, size_t length)
{
    if (length < 15)
        return out;
    for (length -= 15; length >= 255; length -= 255)
        *out++ = 255;
    *out++ = (uint8_t)length;
    return out;
}

static inline uint8_t *lz_put(uint8_t *out, const uint8_t *literal, size_t literals,
                              size_t distance, size_t length)
{
    size_t more = length - LZ_MIN;

    *out++ = (uint8_t)((literals < 15 ? literals : 15) << 4 | (more < 15 ? more : 15));
    out = lz_put_length(out, literals);
    if (literals)
        lz_copy(out, literal, out + literals);
    out += literals;
    *out++ = (uint8_t)distance;
    *out++ = (uint8_t)(distance >> 8);
    return lz_put_length(out, more);
}

/* From a place on, the next one that has a match, which comes to *match; NULL: none before the end.
 */
static inline const uint8_t *lz_find(uint16_t *head, const uint8_t *at, const uint8_t **match)
{
    const uint8_t *next = at, *end = text + TEXT - LZ_END;
    uint32_t slot, next_slot = lz_hash(next), tries = 1 << LZ_STEPS;

    do {
        slot = next_slot;
        at = next;
        next += tries++ >> LZ_STEPS;
        if (next > end)
            return NULL;
        *match = text + head[slot];
        next_slot = lz_hash(next);
        head[slot] = (uint16_t)(at - text);
    } while (load32(*match) != load32(at));
    return at;
}

static BENCH_NOINLINE size_t lz_pack(uint8_t *out)
{
    static uint16_t head[1 << LZ_BITS];
    const uint8_t *end = text + TEXT, *literal = text, *at = text + 1, *match;
    uint8_t *start = out;
    size_t last;

    memset(head, 0, sizeof head);
    while (at < end - LZ_END && (at = lz_find(head, at, &match))) {
        while (at > literal && match > text && at[-1] == match[-1])
            at--, match--;
        for (;;) {
            size_t length = LZ_MIN + lz_same(at + LZ_MIN, match + LZ_MIN, end - LZ_LAST);
            uint32_t slot;

            out = lz_put(out, literal, (size_t)(at - literal), (size_t)(at - match), length);
            at += length;
            literal = at;
            if (at >= end - LZ_END)
                break;
            head[lz_hash(at - 2)] = (uint16_t)(at - 2 - text);
            slot = lz_hash(at);
            match = text + head[slot];
            head[slot] = (uint16_t)(at - text);
            if (load32(match) != load32(at)) {
                at++;
                break;
            }
        }
    }
    last = (size_t)(end - literal);
    *out++ = (uint8_t)((last < 15 ? last : 15) << 4);
    out = lz_put_length(out, last);
    memcpy(out, literal, last);
    return (size_t)(out - start) + last;
}

static inline const uint8_t *lz_get_length(const uint8_t *in, size_t *length)
{
    uint8_t more;

    if (*length < 15)
        return in;
    do {
        more = *in++;
        *length += more;
    } while (more == 255);
    return in;
}

/* A match may reach into what it makes: where it is near, first 8 bytes one by one. */
static inline void lz_copy_match(uint8_t *out, size_t distance, size_t length)
{
    static const uint8_t far[8] = {0, 8, 8, 9, 8, 10, 12, 14}; /* multiples of the distance */
    const uint8_t *end = out + length;

    if (distance < 8) {
        for (int i = 0; i < 8; i++)
            out[i] = out[i - (ptrdiff_t)distance];
        distance = far[distance];
        out += 8;
        if (out >= end)
            return;
    }
    lz_copy(out, out - distance, end);
}

/* Short literals and matches take the short way, unless an end is near. */
static BENCH_NOINLINE size_t lz_unpack(const uint8_t *in, size_t size, uint8_t *out)
{
    uint8_t *start = out, *out_near = out + TEXT - 32;
    const uint8_t *in_end = in + size, *in_near = in_end - 18;

    for (;;) {
        size_t token = *in++, literals = token >> 4, length = token & 15, distance;

        if (literals < 15 && in < in_near && out <= out_near) {
            memcpy(out, in, 8);
            memcpy(out + 8, in + 8, 8);
            out += literals;
            in += literals;
            distance = in[0] | (size_t)in[1] << 8;
            in += 2;
            if (length < 15 && distance >= 8 && distance <= (size_t)(out - start)) {
                memcpy(out, out - distance, 8);
                memcpy(out + 8, out + 8 - distance, 8);
                memcpy(out + 16, out + 16 - distance, 2);
                out += length + LZ_MIN;
                continue;
            }
        } else {
            in = lz_get_length(in, &literals);
            if (literals >= (size_t)(in_end - in)) {
                memcpy(out, in, (size_t)(in_end - in));
                return (size_t)(out - start) + (size_t)(in_end - in);
            }
            lz_copy(out, in, out + literals);
            out += literals;
            in += literals;
            distance = in[0] | (size_t)in[1] << 8;
            in += 2;
        }
        in = lz_get_length(in, &length);
        if (!distance || distance > (size_t)(out - start))
            return 0;
        lz_copy_match(out, distance, length + LZ_MIN);
        out += length + LZ_MIN;
    }
}

static void must_equal(size_t size)
{
    if (size != TEXT || memcmp(text, unpacked, TEXT)) {
        fprintf(stderr, "codec: what was packed comes out differently\n");
        exit(1);
    }
}

static uint64_t lz(void)
{
    size_t size = lz_pack(packed);

    must_equal(lz_unpack(packed, size, unpacked));
    return bench_fold(size, packed, 256);
}

/* A sum of the bytes and a sum of these sums; no overflow in so many bytes before the remainder. */
static BENCH_NOINLINE uint32_t two_sums(const uint8_t *data, size_t size)
{
    uint32_t one = 1, two = 0;

    for (size_t at = 0; at < size;) {
        size_t end = size - at < 4096 ? size : at + 4096;

        for (; at + 8 <= end; at += 8) {
            for (int i = 0; i < 8; i++)
                two += one += data[at + (size_t)i];
        }
        for (; at < end; at++)
            two += one += data[at];
        one %= 65521;
        two %= 65521;
    }
    return two << 16 | one;
}

/* One literal, or a match: distance 0 means literal. */
struct token {
    uint16_t length, distance;
};

struct huffman {
    uint32_t count[SYMBOLS];
    uint8_t bits[SYMBOLS];
    uint16_t code[SYMBOLS];
    uint32_t table[1 << CODE_BITS]; /* symbol << 4 | bits, for the reader */
};

static struct huffman lengths, distances;

/* Class of a value, as a float has: its top bit and the bit below; the rest are extra bits. */
static inline uint32_t class_of(uint32_t value, uint32_t *extra)
{
    uint32_t top;

    *extra = 0;
    if (value < 4)
        return value;
    top = 31 - (uint32_t)__builtin_clz(value);
    *extra = top - 1;
    return 2 * top + (value >> (top - 1) & 1);
}

static inline uint32_t class_base(uint32_t class, uint32_t *extra)
{
    *extra = class < 4 ? 0 : class / 2 - 1;
    return class < 4 ? class : (2 | (class & 1)) << *extra;
}

static void tree_depths(struct huffman *h, uint32_t symbols)
{
    uint32_t weight[2 * SYMBOLS], alive[SYMBOLS], used = 0, nodes = symbols;
    uint16_t parent[2 * SYMBOLS] = {0};

    for (uint32_t i = 0; i < symbols; i++) {
        weight[i] = h->count[i];
        h->bits[i] = 0;
        if (h->count[i])
            alive[used++] = i;
    }
    while (used > 1) {
        uint32_t low = 0, next = 1;

        if (weight[alive[low]] > weight[alive[next]])
            low = 1, next = 0;
        for (uint32_t i = 2; i < used; i++) {
            if (weight[alive[i]] < weight[alive[low]])
                next = low, low = i;
            else if (weight[alive[i]] < weight[alive[next]])
                next = i;
        }
        weight[nodes] = weight[alive[low]] + weight[alive[next]];
        parent[alive[low]] = parent[alive[next]] = (uint16_t)nodes;
        alive[low] = nodes++;
        alive[next] = alive[--used];
    }
    for (uint32_t i = 0; i < symbols; i++) {
        uint32_t depth = 0;

        for (uint32_t at = i; parent[at]; at = parent[at])
            depth++;
        h->bits[i] = (uint8_t)(!h->count[i]        ? 0
                               : !depth            ? 1
                               : depth > CODE_BITS ? CODE_BITS
                                                   : depth);
    }
}

/* Codes cut short take room from others: lengthen the longest that can be, until all fit. */
static void tree_limit(struct huffman *h, uint32_t symbols)
{
    for (;;) {
        uint32_t room = 0, best = symbols;

        for (uint32_t i = 0; i < symbols; i++) {
            if (!h->bits[i])
                continue;
            room += 1u << (CODE_BITS - h->bits[i]);
            if (h->bits[i] < CODE_BITS && (best == symbols || h->bits[i] > h->bits[best]))
                best = i;
        }
        if (room <= 1u << CODE_BITS || best == symbols)
            return;
        h->bits[best]++;
    }
}

static uint32_t reverse(uint32_t code, uint32_t bits)
{
    uint32_t out = 0;

    while (bits--) {
        out = out << 1 | (code & 1);
        code >>= 1;
    }
    return out;
}

/* Codes by length, then by symbol, so that the lengths alone tell them. */
static void tree_codes(struct huffman *h, uint32_t symbols)
{
    uint32_t code = 0;

    for (uint32_t bits = 1; bits <= CODE_BITS; bits++, code <<= 1) {
        for (uint32_t i = 0; i < symbols; i++) {
            if (h->bits[i] == bits)
                h->code[i] = (uint16_t)reverse(code++, bits);
        }
    }
}

static void tree_table(struct huffman *h, uint32_t symbols)
{
    for (uint32_t i = 0; i < symbols; i++) {
        if (!h->bits[i])
            continue;
        for (uint32_t at = h->code[i]; at < 1u << CODE_BITS; at += 1u << h->bits[i])
            h->table[at] = i << 4 | h->bits[i];
    }
}

static uint16_t head[1 << HASH_BITS], chain[WINDOW];

static inline uint32_t hash3(const uint8_t *at)
{
    return ((uint32_t)at[0] << 10 ^ (uint32_t)at[1] << 5 ^ at[2]) & ((1 << HASH_BITS) - 1);
}

/* Place 0 is the end of all chains. */
static inline uint32_t insert(size_t at)
{
    uint32_t slot = hash3(text + at), before = head[slot];

    chain[at % WINDOW] = (uint16_t)before;
    head[slot] = (uint16_t)at;
    return before;
}

/* The longest match longer than best, from a chain of candidates; how long it is, or best. */
static BENCH_NOINLINE uint32_t longest(size_t at, uint32_t before, uint32_t best, size_t *where)
{
    const uint8_t *here = text + at;
    uint32_t most = TEXT - at < MATCH_MAX ? (uint32_t)(TEXT - at) : MATCH_MAX;
    uint32_t limit = at > WINDOW - FAR_END ? (uint32_t)(at - (WINDOW - FAR_END)) : 0;
    int tries = best >= GOOD ? CHAIN / 4 : CHAIN;
    uint8_t last = here[best], last_but_one = here[best - 1];

    if (best >= most)
        return best;
    do {
        const uint8_t *there = text + before;
        uint32_t length = 2;

        if (there[best] != last || there[best - 1] != last_but_one || there[0] != here[0] ||
            there[1] != here[1])
            continue;
        while (length < most && there[length] == here[length])
            length++;
        if (length <= best)
            continue;
        best = length;
        *where = before;
        if (best >= NICE || best >= most)
            break;
        last = here[best];
        last_but_one = here[best - 1];
    } while ((before = chain[before % WINDOW]) > limit && --tries);
    return best;
}

/* A match waits until the next place was looked at: if that has a longer one, it is a literal. */
static BENCH_NOINLINE size_t find_tokens(struct token *token)
{
    uint32_t waiting = MATCH_MIN - 1;
    size_t tokens = 0, where = 0, waiting_where = 0, at = 0;
    int pending = 0;

    memset(head, 0, sizeof head);
    while (at < TEXT) {
        uint32_t before = insert(at), best = MATCH_MIN - 1;

        if (before && waiting < LAZY && at - before <= WINDOW - FAR_END) {
            best = longest(at, before, waiting, &where);
            if (best == MATCH_MIN && at - where > FAR)
                best = MATCH_MIN - 1;
        }
        if (waiting >= MATCH_MIN && best <= waiting) {
            size_t end = at - 1 + waiting;

            token[tokens++] = (struct token){(uint16_t)waiting, (uint16_t)(at - 1 - waiting_where)};
            for (at++; at < end; at++)
                insert(at);
            waiting = MATCH_MIN - 1;
            pending = 0;
            continue;
        }
        if (pending)
            token[tokens++] = (struct token){text[at - 1], 0};
        pending = 1;
        waiting = best;
        waiting_where = where;
        at++;
    }
    if (pending)
        token[tokens++] = (struct token){text[TEXT - 1], 0};
    return tokens;
}

struct bits {
    uint8_t *at;
    uint64_t word;
    uint32_t count;
};

static inline void put_bits(struct bits *out, uint32_t value, uint32_t count)
{
    out->word |= (uint64_t)value << out->count;
    for (out->count += count; out->count >= 8; out->count -= 8) {
        *out->at++ = (uint8_t)out->word;
        out->word >>= 8;
    }
}

static inline uint32_t length_symbol(const struct token *token, uint32_t *extra)
{
    *extra = 0;
    return token->distance ? 257 + class_of(token->length - MATCH_MIN, extra) : token->length;
}

static void count_tokens(const struct token *token, size_t tokens)
{
    uint32_t extra;

    memset(lengths.count, 0, sizeof lengths.count);
    memset(distances.count, 0, sizeof distances.count);
    lengths.count[END_OF_ALL] = 1;
    for (size_t i = 0; i < tokens; i++) {
        lengths.count[length_symbol(&token[i], &extra)]++;
        if (token[i].distance)
            distances.count[class_of(token[i].distance - 1u, &extra)]++;
    }
}

static BENCH_NOINLINE size_t put_tokens(const struct token *token, size_t tokens, uint8_t *to)
{
    struct bits out = {to, 0, 0};
    uint32_t extra;

    for (uint32_t i = 0; i < SYMBOLS; i++)
        put_bits(&out, lengths.bits[i], 4);
    for (uint32_t i = 0; i < DISTANCES; i++)
        put_bits(&out, distances.bits[i], 4);
    for (size_t i = 0; i < tokens; i++) {
        uint32_t symbol = length_symbol(&token[i], &extra);

        put_bits(&out, lengths.code[symbol], lengths.bits[symbol]);
        if (!token[i].distance)
            continue;
        put_bits(&out, (token[i].length - MATCH_MIN) & ((1u << extra) - 1), extra);
        symbol = class_of(token[i].distance - 1u, &extra);
        put_bits(&out, distances.code[symbol], distances.bits[symbol]);
        put_bits(&out, (token[i].distance - 1u) & ((1u << extra) - 1), extra);
    }
    put_bits(&out, lengths.code[END_OF_ALL], lengths.bits[END_OF_ALL]);
    put_bits(&out, 0, 7);
    return (size_t)(out.at - to);
}

static uint64_t deflate(void)
{
    static struct token token[TEXT];
    size_t tokens = find_tokens(token);

    count_tokens(token, tokens);
    tree_depths(&lengths, SYMBOLS);
    tree_limit(&lengths, SYMBOLS);
    tree_codes(&lengths, SYMBOLS);
    tree_depths(&distances, DISTANCES);
    tree_limit(&distances, DISTANCES);
    tree_codes(&distances, DISTANCES);
    packed_size = put_tokens(token, tokens, packed);
    memset(packed + packed_size, 0, 16);
    return bench_fold(packed_size, packed, 1024) ^ two_sums(text, TEXT);
}

static inline void need_bits(struct bits *in, uint32_t count)
{
    while (in->count < count) {
        in->word |= (uint64_t)*in->at++ << in->count;
        in->count += 8;
    }
}

static inline uint32_t get_bits(struct bits *in, uint32_t count)
{
    uint32_t value = (uint32_t)(in->word & (((uint64_t)1 << count) - 1));

    in->word >>= count;
    in->count -= count;
    return value;
}

static inline uint32_t get_symbol(struct bits *in, const struct huffman *h)
{
    uint32_t entry = h->table[in->word & ((1 << CODE_BITS) - 1)];

    get_bits(in, entry & 15);
    return entry >> 4;
}

static void get_tree(struct bits *in, struct huffman *h, uint32_t symbols)
{
    for (uint32_t i = 0; i < symbols; i++) {
        need_bits(in, 4);
        h->bits[i] = (uint8_t)get_bits(in, 4);
    }
    tree_codes(h, symbols);
    tree_table(h, symbols);
}

static BENCH_NOINLINE size_t unpack_tokens(uint8_t *from, uint8_t *out)
{
    struct bits in = {from, 0, 0};
    uint8_t *start = out;

    get_tree(&in, &lengths, SYMBOLS);
    get_tree(&in, &distances, DISTANCES);
    for (;;) {
        uint32_t symbol, length, distance, extra;
        const uint8_t *from;

        need_bits(&in, CODE_BITS);
        symbol = get_symbol(&in, &lengths);
        if (symbol < 256) {
            *out++ = (uint8_t)symbol;
            continue;
        }
        if (symbol == END_OF_ALL)
            return (size_t)(out - start);
        length = class_base(symbol - 257, &extra) + MATCH_MIN;
        need_bits(&in, CODE_BITS + extra);
        length += get_bits(&in, extra);
        distance = class_base(get_symbol(&in, &distances), &extra) + 1;
        need_bits(&in, extra);
        distance += get_bits(&in, extra);
        if (distance > (size_t)(out - start))
            return 0;
        for (from = out - distance; length > 2; length -= 3) {
            *out++ = *from++;
            *out++ = *from++;
            *out++ = *from++;
        }
        while (length--)
            *out++ = *from++;
    }
}

static void inflate_setup(void)
{
    text_setup();
    deflate();
}

static uint64_t inflate(void)
{
    must_equal(unpack_tokens(packed, unpacked));
    return two_sums(unpacked, TEXT);
}

static const struct bench_row rows[] = {
    {"lz", "MB", TEXT * 1e-6, lz, text_setup, NULL},
    {"deflate", "MB", TEXT * 1e-6, deflate, text_setup, NULL},
    {"inflate", "MB", TEXT * 1e-6, inflate, inflate_setup, NULL},
};

BENCH_MAIN(rows)
