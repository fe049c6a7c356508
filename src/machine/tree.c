/* SPDX-License-Identifier: BSD-2-Clause */
/* Flattened device trees, written front to back with libfdt's sequential calls. */
#include "machine/tree.h"

#include "base/endian.h"
#include "base/fmt.h"
#include "base/mem.h"

#include <libfdt.h>

void tree_do(struct tree *t, int result)
{
    if (!t->error && result < 0)
        t->error = result;
}

void tree_begin(struct tree *t, const char *name)
{
    tree_do(t, fdt_begin_node(t->fdt, name));
}

void tree_begin_at(struct tree *t, const char *name, u64 base)
{
    char full[48];

    fmt_print(full, sizeof(full), "%s@%llx", name, (unsigned long long)base);
    tree_begin(t, full);
}

void tree_end(struct tree *t)
{
    tree_do(t, fdt_end_node(t->fdt));
}

void tree_bytes(struct tree *t, const char *name, const void *bytes, size_t len)
{
    tree_do(t, fdt_property(t->fdt, name, bytes, (int)len));
}

void tree_flag(struct tree *t, const char *name)
{
    tree_bytes(t, name, NULL, 0);
}

void tree_string(struct tree *t, const char *name, const char *text)
{
    tree_bytes(t, name, text, strlen(text) + 1);
}

void tree_cell(struct tree *t, const char *name, u32 value)
{
    tree_do(t, fdt_property_u32(t->fdt, name, value));
}

void tree_u64(struct tree *t, const char *name, u64 value)
{
    tree_do(t, fdt_property_u64(t->fdt, name, value));
}

void tree_strings(struct tree *t, const char *name, const char *list)
{
    size_t len = strlen(list) + 1;
    void *place = NULL;

    tree_do(t, fdt_property_placeholder(t->fdt, name, (int)len, &place));
    if (t->error)
        return;
    for (size_t i = 0; i < len; i++)
        ((char *)place)[i] = list[i] == '\n' ? '\0' : list[i];
}

void tree_cells(struct tree *t, const char *name, const u32 *cells, size_t count)
{
    u8 *place = NULL;

    tree_do(t, fdt_property_placeholder(t->fdt, name, (int)(4 * count), (void **)&place));
    if (t->error)
        return;
    for (size_t i = 0; i < count; i++)
        be32_store(place + 4 * i, cells[i]);
}

void tree_reg(struct tree *t, u64 base, u64 size)
{
    const u32 cells[] = {(u32)(base >> 32), (u32)base, (u32)(size >> 32), (u32)size};

    tree_cells(t, "reg", cells, ARRAY_SIZE(cells));
}
