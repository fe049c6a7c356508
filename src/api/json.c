/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads JSON from a buffer, in place: a descent of bounded depth over the grammar of RFC 8259. */
#include "api/json.h"

#include <errno.h>
#include <string.h>

struct reader {
    struct json *json;
    char *start, *at, *end;
    u32 depth;
    const char *wrong; /* what is wrong at `at` */
};

static bool wrong(struct reader *r, const char *what)
{
    if (!r->wrong)
        r->wrong = what;
    return false;
}

static void skip_space(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
        r->at++;
}

static bool take(struct reader *r, char c)
{
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static bool hex4(struct reader *r, u32 *value)
{
    *value = 0;
    for (u32 i = 0; i < 4; i++) {
        char c = r->at < r->end ? *r->at : 0;
        u32 digit = c >= '0' && c <= '9'   ? (u32)(c - '0')
                    : c >= 'a' && c <= 'f' ? (u32)(c - 'a') + 10
                    : c >= 'A' && c <= 'F' ? (u32)(c - 'A') + 10
                                           : 16;

        if (digit > 15)
            return wrong(r, "four hexadecimal digits are missing after \\u");
        *value = *value << 4 | digit;
        r->at++;
    }
    return true;
}

static char *put_utf8(char *out, u32 c)
{
    if (c < 0x80) {
        *out++ = (char)c;
        return out;
    }
    if (c < 0x800) {
        *out++ = (char)(0xc0 | c >> 6);
    } else {
        if (c < 0x10000) {
            *out++ = (char)(0xe0 | c >> 12);
        } else {
            *out++ = (char)(0xf0 | c >> 18);
            *out++ = (char)(0x80 | (c >> 12 & 0x3f));
        }
        *out++ = (char)(0x80 | (c >> 6 & 0x3f));
    }
    *out++ = (char)(0x80 | (c & 0x3f));
    return out;
}

/* What follows \u; it takes more room in the text than it gets. */
static bool read_unicode(struct reader *r, char **out)
{
    u32 c, low;

    if (!hex4(r, &c))
        return false;
    if (c >= 0xdc00 && c < 0xe000)
        return wrong(r, "half of a surrogate pair");
    if (c >= 0xd800 && c < 0xdc00) {
        if (!take(r, '\\') || !take(r, 'u') || !hex4(r, &low) || low < 0xdc00 || low >= 0xe000)
            return wrong(r, "half of a surrogate pair");
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    if (!c)
        return wrong(r, "a NUL in a string");
    *out = put_utf8(*out, c);
    return true;
}

static bool read_escape(struct reader *r, char **out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *found;
    char c = r->at < r->end ? *r->at : 0;

    if (take(r, 'u'))
        return read_unicode(r, out);
    found = c ? strchr(from, c) : NULL;
    if (!found)
        return wrong(r, "an unknown escape");
    r->at++;
    *(*out)++ = to[found - from];
    return true;
}

/* Length of the UTF-8 sequence at p, 0 if there is none: no overlong forms, no surrogates. */
static u32 utf8_len(const u8 *p, size_t room)
{
    u32 len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

    if (p[0] > 0xf4 || len > room)
        return 0;
    for (u32 i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    if (len > 2 && ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
                    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)))
        return 0;
    return len;
}

/* After the opening quote. */
static bool read_string(struct reader *r, const char **text, u32 *len)
{
    char *out = r->at;

    *text = out;
    while (r->at < r->end && *r->at != '"') {
        u32 n;

        if ((u8)*r->at < 0x20)
            return wrong(r, "a control character in a string");
        if (take(r, '\\')) {
            if (!read_escape(r, &out))
                return false;
            continue;
        }
        n = utf8_len((const u8 *)r->at, (size_t)(r->end - r->at));
        if (!n)
            return wrong(r, "not UTF-8");
        memmove(out, r->at, n);
        out += n;
        r->at += n;
    }
    *len = (u32)(out - *text);
    if (!take(r, '"'))
        return wrong(r, "a string does not end");
    *out = '\0'; /* at most where the quote was */
    return true;
}

static u32 digits(struct reader *r)
{
    u32 n = 0;

    for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; n++)
        r->at++;
    return n;
}

static bool read_number(struct reader *r, struct json_node *node)
{
    node->kind = JSON_NUMBER;
    node->text = r->at;
    take(r, '-');
    if (!take(r, '0') && !digits(r))
        return wrong(r, "not a value");
    if (take(r, '.') && !digits(r))
        return wrong(r, "a number without digits after its point");
    if (take(r, 'e') || take(r, 'E')) {
        if (!take(r, '+'))
            take(r, '-');
        if (!digits(r))
            return wrong(r, "a number without digits in its exponent");
    }
    node->len = (u32)(r->at - node->text);
    return true;
}

static bool read_word(struct reader *r, struct json_node *node)
{
    static const struct {
        const char *word;
        enum json_kind kind;
    } words[] = {{"null", JSON_NULL}, {"false", JSON_FALSE}, {"true", JSON_TRUE}};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        size_t len = strlen(words[i].word);

        if ((size_t)(r->end - r->at) >= len && !memcmp(r->at, words[i].word, len)) {
            r->at += len;
            node->kind = words[i].kind;
            return true;
        }
    }
    return read_number(r, node);
}

static bool read_value(struct reader *r, u32 *index);

static bool read_key(struct reader *r, const char **key)
{
    u32 len;

    skip_space(r);
    if (!take(r, '"'))
        return wrong(r, "a key is missing");
    if (!read_string(r, key, &len))
        return false;
    skip_space(r);
    return take(r, ':') || wrong(r, "':' is missing");
}

/* After the opening bracket; the nodes may not be held by pointer, as a child takes the next. */
static bool read_children(struct reader *r, u32 parent, char close)
{
    u32 last = 0, child = 0;

    if (++r->depth > JSON_DEPTH_MAX)
        return wrong(r, "too deep");
    skip_space(r);
    if (take(r, close)) {
        r->depth--;
        return true;
    }
    do {
        const char *key = NULL;

        if ((close == '}' && !read_key(r, &key)) || !read_value(r, &child))
            return false;
        r->json->node[child].key = key;
        if (last)
            r->json->node[last].next = child;
        else
            r->json->node[parent].first = child;
        last = child;
        skip_space(r);
    } while (take(r, ','));
    r->depth--;
    return take(r, close) || wrong(r, close == '}' ? "'}' is missing" : "']' is missing");
}

static bool read_value(struct reader *r, u32 *index)
{
    struct json_node *node;

    if (r->json->nodes == r->json->node_max)
        return wrong(r, "too many values");
    *index = r->json->nodes++;
    node = &r->json->node[*index];
    *node = (struct json_node){.kind = JSON_NULL};
    skip_space(r);
    if (take(r, '"')) {
        node->kind = JSON_STRING;
        return read_string(r, &node->text, &node->len);
    }
    if (take(r, '{')) {
        node->kind = JSON_OBJECT;
        return read_children(r, *index, '}');
    }
    if (take(r, '[')) {
        node->kind = JSON_ARRAY;
        return read_children(r, *index, ']');
    }
    return read_word(r, node);
}

int json_parse(struct json *json, char *text, size_t len, struct err *err)
{
    struct reader r = {.json = json, .start = text, .at = text, .end = text + len};
    u32 root;

    json->nodes = 0;
    if (read_value(&r, &root)) {
        skip_space(&r);
        if (r.at == r.end)
            return 0;
        wrong(&r, "more follows the value");
    }
    return err_set(err, EINVAL, "not JSON at byte %lu: %s", (unsigned long)(r.at - r.start),
                   r.wrong);
}

const struct json_node *json_first(const struct json *json, const struct json_node *node)
{
    return node && node->first ? &json->node[node->first] : NULL;
}

const struct json_node *json_next(const struct json *json, const struct json_node *node)
{
    return node && node->next ? &json->node[node->next] : NULL;
}

const struct json_node *json_get(const struct json *json, const struct json_node *object,
                                 const char *key)
{
    if (!object || object->kind != JSON_OBJECT)
        return NULL;
    for (const struct json_node *n = json_first(json, object); n; n = json_next(json, n)) {
        if (!strcmp(n->key, key))
            return n;
    }
    return NULL;
}

const char *json_string(const struct json_node *node)
{
    return node && node->kind == JSON_STRING ? node->text : NULL;
}

bool json_integer(const struct json_node *node, s64 *value)
{
    bool minus = node && node->kind == JSON_NUMBER && node->text[0] == '-';
    s64 sum = 0;

    if (!node || node->kind != JSON_NUMBER)
        return false;
    for (u32 i = minus; i < node->len; i++) {
        char c = node->text[i];

        if (c < '0' || c > '9' || __builtin_mul_overflow(sum, 10, &sum) ||
            __builtin_sub_overflow(sum, c - '0', &sum))
            return false;
    }
    if (!minus && __builtin_sub_overflow((s64)0, sum, &sum))
        return false;
    *value = sum;
    return true;
}
