/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * JSON as RFC 8259 has it, read from a buffer and written into one, within bounds of the caller's:
 * no allocation, nothing is guessed, and what is not JSON is refused with its place.
 */
#ifndef COSM_API_JSON_H
#define COSM_API_JSON_H

#include "base/err.h"

#define JSON_DEPTH_MAX 16

enum json_kind {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

/* A value; node 0 is the whole text. The links are indices, 0: none. */
struct json_node {
    enum json_kind kind;
    const char *key;  /* within an object: NUL-terminated; else NULL */
    const char *text; /* of a string, NUL-terminated; of a number, len characters */
    u32 len;
    u32 first, next; /* the first child; the next sibling */
};

struct json {
    struct json_node *node; /* the caller's, node_max of them */
    u32 node_max, nodes;
};

/*
 * Reads one value with nothing but spaces around it. Strings are decoded in place, so text (which
 * json refers to from then on) is written to. Refused: more than node_max values, more than
 * JSON_DEPTH_MAX levels, a NUL in a string, what is not UTF-8.
 */
MUST_CHECK int json_parse(struct json *json, char *text, size_t len, struct err *err);

/* Each takes NULL for a value that is not there, and returns NULL or false for another kind. */
const struct json_node *json_get(const struct json *json, const struct json_node *object,
                                 const char *key);
const struct json_node *json_first(const struct json *json, const struct json_node *node);
const struct json_node *json_next(const struct json *json, const struct json_node *node);
const char *json_string(const struct json_node *node);
bool json_integer(const struct json_node *node, s64 *value);

/* Text that grows in a buffer; what does not fit is left out, and cut says so. */
struct json_out {
    char *text; /* always NUL-terminated */
    size_t size, len;
    bool cut, comma;
};

void json_out_init(struct json_out *out, char *text, size_t size);
/* '{' or '[', then the values, then '}' or ']'. */
void json_open(struct json_out *out, char bracket);
void json_close(struct json_out *out, char bracket);
void json_key(struct json_out *out, const char *key);
void json_put_string(struct json_out *out, const char *text);
void json_put_bytes(struct json_out *out, const char *text, size_t len);
void json_put_integer(struct json_out *out, s64 value);
void json_put_bool(struct json_out *out, bool value);
/* A value that was read, as it is. */
void json_put_node(struct json_out *out, const struct json *json, const struct json_node *node);

#endif
