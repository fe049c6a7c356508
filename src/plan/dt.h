/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading values of a flattened device tree that libfdt has checked as a whole. */
#ifndef COSM_PLAN_DT_H
#define COSM_PLAN_DT_H

#include "base/types.h"

/* All nodes in turn; node is an int. */
#define DT_EACH(fdt, node)                                     \
    for ((node) = fdt_next_node((fdt), -1, NULL); (node) >= 0; \
         (node) = fdt_next_node((fdt), (node), NULL))

/* Not switched off by "status"? */
bool dt_is_okay(const void *fdt, int node);
/* A string property; NULL: none, or not one whole string. */
const char *dt_text(const void *fdt, int node, const char *name);
bool dt_has_string(const void *fdt, int node, const char *name, const char *value);
/* Cell number index of a property, or what is given instead. */
u32 dt_cell(const void *fdt, int node, const char *name, u32 index, u32 otherwise);
/* Two cells from number index on, 0 if there are none. */
u64 dt_u64(const void *fdt, int node, const char *name, u32 index);
/* Range number index of "reg", as the harts see it; false: there is none. */
bool dt_reg(const void *fdt, int node, u32 index, u64 *base, u64 *size);

#endif
