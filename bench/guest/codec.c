/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Compressors of our own: "lz" writes literals and matches as bytes, "deflate" packs them with
 * Huffman codes of at most 12 bits, "inflate" reads that back.
 */
#include "bench.h"

#define TEXT       65536
#define ROOM       (2 * TEXT + 4096)
#define WORDS      512
#define MATCH_MIN  4
#define MATCH_MAX  258
#define WINDOW     32768
#define HASH_BITS  13
#define CHAIN      16 /* candidates the packer looks at */
#define SYMBOLS    (256 + 1 + 28)
#define DISTANCES  30
#define CODE_BITS  12
#define END_OF_ALL 256

static uint8_t text[TEXT + 8], packed[ROOM], unpacked[ROOM];
static size_t packed_size;

/* Words of a made-up language, the early ones more often. */
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

        while (*from && at < TEXT)
            text[at++] = (uint8_t)*from++;
        if (at < TEXT)
            text[at++] = a % 11 ? ' ' : '\n';
    }
}

static inline uint32_t load32(const uint8_t *at)
{
    uint32_t word;

    memcpy(&word, at, sizeof word);
    return word;
}

static inline uint32_t hash(uint32_t word)
{
    return word * 2654435761u >> (32 - HASH_BITS);
}

static inline size_t match_length(const uint8_t *a, const uint8_t *b, size_t most)
{
    size_t length = 0;

    while (length < most && a[length] == b[length])
        length++;
    return length;
}

/* A length beyond what a nibble holds goes on in bytes. */
static uint8_t *put_length(uint8_t *out, size_t length)
{
    if (length < 15)
        return out;
    for (length -= 15; length >= 255; length -= 255)
        *out++ = 255;
    *out++ = (uint8_t)length;
    return out;
}

static uint8_t *put_sequence(uint8_t *out, const uint8_t *literal, size_t literals, size_t distance,
                             size_t length)
{
    size_t more = length - MATCH_MIN;

    *out++ = (uint8_t)((literals < 15 ? literals : 15) << 4 | (more < 15 ? more : 15));
    out = put_length(out, literals);
    memcpy(out, literal, literals);
    out += literals;
    *out++ = (uint8_t)distance;
    *out++ = (uint8_t)(distance >> 8);
    return put_length(out, more);
}

static BENCH_NOINLINE size_t lz_pack(uint8_t *out)
{
    static uint32_t head[1 << HASH_BITS];
    uint8_t *start = out;
    size_t at = 1, literal = 0;

    memset(head, 0, sizeof head);
    while (at + 12 < TEXT) {
        uint32_t slot = hash(load32(text + at));
        size_t before = head[slot];

        head[slot] = (uint32_t)at;
        if (at - before < 65536 && load32(text + before) == load32(text + at)) {
            size_t length = 4 + match_length(text + before + 4, text + at + 4, TEXT - at - 4);

            out = put_sequence(out, text + literal, at - literal, at - before, length);
            at += length;
            literal = at;
        } else {
            at++;
        }
    }
    /* The last literals, closed by a distance of zero. */
    out = put_sequence(out, text + literal, TEXT - literal, 0, MATCH_MIN);
    return (size_t)(out - start);
}

static const uint8_t *get_length(const uint8_t *in, size_t *length)
{
    if (*length < 15)
        return in;
    do {
        *length += *in;
    } while (*in++ == 255);
    return in;
}

static BENCH_NOINLINE size_t lz_unpack(const uint8_t *in, uint8_t *out)
{
    uint8_t *start = out;

    for (;;) {
        size_t literals = *in >> 4, length = *in & 15, distance;

        in = get_length(in + 1, &literals);
        memcpy(out, in, literals);
        out += literals;
        in += literals;
        distance = in[0] | (size_t)in[1] << 8;
        in = get_length(in + 2, &length);
        if (!distance)
            return (size_t)(out - start);
        for (length += MATCH_MIN; length; length--, out++)
            *out = out[-(ptrdiff_t)distance];
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

    must_equal(lz_unpack(packed, unpacked));
    return bench_fold(size, packed, 256);
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

static BENCH_NOINLINE size_t find_tokens(struct token *token)
{
    static int32_t head[1 << HASH_BITS], chain[TEXT];
    size_t tokens = 0;

    memset(head, -1, sizeof head);
    for (size_t at = 0; at < TEXT;) {
        size_t best = 0, most = TEXT - at < MATCH_MAX ? TEXT - at : MATCH_MAX, step;
        int32_t where = 0, before = head[hash(load32(text + at))];

        for (int tries = CHAIN; tries && before >= 0 && at - (size_t)before < WINDOW; tries--) {
            size_t length = match_length(text + before, text + at, most);

            if (length > best) {
                best = length;
                where = before;
            }
            before = chain[before];
        }
        step = best >= MATCH_MIN ? best : 1;
        token[tokens++] = best >= MATCH_MIN
                              ? (struct token){(uint16_t)best, (uint16_t)(at - (size_t)where)}
                              : (struct token){text[at], 0};
        for (; step; step--, at++) {
            uint32_t slot = hash(load32(text + at));

            chain[at] = head[slot];
            head[slot] = (int32_t)at;
        }
    }
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
    return bench_fold(packed_size, packed, 1024);
}

static inline void refill(struct bits *in)
{
    while (in->count <= 56) {
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
        refill(in);
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

        refill(&in);
        symbol = get_symbol(&in, &lengths);
        if (symbol < 256) {
            *out++ = (uint8_t)symbol;
            continue;
        }
        if (symbol == END_OF_ALL)
            return (size_t)(out - start);
        length = class_base(symbol - 257, &extra) + MATCH_MIN;
        length += get_bits(&in, extra);
        distance = class_base(get_symbol(&in, &distances), &extra) + 1;
        distance += get_bits(&in, extra);
        for (; length; length--, out++)
            *out = out[-(ptrdiff_t)distance];
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
    return bench_fold(0, unpacked, 1024);
}

static const struct bench_row rows[] = {
    {"lz", "MB", TEXT * 1e-6, lz, text_setup, NULL},
    {"deflate", "MB", TEXT * 1e-6, deflate, text_setup, NULL},
    {"inflate", "MB", TEXT * 1e-6, inflate, inflate_setup, NULL},
};

BENCH_MAIN(rows)
