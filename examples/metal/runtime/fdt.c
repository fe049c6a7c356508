/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads what a bare-metal program wants of a flattened device tree (DTSpec 0.4, section 5). */
#include "guest.h"

enum { BEGIN_NODE = 1, END_NODE, PROP, NOP };

struct property {
    const char *name;
    const u8 *value;
    u32 bytes;
};

static u32 be32(const u8 *p)
{
    return (u32)p[0] << 24 | (u32)p[1] << 16 | (u32)p[2] << 8 | p[3];
}

static bool equal(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

static u32 text_bytes(const char *text)
{
    u32 bytes = 1;

    while (text[bytes - 1])
        bytes++;
    return bytes;
}

/* Takes the property at p, if there is one, and returns what comes behind it. */
static const u8 *next_property(const u8 *tree, const u8 *p, struct property *property)
{
    while (be32(p) == NOP)
        p += 4;
    if (be32(p) != PROP)
        return NULL;
    property->bytes = be32(p + 4);
    property->name = (const char *)tree + be32(tree + 12) + be32(p + 8);
    property->value = p + 12;
    return p + 12 + (property->bytes + 3) / 4 * 4;
}

static bool list_has(const struct property *list, const char *word)
{
    const char *entry = (const char *)list->value;

    for (u32 at = 0; at < list->bytes; at += text_bytes(entry + at))
        if (equal(entry + at, word))
            return true;
    return false;
}

/* Looks through the properties of the node at p, its first one. False: it is not meant. */
static bool look(const u8 *tree, const u8 *p, const char *compatible, const char *name,
                 const u8 **found, u32 *bytes)
{
    struct property property;
    bool fits = !compatible, disabled = false;

    *found = NULL;
    while ((p = next_property(tree, p, &property))) {
        if (compatible && equal(property.name, "compatible"))
            fits = list_has(&property, compatible);
        if (equal(property.name, "status"))
            disabled = equal((const char *)property.value, "disabled");
        if (equal(property.name, name)) {
            *found = property.value;
            *bytes = property.bytes;
        }
    }
    return fits && !disabled;
}

/* Of the nodes that are meant number n; or if it is ANY, the first that has the property. */
#define ANY UINT32_MAX

static const u8 *search(const void *tree, const char *compatible, u32 number, const char *name,
                        u32 *bytes)
{
    const u8 *p = tree, *next, *found;
    struct property property;

    if (!tree)
        return NULL;
    p += be32(p + 8);
    for (;;) {
        u32 token = be32(p);

        if (token == BEGIN_NODE) {
            p += 4 + (text_bytes((const char *)p + 4) + 3) / 4 * 4;
            if (look(tree, p, compatible, name, &found, bytes) &&
                (number == ANY ? found != NULL : !number--))
                return found;
        } else if (token == END_NODE || token == NOP) {
            p += 4;
        } else if ((next = next_property(tree, p, &property))) {
            p = next;
        } else {
            return NULL;
        }
    }
}

const u8 *fdt_property(const void *tree, const char *compatible, const char *name, u32 *bytes)
{
    return search(tree, compatible, ANY, name, bytes);
}

const u8 *fdt_property_of(const void *tree, const char *compatible, u32 number, const char *name,
                          u32 *bytes)
{
    return search(tree, compatible, number, name, bytes);
}

u64 fdt_cell(const void *tree, const char *compatible, const char *name, u32 index, u64 otherwise)
{
    u32 bytes = 0;
    const u8 *value = fdt_property(tree, compatible, name, &bytes);

    return value && 4 * index + 4 <= bytes ? be32(value + 4 * index) : otherwise;
}

u64 fdt_address(const void *tree, const char *compatible, u64 otherwise)
{
    u32 bytes = 0;
    const u8 *reg = fdt_property(tree, compatible, "reg", &bytes);

    return reg && bytes >= 8 ? (u64)be32(reg) << 32 | be32(reg + 4) : otherwise;
}
