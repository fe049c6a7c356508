/* SPDX-License-Identifier: BSD-2-Clause */
/* A configuration of cosm-metal from its file to what is placed and checked. */
#include "plan/plan.h"

#include "base/checked.h"
#include "host/file.h"
#include "metal/sha256.h"
#include "plan/check.h"
#include "plan/guest_dtb.h"
#include "plan/images.h"
#include "plan/place.h"
#include "plan/read.h"

#include <stdlib.h>
#include <string.h>

static int check_tables(struct plan *p)
{
    static const struct plan_key keys[] = {
        {"board", KIND(TABLE), take_node, 0},   {"partition", KIND(ARRAY), take_node, 0},
        {"hart", KIND(ARRAY), take_node, 0},    {"plan", KIND(ARRAY), take_node, 0},
        {"channel", KIND(ARRAY), take_node, 0}, {"virtio", KIND(ARRAY), take_node, 0},
    };
    const struct toml_node *ignored;

    return read_table(p, p->toml.root, "a configuration", keys, ARRAY_SIZE(keys), &ignored);
}

/* A serial port of the board that lies there serves as well. */
static void drop_console(struct plan *p, u32 partition)
{
    for (u32 i = 0; i < p->region_count; i++) {
        const struct plan_region *r = &p->region[i];

        if (r->partition == partition && r->kind == PLAN_DEVICE &&
            range_overlaps(r->gpa, r->size, GUEST_UART, PLAN_PAGE))
            p->partition[partition].console = false;
    }
}

/* What each partition finds among its addresses without asking for it. */
static int add_controllers(struct plan *p)
{
    const bool aia = p->board.intc == METAL_INTC_AIA;
    int r = 0;

    for (u32 i = 0; i < p->partition_count && !r; i++) {
        const struct plan_partition *part = &p->partition[i];
        struct plan_region intc = {.kind = PLAN_INTC,
                                   .partition = i,
                                   .gpa = aia ? GUEST_APLIC : GUEST_PLIC,
                                   .size = aia ? GUEST_APLIC_SIZE : GUEST_PLIC_SIZE,
                                   .node = part->node};
        struct plan_region imsic = {.kind = PLAN_IMSIC,
                                    .partition = i,
                                    .gpa = GUEST_IMSIC,
                                    .size = part->vcpu_count * PLAN_PAGE,
                                    .node = part->node};
        struct plan_region uart = {.kind = PLAN_UART,
                                   .partition = i,
                                   .gpa = GUEST_UART,
                                   .size = PLAN_PAGE,
                                   .node = part->node};

        drop_console(p, i);
        r = plan_add_region(p, &intc);
        if (!r && part->console)
            r = plan_add_region(p, &uart);
        if (!r && aia)
            r = plan_add_region(p, &imsic);
    }
    return r;
}

static int read_all(struct plan *p)
{
    int r = check_tables(p);

    if (!r)
        r = read_board(p);
    if (!r)
        r = read_partitions(p);
    if (!r)
        r = add_controllers(p);
    if (!r)
        r = read_harts(p);
    if (!r)
        r = read_schedules(p);
    if (!r)
        r = read_health(p);
    if (!r)
        r = read_channels(p);
    return r ? r : read_virtio(p);
}

/* Where vectors are kept, nothing if nobody may use them. */
static u32 vector_size(const struct plan *p)
{
    for (u32 i = 0; i < p->partition_count; i++) {
        if (p->partition[i].vector)
            return p->vcpu_count * METAL_VECTOR_BYTES;
    }
    return 0;
}

/* Where the images lie in cosm-metal.bin, behind the core and vectors, each on a page; one that is
 * there already is not put there twice. */
static u64 lay_out(struct plan *p, u64 core_size)
{
    u64 end = align_up(core_size, PLAN_PAGE) + p->vector_size;

    for (u32 i = 0; i < p->image_count; i++) {
        struct plan_image *image = &p->image[i];
        u32 j = 0;

        while (j < i && (p->image[j].size != image->size ||
                         memcmp(p->image[j].sha256, image->sha256, sizeof(image->sha256))))
            j++;
        image->offset = j < i ? p->image[j].offset : end;
        if (j == i)
            end = align_up(end + image->size, PLAN_PAGE);
    }
    return end;
}

int plan_compile(struct plan *p, const char *path, const char *text, size_t size, u64 core_size,
                 struct err *err)
{
    struct sha256 sum;
    int r;

    *p = (struct plan){.path = path, .err = err};
    sha256_init(&sum);
    sha256_update(&sum, text, size);
    sha256_final(&sum, p->source_sha256);
    r = toml_parse(&p->toml, path, text, size, err);
    if (!r)
        r = read_all(p);
    if (!r)
        r = plan_check(p);
    if (!r)
        r = place_guest(p);
    if (!r)
        r = plan_images(p);
    if (r)
        return r;
    p->vector_size = vector_size(p);
    p->self_size = lay_out(p, core_size);
    return place_board(p);
}

int plan_load(struct plan *p, const char *path, u64 core_size, struct err *err)
{
    u8 *text;
    u64 size;
    int r = file_read("configuration", path, TOML_TEXT_MAX, &text, &size, err);

    *p = (struct plan){.path = path};
    if (r)
        return r;
    r = plan_compile(p, path, (const char *)text, size, core_size, err);
    free(text);
    return r;
}

void plan_free(struct plan *p)
{
    for (u32 i = 0; i < p->image_count; i++)
        free(p->image[i].bytes);
    free(p->board.fdt);
    if (p->toml.root)
        toml_free(&p->toml);
    *p = (struct plan){0};
}
