/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TOML 1.0 (toml.io/en/v1.0.0) as far as configurations need it, each value with its line: tables,
 * arrays of tables, inline tables, arrays, strings of one line, integers, booleans. Floats, dates
 * and strings of several lines are refused.
 */
#ifndef COSM_PLAN_TOML_H
#define COSM_PLAN_TOML_H

#include "base/err.h"

enum toml_kind { TOML_STRING, TOML_INTEGER, TOML_BOOLEAN, TOML_ARRAY, TOML_TABLE };

struct toml_node {
    enum toml_kind kind;
    u32 line;                       /* 1.. */
    const char *key;                /* in a table; else NULL */
    const char *text;               /* TOML_STRING: without NUL within */
    s64 integer;                    /* TOML_INTEGER; TOML_BOOLEAN: 0 or 1 */
    struct toml_node *first, *next; /* the first within; the next beside */
    /* The reader's: */
    struct toml_node *last;
    bool sealed; /* written inline: nothing may be added */
    bool closed; /* named by a header, which may be done once */
    bool dotted; /* made by a dotted key */
};

/* All of a text; its nodes live until toml_free. */
struct toml {
    const char *name; /* the caller's: what errors call it */
    struct toml_node *root;
    char *strings;
    struct toml_block *blocks;
};

#define TOML_TEXT_MAX  (256u << 10)
#define TOML_DEPTH_MAX 16

/* 0, or -EINVAL or -ENOMEM with "NAME:LINE: sentence". On failure there is nothing to free. */
MUST_CHECK int toml_parse(struct toml *toml, const char *name, const char *text, size_t size,
                          struct err *err);
void toml_free(struct toml *toml);

/* The value of a key; NULL: none. */
const struct toml_node *toml_get(const struct toml_node *table, const char *key);

/* "a string", "a number", ... */
const char *toml_kind_name(enum toml_kind kind);

#endif
