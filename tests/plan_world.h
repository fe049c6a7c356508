/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For tests of the compiler of configurations: the files that they name, and what must hold of all
 * that it takes. Include it in one file of a program: it stands in for plan/files.c.
 */
#ifndef COSM_TESTS_PLAN_WORLD_H
#define COSM_TESTS_PLAN_WORLD_H

#include "base/checked.h"
#include "metal/gstage.h"
#include "plan/files.h"
#include "tests/assert.h"

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

/* The ends of a channel, or memory and a window onto it: the same piece, whole, in two partitions.
 */
static inline bool world_is_shared(const struct metal_region *a, const struct metal_region *b)
{
    return (a->flags | b->flags) & METAL_REGION_SHARED && a->partition != b->partition &&
           a->hpa == b->hpa && a->size == b->size;
}

/* What the hypervisor maps of itself (metal/paging.c): large pages behind its first 2 MiB. */
static inline u64 world_self(const struct metal_config *c)
{
    u64 size = c->board.self_size;

    return size > 2 * MIB ? align_up(size, 2 * MIB) : size;
}

/* No two regions meet, on the board or in a partition, but for what a channel or a window shares.
 */
static inline void world_check_regions(const struct metal_config *c)
{
    for (u32 i = 0; i < c->region_count; i++) {
        const struct metal_region *a = &c->region[i];

        ASSERT(a->size && !((a->gpa | a->hpa | a->size) % 4096));
        ASSERT(a->partition < c->partition_count);
        if (!(a->flags & METAL_REGION_DEVICE)) {
            ASSERT(range_within(a->hpa, a->size, c->board.ram_hpa, c->board.ram_size));
            ASSERT(!range_overlaps(a->hpa, a->size, c->board.self_hpa, world_self(c)));
        }
        ASSERT(!(a->flags & METAL_REGION_EXEC &&
                 a->flags & (METAL_REGION_DEVICE | METAL_REGION_SHARED)));
        for (u32 j = 0; j < i; j++) {
            const struct metal_region *b = &c->region[j];

            ASSERT(a->partition != b->partition ||
                   !range_overlaps(a->gpa, a->size, b->gpa, b->size));
            ASSERT(!range_overlaps(a->hpa, a->size, b->hpa, b->size) || world_is_shared(a, b));
        }
    }
}

/* The windows of a hart are in order, within the frame, apart, and of vCPUs that are there. */
static inline void world_check_windows(const struct metal_config *c)
{
    for (u32 p = 0; p < c->plan_count; p++) {
        for (u32 h = 0; h < c->board.hart_count; h++) {
            const struct metal_window *w = c->plan[p].window[h];
            u64 end = 0;

            for (u32 i = 0; i < c->plan[p].window_count[h]; end = w[i].start + w[i].length, i++) {
                ASSERT(w[i].start >= end && w[i].length);
                ASSERT(range_within(w[i].start, w[i].length, 0, c->plan[p].frame));
                ASSERT(w[i].vcpu < c->vcpu_count && c->vcpu[w[i].vcpu].hart == h);
                ASSERT(c->hart[h].mode == METAL_HART_CYCLIC);
            }
        }
    }
}

static inline void world_check_vcpus(const struct metal_config *c)
{
    u32 next = 0;

    for (u32 h = 0; h < c->board.hart_count; h++) {
        const struct metal_hart *hart = &c->hart[h];

        ASSERT(hart->vcpu_first == next && (hart->mode == METAL_HART_UNUSED) == !hart->vcpu_count);
        ASSERT(hart->mode != METAL_HART_EXCLUSIVE || hart->vcpu_count == 1);
        for (; next < hart->vcpu_first + hart->vcpu_count; next++)
            ASSERT(c->vcpu[next].hart == h);
    }
    ASSERT(next == c->vcpu_count);
    for (u32 p = 0; p < c->partition_count; p++) {
        const struct metal_partition *part = &c->partition[p];

        ASSERT(part->vcpu_count);
        for (u32 n = 0; n < part->vcpu_count; n++) {
            const struct metal_vcpu *v = &c->vcpu[c->vcpu_of[part->vcpu_first + n]];

            ASSERT(v->partition == p && v->number == n);
        }
    }
}

/* Images lie in memory of their partition, and in the image of the whole behind the core. */
static inline void world_check_images(const struct metal_config *c)
{
    for (u32 i = 0; i < c->image_count; i++) {
        const struct metal_image *m = &c->image[i];
        bool found = false;

        ASSERT(!(m->offset % 8) && !(m->gpa % 8));
        ASSERT(range_within(m->offset, m->size, 0, c->image_bytes));
        for (u32 r = 0; r < c->region_count; r++)
            found |= c->region[r].partition == m->partition &&
                     c->region[r].flags & METAL_REGION_EXEC &&
                     range_within(m->gpa, m->size, c->region[r].gpa, c->region[r].size);
        ASSERT(found);
    }
}

static inline void world_check_interrupts(const struct metal_config *c)
{
    for (u32 i = 0; i < c->irq_count; i++) {
        ASSERT(c->irq[i].source && c->irq[i].source <= c->board.sources);
        ASSERT(c->irq[i].virtual_source <= c->partition[c->irq[i].partition].sources);
        ASSERT(c->irq[i].virtual_source ||
               (c->board.iommu_hpa && c->irq[i].partition == c->board.dma_partition));
        ASSERT(!i || c->irq[i].source > c->irq[i - 1].source);
    }
    for (u32 i = 0; i < c->doorbell_count; i++) {
        const struct metal_doorbell *d = &c->doorbell[i];

        ASSERT(d->from != d->to && d->virtual_source);
        ASSERT(d->virtual_source <= c->partition[d->to].sources);
        ASSERT(!i || d->from >= c->doorbell[i - 1].from);
    }
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

    ASSERT(c);
    plan_emit(p, p->self_size, c);
    world_check_regions(c);
    world_check_windows(c);
    world_check_vcpus(c);
    world_check_images(c);
    world_check_interrupts(c);
    world_check_tables(p, c);
    free(c);
}

#endif
