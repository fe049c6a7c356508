/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes the reader of JSON: what it takes it can write, and takes again with the same meaning. */
#include "api/json.h"

#include "tests/fake.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

enum { NODES = 64 };

static size_t round_trip(const u8 *data, size_t size, char *out, size_t room)
{
    struct json_node node[NODES];
    struct json json = {.node = node, .node_max = NODES};
    struct json_out written;
    struct err err;
    char *text = malloc(size ? size : 1); /* exact, for the sanitizer */
    size_t len = 0;
    s64 number;

    ASSERT(text);
    memcpy(text, data, size);
    if (!json_parse(&json, text, size, &err)) {
        ASSERT(json.nodes >= 1 && json.nodes <= NODES);
        (void)json_integer(json_get(&json, &node[0], "id"), &number);
        json_out_init(&written, out, room);
        json_put_node(&written, &json, &node[0]);
        ASSERT(!written.cut && strlen(out) == written.len);
        len = written.len;
    }
    free(text);
    return len;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    size_t room = size * 8 + 1024; /* \u00xx for a byte at worst, and ", " for a comma */
    char *first = malloc(room), *second = malloc(room * 8);
    size_t len;

    ASSERT(first && second);
    len = round_trip(data, size, first, room);
    if (len) {
        ASSERT(round_trip((const u8 *)first, len, second, room * 8) == len);
        ASSERT(!memcmp(first, second, len));
    }
    free(first);
    free(second);
    return 0;
}
