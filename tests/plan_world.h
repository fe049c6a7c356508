/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For tests of the compiler of configurations: the files that they name, and what must hold of all
 * that it takes. Include it in one file of a program: it stands in for plan/files.c.
 */
#ifndef COSM_TESTS_PLAN_WORLD_H
#define COSM_TESTS_PLAN_WORLD_H

#include "metal/gstage.h"
#include "plan/audit.h"
#include "plan/files.h"
#include "tests/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Any name gives a file of as many bytes as the number in it, 100 without; "no..." gives none. */
int files_read(struct plan *p, const struct toml_node *n, u64 max, u8 **bytes, u64 *size)
{
    const char *digits = n->text + strcspn(n->text, "0123456789");
    u64 wanted = *digits ? strtoull(digits, NULL, 10) % (1 << 20) : 100;

    if (!strncmp(n->text, "no", 2) || !wanted || wanted > max)
        return plan_refuse(p, n, "'%s' is not there", n->text);
    *bytes = calloc(1, wanted + 1);
    ASSERT(*bytes);
    memset(*bytes, n->text[0], wanted);
    *size = wanted;
    return 0;
}

/* The hypervisor's own mapper takes all regions, with as many tables as were counted. */
static inline void world_check_tables(const struct plan *p, const struct metal_config *c)
{
    static u64 page[METAL_TABLES_MAX][512];
    struct gstage_pool pool = {page, 0x80000000, 0, METAL_TABLES_MAX};

    memset(page, 0, sizeof(page));
    for (u32 i = 0; i < c->partition_count; i++) {
        u32 root = gstage_root(&pool);

        ASSERT(root != METAL_NONE);
        for (u32 r = 0; r < c->partition[i].region_count; r++)
            ASSERT(gstage_map(&pool, root, &c->region[c->partition[i].region_first + r]));
    }
    ASSERT(pool.used == p->table_pages);
}

/* All that must hold of a configuration that was taken. */
static inline void world_check(const struct plan *p)
{
    struct metal_config *c = malloc(sizeof(*c));
    const char *wrong;

    ASSERT(c);
    plan_emit(p, p->self_size, c);
    wrong = audit_config(c);
    if (wrong)
        printf("# %s\n", wrong);
    ASSERT(!wrong);
    world_check_tables(p, c);
    free(c);
}

#endif
