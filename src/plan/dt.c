/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading values of a flattened device tree that libfdt has checked as a whole. */
#include "plan/dt.h"

#include "base/checked.h"
#include "base/endian.h"

#include <libfdt.h>
#include <string.h>

bool dt_is_okay(const void *fdt, int node)
{
    const char *status = dt_text(fdt, node, "status");

    return !status || !strcmp(status, "okay") || !strcmp(status, "ok");
}

const char *dt_text(const void *fdt, int node, const char *name)
{
    int len;
    const char *text = fdt_getprop(fdt, node, name, &len);

    return text && len > 0 && !text[len - 1] ? text : NULL;
}

bool dt_has_string(const void *fdt, int node, const char *name, const char *value)
{
    const char *text = dt_text(fdt, node, name);

    return text && !strcmp(text, value);
}

u32 dt_cell(const void *fdt, int node, const char *name, u32 index, u32 otherwise)
{
    int len;
    const u8 *cells = fdt_getprop(fdt, node, name, &len);

    return cells && len >= 0 && index < (u32)len / 4 ? be32_load(cells + 4 * index) : otherwise;
}

u64 dt_u64(const void *fdt, int node, const char *name, u32 index)
{
    return (u64)dt_cell(fdt, node, name, index, 0) << 32 | dt_cell(fdt, node, name, index + 1, 0);
}

/* A number of 0 to 2 cells. */
static u64 number(const u8 *cells, u32 count)
{
    return count == 2 ? be64_load(cells) : count == 1 ? be32_load(cells) : 0;
}

/* Cells of addresses and sizes below a node; false: more than we read. */
static bool cells_of(const void *fdt, int node, u32 *address, u32 *size)
{
    int a = fdt_address_cells(fdt, node), s = fdt_size_cells(fdt, node);

    *address = (u32)a;
    *size = (u32)s;
    return a >= 0 && a <= 2 && s >= 0 && s <= 2;
}

/* From the addresses below a bus to those above it. */
static bool translate(const void *fdt, int bus, int above, u64 size, u64 *base)
{
    u32 child_cells, size_cells, parent_cells, ignored;
    int len;
    const u8 *p = fdt_getprop(fdt, bus, "ranges", &len);

    if (!p || !len)
        return p; /* without "ranges" the bus is not mapped; empty, all is the same above */
    if (!cells_of(fdt, bus, &child_cells, &size_cells) ||
        !cells_of(fdt, above, &parent_cells, &ignored))
        return false;
    for (u32 step = 4 * (child_cells + parent_cells + size_cells); len >= (int)step && step;
         p += step, len -= (int)step) {
        u64 from = number(p, child_cells), to = number(p + 4 * child_cells, parent_cells);
        u64 room = number(p + 4 * (child_cells + parent_cells), size_cells);

        if (range_within(*base, size, from, room)) {
            *base += to - from;
            return true;
        }
    }
    return false;
}

bool dt_reg(const void *fdt, int node, u32 index, u64 *base, u64 *size)
{
    int bus = fdt_parent_offset(fdt, node), len, above;
    u32 address_cells, size_cells, step;
    const u8 *p = fdt_getprop(fdt, node, "reg", &len);

    if (!p || bus < 0 || !cells_of(fdt, bus, &address_cells, &size_cells) || !size_cells)
        return false;
    step = 4 * (address_cells + size_cells);
    if (index >= (u32)len / step)
        return false;
    *base = number(p + index * step, address_cells);
    *size = number(p + index * step + 4 * address_cells, size_cells);
    while ((above = fdt_parent_offset(fdt, bus)) >= 0) {
        if (!translate(fdt, bus, above, *size, base))
            return false;
        bus = above;
    }
    return *base + *size >= *base;
}
