/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes JSON into a buffer of the caller's. */
#include "api/json.h"

#include "base/fmt.h"

#include <string.h>

void json_out_init(struct json_out *out, char *text, size_t size)
{
    *out = (struct json_out){.text = text, .size = size};
    text[0] = '\0';
}

static void put(struct json_out *out, const char *text, size_t len)
{
    if (out->cut || len >= out->size - out->len) {
        out->cut = true;
        return;
    }
    memcpy(out->text + out->len, text, len);
    out->len += len;
    out->text[out->len] = '\0';
}

static void separate(struct json_out *out)
{
    if (out->comma)
        put(out, ", ", 2);
    out->comma = true;
}

void json_open(struct json_out *out, char bracket)
{
    separate(out);
    put(out, &bracket, 1);
    out->comma = false;
}

void json_close(struct json_out *out, char bracket)
{
    put(out, &bracket, 1);
    out->comma = true;
}

/* Bytes of a UTF-8 sequence of two and more at p; 0: none. Others become U+FFFD. */
static size_t sequence(const u8 *p, size_t room)
{
    size_t len = p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3 : 0;

    if (p[0] >= 0xf0 && p[0] < 0xf5)
        len = 4;
    if (!len || len > room)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return len;
}

static void put_quoted(struct json_out *out, const char *text, size_t len)
{
    char code[8];

    put(out, "\"", 1);
    for (size_t i = 0; i < len; i++) {
        u8 c = (u8)text[i];
        size_t n;

        if (c == '"' || c == '\\') {
            code[0] = '\\';
            code[1] = (char)c;
            put(out, code, 2);
        } else if (c < 0x20 || c == 0x7f) {
            put(out, code, fmt_print(code, sizeof(code), "\\u%04x", c));
        } else if (c < 0x80) {
            put(out, text + i, 1);
        } else {
            n = sequence((const u8 *)text + i, len - i);
            put(out, n ? text + i : "\\ufffd", n ? n : 6);
            i += n ? n - 1 : 0;
        }
    }
    put(out, "\"", 1);
}

void json_key(struct json_out *out, const char *key)
{
    separate(out);
    put_quoted(out, key, strlen(key));
    put(out, ": ", 2);
    out->comma = false;
}

void json_put_bytes(struct json_out *out, const char *text, size_t len)
{
    separate(out);
    put_quoted(out, text, len);
}

void json_put_string(struct json_out *out, const char *text)
{
    json_put_bytes(out, text, strlen(text));
}

void json_put_integer(struct json_out *out, s64 value)
{
    char text[24];

    separate(out);
    put(out, text, fmt_print(text, sizeof(text), "%ld", (long)value));
}

void json_put_bool(struct json_out *out, bool value)
{
    separate(out);
    put(out, value ? "true" : "false", value ? 4 : 5);
}

/* As deep as it was read: JSON_DEPTH_MAX. */
void json_put_node(struct json_out *out, const struct json *json, const struct json_node *node)
{
    bool object = node->kind == JSON_OBJECT;

    switch (node->kind) {
    case JSON_NULL:
        separate(out);
        put(out, "null", 4);
        break;
    case JSON_FALSE:
    case JSON_TRUE:
        json_put_bool(out, node->kind == JSON_TRUE);
        break;
    case JSON_NUMBER:
        separate(out);
        put(out, node->text, node->len);
        break;
    case JSON_STRING:
        json_put_bytes(out, node->text, node->len);
        break;
    case JSON_ARRAY:
    case JSON_OBJECT:
        json_open(out, object ? '{' : '[');
        for (const struct json_node *n = json_first(json, node); n; n = json_next(json, n)) {
            if (object)
                json_key(out, n->key);
            json_put_node(out, json, n);
        }
        json_close(out, object ? '}' : ']');
        break;
    }
}
