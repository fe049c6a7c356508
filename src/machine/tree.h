/* SPDX-License-Identifier: BSD-2-Clause */
/* Flattened device trees, written front to back with libfdt's sequential calls. */
#ifndef COSM_MACHINE_TREE_H
#define COSM_MACHINE_TREE_H

#include "base/types.h"

/* A tree in the making: the first error sticks and silences all later calls. */
struct tree {
    void *fdt; /* the caller's room, begun with fdt_create and fdt_finish_reservemap */
    int error; /* of libfdt */
};

/* Keeps what a call of libfdt's gave, if it is the first error. */
void tree_do(struct tree *t, int result);

void tree_begin(struct tree *t, const char *name);
/* A node named name@base. */
void tree_begin_at(struct tree *t, const char *name, u64 base);
void tree_end(struct tree *t);

void tree_bytes(struct tree *t, const char *name, const void *bytes, size_t len);
void tree_flag(struct tree *t, const char *name);
void tree_string(struct tree *t, const char *name, const char *text);
/* A list of strings, given with '\n' between them. */
void tree_strings(struct tree *t, const char *name, const char *list);
void tree_cell(struct tree *t, const char *name, u32 value);
void tree_u64(struct tree *t, const char *name, u64 value);
void tree_cells(struct tree *t, const char *name, const u32 *cells, size_t count);
/* "reg" with two cells for the address and two for the size. */
void tree_reg(struct tree *t, u64 base, u64 size);

#endif
