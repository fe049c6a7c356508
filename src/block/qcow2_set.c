/* SPDX-License-Identifier: BSD-2-Clause */
/* A set of cluster numbers: open addressing, at most half full. */
#include "block/qcow2_impl.h"

#include <errno.h>
#include <stdlib.h>

static u64 set_home(const struct qcow2_set *set, u64 cluster)
{
    return (cluster * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (set->size - 1);
}

static u64 set_find(const struct qcow2_set *set, u64 cluster)
{
    u64 i = set_home(set, cluster);

    while (set->slot[i] && set->slot[i] != cluster + 1)
        i = (i + 1) & (set->size - 1);
    return i;
}

static int set_grow(struct qcow2_set *set)
{
    struct qcow2_set old = *set;
    u64 size = old.size ? old.size * 2 : 256;
    u64 *slot = calloc(size, sizeof(*slot));

    if (!slot)
        return -ENOMEM;
    set->slot = slot;
    set->size = size;
    for (u64 i = 0; i < old.size; i++)
        if (old.slot[i])
            set->slot[set_find(set, old.slot[i] - 1)] = old.slot[i];
    free(old.slot);
    return 0;
}

int qcow2_set_add(struct qcow2_set *set, u64 cluster)
{
    u64 i;

    if (set->count * 2 >= set->size) {
        int ret = set_grow(set);

        if (ret)
            return ret;
    }
    i = set_find(set, cluster);
    set->count += !set->slot[i];
    set->slot[i] = cluster + 1;
    return 0;
}

void qcow2_set_remove(struct qcow2_set *set, u64 cluster)
{
    u64 i, gap;

    if (!set->size)
        return;
    gap = i = set_find(set, cluster);
    if (!set->slot[i])
        return;
    set->count--;
    set->slot[i] = 0;
    /* What follows without a gap may have been put off by what is gone: it moves up. */
    for (;;) {
        u64 home;

        i = (i + 1) & (set->size - 1);
        if (!set->slot[i])
            return;
        home = set_home(set, set->slot[i] - 1);
        if (((i - home) & (set->size - 1)) < ((i - gap) & (set->size - 1)))
            continue;
        set->slot[gap] = set->slot[i];
        set->slot[i] = 0;
        gap = i;
    }
}

bool qcow2_set_has(const struct qcow2_set *set, u64 cluster)
{
    return set->size && set->slot[set_find(set, cluster)];
}

void qcow2_set_clear(struct qcow2_set *set)
{
    free(set->slot);
    *set = (struct qcow2_set){0};
}
