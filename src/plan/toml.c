/* SPDX-License-Identifier: BSD-2-Clause */
/* TOML 1.0 as far as configurations need it, each value with its line. */
#include "plan/toml.h"

#include "base/fmt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_NODES = 128 };

struct toml_block {
    struct toml_block *next;
    u32 used;
    struct toml_node node[BLOCK_NODES];
};

struct parser {
    struct toml *toml;
    const char *at, *end;
    u32 line;
    char
        *string; /* where the next decoded one goes: all are shorter than what they are read from */
    struct err *err;
};

static int refuse(struct parser *p, u32 line, const char *what, const char *detail)
{
    return err_set(p->err, EINVAL, "%s:%u: %s%s", p->toml->name, line, what, detail);
}

static int no_memory(struct parser *p)
{
    return err_set(p->err, ENOMEM, "%s: no memory to read it", p->toml->name);
}

static struct toml_node *node_new(struct parser *p, enum toml_kind kind)
{
    struct toml_block *b = p->toml->blocks;
    struct toml_node *n;

    if (!b || b->used == BLOCK_NODES) {
        b = calloc(1, sizeof(*b));
        if (!b)
            return NULL;
        b->next = p->toml->blocks;
        p->toml->blocks = b;
    }
    n = &b->node[b->used++];
    n->kind = kind;
    n->line = p->line;
    return n;
}

static void node_append(struct toml_node *parent, struct toml_node *child)
{
    if (parent->last)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
}

static struct toml_node *node_find(const struct toml_node *table, const char *key)
{
    struct toml_node *n = table->first;

    while (n && strcmp(n->key, key))
        n = n->next;
    return n;
}

static char peek(const struct parser *p)
{
    return p->at < p->end ? *p->at : '\0';
}

static bool take(struct parser *p, char c)
{
    if (p->at == p->end || *p->at != c)
        return false;
    p->at++;
    return true;
}

static void skip_blanks(struct parser *p)
{
    while (peek(p) == ' ' || peek(p) == '\t')
        p->at++;
}

static bool skip_newline(struct parser *p)
{
    if (p->end - p->at >= 2 && p->at[0] == '\r' && p->at[1] == '\n')
        p->at++;
    if (!take(p, '\n'))
        return false;
    p->line++;
    return true;
}

static void skip_comment(struct parser *p)
{
    if (peek(p) == '#') {
        while (p->at < p->end && *p->at != '\n')
            p->at++;
    }
}

/* Within arrays: lines end anywhere. */
static void skip_lines(struct parser *p)
{
    do {
        skip_blanks(p);
        skip_comment(p);
    } while (skip_newline(p));
}

static int end_of_line(struct parser *p)
{
    skip_blanks(p);
    skip_comment(p);
    if (p->at == p->end || skip_newline(p))
        return 0;
    return refuse(p, p->line, "the line goes on after its value; begin a new one", "");
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The 4 or 8 digits behind \u or \U, as UTF-8. */
static int parse_code_point(struct parser *p, u32 digits)
{
    u32 c = 0;

    for (u32 i = 0; i < digits; i++) {
        int d = p->at < p->end ? hex_digit(*p->at) : -1;

        if (d < 0 || c >> 28)
            return refuse(p, p->line, "a \\u in a string needs hexadecimal digits", "");
        c = c << 4 | (u32)d;
        p->at++;
    }
    if (!c || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return refuse(p, p->line, "a \\u in a string is no character", "");
    if (c < 0x80) {
        *p->string++ = (char)c;
        return 0;
    }
    if (c >= 0x10000)
        *p->string++ = (char)(0xf0 | c >> 18);
    if (c >= 0x800)
        *p->string++ = (char)(c >= 0x10000 ? 0x80 | (c >> 12 & 0x3f) : 0xe0 | c >> 12);
    *p->string++ = (char)(c >= 0x800 ? 0x80 | (c >> 6 & 0x3f) : 0xc0 | c >> 6);
    *p->string++ = (char)(0x80 | (c & 0x3f));
    return 0;
}

static int parse_escape(struct parser *p)
{
    static const char from[] = "btnfr\"\\", to[] = "\b\t\n\f\r\"\\";
    char c = peek(p);
    const char *known = c ? strchr(from, c) : NULL;

    if (known) {
        *p->string++ = to[known - from];
        p->at++;
        return 0;
    }
    if (c != 'u' && c != 'U')
        return refuse(p, p->line,
                      "a \\ in a string stands before b t n f r u U \" or \\; 'single "
                      "quotes' take it as it is",
                      "");
    p->at++;
    return parse_code_point(p, c == 'u' ? 4 : 8);
}

/* "basic" or 'literal', of one line. */
static int parse_string(struct parser *p, const char **text)
{
    const char quote = *p->at++;
    int r = 0;

    if (p->end - p->at >= 2 && p->at[0] == quote && p->at[1] == quote)
        return refuse(p, p->line, "strings of several lines are not taken here; write \\n", "");
    *text = p->string;
    while (!r && !take(p, quote)) {
        u8 c = (u8)peek(p);

        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return refuse(p, p->line, "a string does not end, or has a control character in it",
                          "");
        p->at++;
        if (c == '\\' && quote == '"')
            r = parse_escape(p);
        else
            *p->string++ = (char)c;
    }
    *p->string++ = '\0';
    return r;
}

static bool is_bare(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* One part of a dotted key; what follows it is a character that is not copied, so there is room. */
static int parse_key(struct parser *p, const char **key)
{
    skip_blanks(p);
    if (peek(p) == '"' || peek(p) == '\'')
        return parse_string(p, key);
    *key = p->string;
    while (is_bare(peek(p)))
        *p->string++ = *p->at++;
    if (*key == p->string)
        return refuse(p, p->line, "a key is expected here: NAME = VALUE, [TABLE] or [[TABLE]]", "");
    *p->string++ = '\0';
    return 0;
}

static int base_of(const char *digits)
{
    if (digits[0] != '0')
        return 10;
    return digits[1] == 'x' ? 16 : digits[1] == 'o' ? 8 : digits[1] == 'b' ? 2 : 10;
}

static int parse_integer(struct parser *p, struct toml_node *n)
{
    char word[72];
    size_t len = 0;
    bool negative = peek(p) == '-', last_digit = false;
    int base;
    u64 value = 0;

    if (negative || peek(p) == '+')
        p->at++;
    while (is_bare(peek(p)) || peek(p) == '.' || peek(p) == ':' || peek(p) == '+') {
        if (len + 1 < sizeof(word))
            word[len++] = *p->at;
        p->at++;
    }
    word[len] = '\0';
    if (!len || word[0] < '0' || word[0] > '9')
        return refuse(p, p->line,
                      "a value is expected here: \"text\", a number, true, false, an "
                      "array [...] or a table {...}",
                      "");
    base = base_of(word);
    for (const char *c = word + (base == 10 ? 0 : 2); *c; c++) {
        int d = hex_digit(*c);

        if (*c == '_' && last_digit && c[1] && c[1] != '_')
            continue;
        last_digit = d >= 0 && d < base;
        if (!last_digit || (base == 10 && word[0] == '0' && len > 1))
            return refuse(p, p->line,
                          "this is no whole number (sizes and times are \"text\"): ", word);
        if (__builtin_mul_overflow(value, (u64)base, &value) ||
            __builtin_add_overflow(value, (u64)d, &value) || value > INT64_MAX)
            return refuse(p, p->line, "this number is too large: ", word);
    }
    if (!last_digit)
        return refuse(p, p->line, "this is no whole number: ", word);
    n->integer = negative ? -(s64)value : (s64)value;
    return 0;
}

static bool take_word(struct parser *p, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(p->end - p->at) < len || memcmp(p->at, word, len) ||
        (p->at + len < p->end && is_bare(p->at[len])))
        return false;
    p->at += len;
    return true;
}

static int parse_value(struct parser *p, struct toml_node *n, u32 depth);

static int parse_array(struct parser *p, struct toml_node *array, u32 depth)
{
    for (;;) {
        struct toml_node *n;
        int r;

        skip_lines(p);
        if (take(p, ']'))
            return 0;
        n = node_new(p, TOML_STRING);
        if (!n)
            return no_memory(p);
        r = parse_value(p, n, depth);
        if (r)
            return r;
        node_append(array, n);
        skip_lines(p);
        if (!take(p, ',') && peek(p) != ']')
            return refuse(p, p->line, "an array goes on with ',' or ends with ']'", "");
    }
}

static int parse_pair(struct parser *p, struct toml_node *table, u32 depth);

static int parse_inline_table(struct parser *p, struct toml_node *table, u32 depth)
{
    skip_blanks(p);
    if (take(p, '}'))
        return 0;
    for (;;) {
        int r = parse_pair(p, table, depth);

        if (r)
            return r;
        skip_blanks(p);
        if (take(p, '}'))
            return 0;
        if (!take(p, ','))
            return refuse(p, p->line, "a table { } goes on with ',' or ends with '}', on one line",
                          "");
    }
}

static void seal(struct toml_node *table)
{
    table->sealed = true;
    for (struct toml_node *n = table->first; n; n = n->next) {
        if (n->kind == TOML_TABLE)
            seal(n);
    }
}

static int parse_value(struct parser *p, struct toml_node *n, u32 depth)
{
    int r;

    n->line = p->line;
    if (depth == TOML_DEPTH_MAX)
        return refuse(p, p->line, "this lies too deep in arrays and tables", "");
    if (peek(p) == '"' || peek(p) == '\'') {
        n->kind = TOML_STRING;
        return parse_string(p, &n->text);
    }
    if (take(p, '[')) {
        n->kind = TOML_ARRAY;
        n->sealed = true;
        return parse_array(p, n, depth + 1);
    }
    if (take(p, '{')) {
        n->kind = TOML_TABLE;
        r = parse_inline_table(p, n, depth + 1);
        seal(n);
        return r;
    }
    n->kind = TOML_BOOLEAN;
    n->integer = take_word(p, "true");
    if (n->integer || take_word(p, "false"))
        return 0;
    n->kind = TOML_INTEGER;
    return parse_integer(p, n);
}

static int twice(struct parser *p, const struct toml_node *before)
{
    char detail[80];

    fmt_print(detail, sizeof(detail), "'%.40s' is given twice, first in line %u", before->key,
              before->line);
    return refuse(p, p->line, detail, "");
}

static struct toml_node *child_new(struct parser *p, struct toml_node *table, const char *key,
                                   enum toml_kind kind)
{
    struct toml_node *n = node_new(p, kind);

    if (n) {
        n->key = key;
        node_append(table, n);
    }
    return n;
}

/* KEY = VALUE, KEY perhaps with dots: each but the last part is a table. */
static int parse_pair(struct parser *p, struct toml_node *table, u32 depth)
{
    struct toml_node *n;
    const char *key;
    u32 parts = 0;
    int r = parse_key(p, &key);

    for (; !r; r = parse_key(p, &key)) {
        skip_blanks(p);
        n = node_find(table, key);
        if (!take(p, '.'))
            break;
        if (n && (n->kind != TOML_TABLE || n->sealed || !n->dotted))
            return twice(p, n);
        if (!n)
            n = child_new(p, table, key, TOML_TABLE);
        if (!n)
            return no_memory(p);
        if (depth + ++parts >= TOML_DEPTH_MAX)
            return refuse(p, p->line, "this lies too deep in tables", "");
        n->dotted = true;
        table = n;
    }
    if (r)
        return r;
    if (n)
        return twice(p, n);
    if (!take(p, '='))
        return refuse(p, p->line, "'=' is missing behind the key ", key);
    skip_blanks(p);
    n = child_new(p, table, key, TOML_STRING);
    return n ? parse_value(p, n, depth + parts) : no_memory(p);
}

/* The table that a header's part means: of an array of tables it is the last. */
static struct toml_node *step(struct parser *p, struct toml_node *table, const char *key)
{
    struct toml_node *n = node_find(table, key);

    if (!n)
        return child_new(p, table, key, TOML_TABLE);
    if (n->kind == TOML_ARRAY && n->last && !n->sealed)
        return n->last;
    return n;
}

/* [KEY] or [[KEY]]: the last part. */
static int open_table(struct parser *p, struct toml_node *parent, const char *key, bool array,
                      struct toml_node **table)
{
    struct toml_node *n = node_find(parent, key), *element;

    if (n && (array ? n->kind != TOML_ARRAY : n->kind != TOML_TABLE))
        return twice(p, n);
    if (n && (n->sealed || n->closed || n->dotted))
        return twice(p, n);
    if (!n)
        n = child_new(p, parent, key, array ? TOML_ARRAY : TOML_TABLE);
    if (!n)
        return no_memory(p);
    *table = n;
    if (!array) {
        n->closed = true; /* by a header; deeper ones may still name tables in it */
        n->line = p->line;
        return 0;
    }
    element = node_new(p, TOML_TABLE);
    if (!element)
        return no_memory(p);
    node_append(n, element);
    *table = element;
    return 0;
}

static int parse_header(struct parser *p, struct toml_node **table)
{
    struct toml_node *parent = p->toml->root;
    bool array = take(p, '[');
    const char *key;
    u32 depth = 0;
    int r = parse_key(p, &key);

    while (!r) {
        skip_blanks(p);
        if (!take(p, '.'))
            break;
        parent = step(p, parent, key);
        if (!parent)
            return no_memory(p);
        if (parent->kind != TOML_TABLE || parent->sealed)
            return refuse(p, p->line, "this has its value already, no table can go into it: ", key);
        if (++depth == TOML_DEPTH_MAX)
            return refuse(p, p->line, "this lies too deep in tables", "");
        r = parse_key(p, &key);
    }
    if (r)
        return r;
    if (!take(p, ']') || (array && !take(p, ']')))
        return refuse(p, p->line, array ? "']]' is missing behind [[" : "']' is missing behind [",
                      key);
    return open_table(p, parent, key, array, table);
}

static int parse_all(struct parser *p)
{
    struct toml_node *table = p->toml->root;
    int r = 0;

    for (;;) {
        skip_lines(p);
        if (p->at == p->end)
            return 0;
        if (take(p, '['))
            r = parse_header(p, &table);
        else
            r = parse_pair(p, table, 0);
        if (!r)
            r = end_of_line(p);
        if (r)
            return r;
    }
}

int toml_parse(struct toml *toml, const char *name, const char *text, size_t size, struct err *err)
{
    struct parser p = {toml, text, text + size, 1, NULL, err};
    int r;

    *toml = (struct toml){.name = name};
    if (size > TOML_TEXT_MAX)
        return err_set(err, EINVAL, "%s is larger than the %u KiB that a configuration may have",
                       name, TOML_TEXT_MAX / 1024);
    /* The last key of a text that ends behind it has no character for its NUL. */
    toml->strings = p.string = malloc(size + 1);
    toml->root = node_new(&p, TOML_TABLE);
    r = toml->strings && toml->root ? parse_all(&p) : no_memory(&p);
    if (r)
        toml_free(toml);
    return r;
}

void toml_free(struct toml *toml)
{
    struct toml_block *next;

    for (struct toml_block *b = toml->blocks; b; b = next) {
        next = b->next;
        free(b);
    }
    free(toml->strings);
    *toml = (struct toml){0};
}

const struct toml_node *toml_get(const struct toml_node *table, const char *key)
{
    return table && table->kind == TOML_TABLE ? node_find(table, key) : NULL;
}

const char *toml_kind_name(enum toml_kind kind)
{
    static const char *const names[] = {"a string", "a number", "true or false", "an array [...]",
                                        "a table"};

    return names[kind];
}
