/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is put into the memory of partitions.
 *
 * A program or kernel lies at the beginning of a partition's first memory (a Linux Image as far
 * behind it as its header says: Linux, Documentation/arch/riscv/boot-image-header.rst), the device
 * tree at its end, the initial RAM file system right below. An ELF file lies where its segments
 * say.
 */
#include "plan/images.h"

#include "base/checked.h"
#include "base/endian.h"
#include "base/fmt.h"
#include "machine/image_elf.h"
#include "machine/image_unpack.h"
#include "metal/sha256.h"
#include "plan/files.h"
#include "plan/flat.h"
#include "plan/guest_dtb.h"
#include "plan/read.h"

#include <stdlib.h>
#include <string.h>

#define PROGRAM_MAX  (256 * MIB)
#define LINUX_HEADER 64
#define LINUX_MAGIC  0x05435352u /* "RSC\5" */

/* The memory of a partition that holds a range; NULL: none. */
static const struct plan_region *memory_of(const struct plan *p, u32 partition, u64 gpa, u64 size)
{
    for (u32 i = 0; i < p->region_count; i++) {
        const struct plan_region *r = &p->region[i];

        if (r->kind == PLAN_MEMORY && r->partition == partition &&
            range_within(gpa, size, r->gpa, r->size))
            return r;
    }
    return NULL;
}

/* Adds an image, which owns its bytes then: they are freed if it is refused. */
static int add_image(struct plan *p, struct plan_image *image)
{
    const struct plan_partition *part = &p->partition[image->partition];
    struct sha256 sum;
    int r = 0;

    if (p->image_count == METAL_IMAGES_MAX)
        r = plan_refuse(p, image->node, "all partitions together have more than %u images",
                        METAL_IMAGES_MAX);
    else if (!memory_of(p, image->partition, image->gpa, image->span))
        r = plan_refuse(p, image->node,
                        "%s takes %llu bytes from 0x%llx on, which are not in the memory "
                        "of '%s' (line %u)",
                        image->name, (unsigned long long)image->span,
                        (unsigned long long)image->gpa, part->name, part->memory->line);
    else if (image->gpa % 8)
        r = plan_refuse(p, image->node, "%s at 0x%llx is not at a multiple of 8", image->name,
                        (unsigned long long)image->gpa);
    for (u32 i = 0; i < p->image_count && !r; i++) {
        const struct plan_image *other = &p->image[i];

        if (other->partition == image->partition &&
            range_overlaps(other->gpa, other->span, image->gpa, image->span))
            r = plan_refuse(p, image->node,
                            "%s at 0x%llx overlaps %s of line %u, which is at 0x%llx to "
                            "0x%llx",
                            image->name, (unsigned long long)image->gpa, other->name,
                            other->node->line, (unsigned long long)other->gpa,
                            (unsigned long long)(other->gpa + other->span - 1));
    }
    if (r) {
        free(image->bytes);
        return r;
    }
    sha256_init(&sum);
    sha256_update(&sum, image->bytes, image->size);
    sha256_final(&sum, image->sha256);
    p->image[p->image_count++] = *image;
    return 0;
}

static void name_image(struct plan_image *image, const char *path)
{
    const char *slash = strrchr(path, '/');

    fmt_print(image->name, sizeof(image->name), "%s", slash ? slash + 1 : path);
}

/* An ELF file, of which image has the bytes: they become what memory holds. */
static int make_flat(struct plan *p, struct plan_image *image, u64 *entry)
{
    const struct image_source elf = {image->name, image->bytes, image->size};
    struct flat flat;
    struct err err;
    int r = flat_make(&elf, FLAT_PROGRAM, PROGRAM_MAX, &flat, &err);

    free(image->bytes);
    image->bytes = NULL;
    if (r)
        return plan_refuse(p, image->node, "'%s' cannot be loaded: %s", image->name, err.msg);
    image->bytes = flat.bytes;
    image->size = flat.size;
    image->span = flat.span;
    image->gpa = flat.base;
    *entry = flat.entry;
    return 0;
}

static int unpack(struct plan *p, struct plan_image *image)
{
    const struct image_source packed = {image->name, image->bytes, image->size};
    struct err err;
    size_t size;
    u8 *bytes;

    if (!image_is_packed(&packed))
        return 0;
    if (image_unpack(&packed, PROGRAM_MAX, &bytes, &size, &err))
        return plan_refuse(p, image->node, "'%s' cannot be unpacked: %s", image->name, err.msg);
    free(image->bytes);
    image->bytes = bytes;
    image->size = image->span = size;
    return 0;
}

static void place_linux(struct plan_image *image)
{
    const u8 *header = image->bytes;
    u64 span;

    if (image->size < LINUX_HEADER || le32_load(header + 56) != LINUX_MAGIC)
        return;
    span = le64_load(header + 16);
    image->gpa += le64_load(header + 8);
    if (span > image->size)
        image->span = span;
}

/* None: it is among images =, where entry = says. */
static int find_program(struct plan *p, const struct plan_partition *part,
                        const struct toml_node **found)
{
    const struct toml_node *n[] = {part->kernel, part->image, part->program};

    *found = NULL;
    for (u32 i = 0; i < ARRAY_SIZE(n); i++) {
        if (n[i] && *found)
            return plan_refuse(p, n[i], "'%s' and, in line %u, '%s': one of both runs", n[i]->key,
                               (*found)->line, (*found)->key);
        if (n[i])
            *found = n[i];
    }
    if (!*found && !(part->images && part->entry_node))
        return plan_refuse(p, part->node,
                           "'%s' has nothing to run: image = FILE or kernel = FILE, or images = "
                           "[...] and entry",
                           part->name);
    return 0;
}

/* program = "virtio": what cosm brings along. */
static int read_program(struct plan *p, const struct toml_node *n, struct plan_image *image)
{
    static const char *const names[] = {"virtio", NULL};
    u32 i;
    int r = read_choice(p, n, names, "program", &i);

    if (r)
        return r;
    if (!plan_service_elf_size)
        return plan_refuse(p, n,
                           "this cosm was built without riscv64-linux-gnu-gcc, so it has no "
                           "virtio service in it; give one: image = \"virtio-service.elf\"");
    image->bytes = malloc(plan_service_elf_size);
    if (!image->bytes)
        return plan_refuse(p, n, "no memory for the virtio service");
    memcpy(image->bytes, plan_service_elf, plan_service_elf_size);
    image->size = plan_service_elf_size;
    name_image(image, "virtio-service.elf");
    return 0;
}

/* What runs first: kernel =, image = or program =. */
static int load_program(struct plan *p, u32 partition)
{
    struct plan_partition *part = &p->partition[partition];
    const struct plan_region *memory = plan_memory(p, partition);
    struct plan_image image = {.partition = partition, .gpa = memory->gpa};
    u64 entry;
    int r = find_program(p, part, &image.node);

    if (!r && !image.node)
        return 0;
    if (!r && part->program)
        r = read_program(p, image.node, &image);
    else if (!r)
        r = files_read(p, image.node, PROGRAM_MAX, &image.bytes, &image.size);
    if (r)
        return r;
    if (!part->program)
        name_image(&image, image.node->text);
    image.span = image.size;
    if (part->kernel)
        r = unpack(p, &image);
    if (!r && part->kernel)
        place_linux(&image);
    entry = image.gpa;
    if (!r && image_is_elf(&(struct image_source){image.name, image.bytes, image.size}))
        r = make_flat(p, &image, &entry);
    if (r) {
        free(image.bytes);
        return r;
    }
    if (!part->entry_node)
        part->entry = entry;
    return add_image(p, &image);
}

struct file_table {
    const struct toml_node *file, *at;
};

static const struct plan_key file_keys[] = {
    {"file", KIND(STRING), take_node, offsetof(struct file_table, file), true},
    {"at", KIND(INTEGER), take_node, offsetof(struct file_table, at), true},
};

/* One of images = [{ file = FILE, at = ADDRESS }, ...]. */
static int load_file(struct plan *p, u32 partition, const struct toml_node *n)
{
    struct plan_image image = {.partition = partition};
    struct file_table t = {0};
    int r = n->kind == TOML_TABLE
                ? read_table(p, n, "an image", file_keys, ARRAY_SIZE(file_keys), &t)
                : plan_refuse(p, n, "an image is { file = FILE, at = ADDRESS }, not %s",
                              toml_kind_name(n->kind));

    if (!r)
        r = files_read(p, t.file, PLAN_IMAGE_MAX, &image.bytes, &image.size);
    if (r)
        return r;
    image.node = t.file;
    image.gpa = (u64)t.at->integer;
    image.span = image.size;
    name_image(&image, t.file->text);
    return add_image(p, &image);
}

static int make_dtb(struct plan *p, u32 partition, const struct plan_image *given,
                    struct plan_image *image)
{
    if (given->bytes)
        return guest_dtb_patch(p, partition, given->bytes, given->size, &image->bytes,
                               &image->size);
    return guest_dtb_make(p, partition, &image->bytes, &image->size);
}

/* Not in memory: at its beginning, which is where the program lies, or does not fit. */
static u64 below(u64 end, u64 size, u64 base)
{
    return end - base < size ? base : align_down(end - size, PLAN_PAGE);
}

/* The device tree tells where the file system is, which is below the device tree: its size, which
 * the address does not change, is found by making it once more. */
static int load_dtb(struct plan *p, u32 partition, const struct plan_image *given)
{
    struct plan_partition *part = &p->partition[partition];
    const struct plan_region *memory = plan_memory(p, partition);
    const u64 end = memory->gpa + memory->size;
    struct plan_image dtb = {.partition = partition, .node = part->dtb ? part->dtb : part->node};
    struct plan_image initrd = {.partition = partition, .node = part->initrd};
    int r = 0;

    fmt_print(dtb.name, sizeof(dtb.name), "%s.dtb", part->name);
    if (part->initrd) {
        name_image(&initrd, part->initrd->text);
        r = files_read(p, part->initrd, PLAN_IMAGE_MAX, &initrd.bytes, &initrd.size);
        initrd.span = part->initrd_size = initrd.size;
    }
    if (!r)
        r = make_dtb(p, partition, given, &dtb);
    if (!r && part->initrd) {
        free(dtb.bytes);
        dtb.bytes = NULL;
        part->initrd_gpa = initrd.gpa =
            below(below(end, dtb.size, memory->gpa), initrd.size, memory->gpa);
        r = make_dtb(p, partition, given, &dtb);
    }
    if (r) {
        free(initrd.bytes);
        return r;
    }
    dtb.span = dtb.size;
    dtb.gpa = part->arg = below(end, dtb.size, memory->gpa);
    if (part->initrd)
        r = add_image(p, &initrd);
    if (r) {
        free(dtb.bytes);
        return r;
    }
    return add_image(p, &dtb);
}

static int load_given_dtb(struct plan *p, u32 partition, struct plan_image *given)
{
    const struct toml_node *n = p->partition[partition].dtb;

    *given = (struct plan_image){0};
    return n ? files_read(p, n, 16 * MIB, &given->bytes, &given->size) : 0;
}

static int check_entry(struct plan *p, const struct plan_partition *part)
{
    const struct toml_node *at = part->entry_node ? part->entry_node : part->node;

    if (memory_of(p, (u32)(part - p->partition), part->entry, 2))
        return 0;
    return plan_refuse(p, at, "'%s' begins at 0x%llx, which is not in its memory (line %u)",
                       part->name, (unsigned long long)part->entry, part->memory->line);
}

/* A disk is memory of its service that holds nothing else but what fills it. */
static int check_disk(struct plan *p, const struct plan_vdev *v)
{
    if (!memory_of(p, v->service, v->disk, v->disk_size))
        return plan_refuse(p, v->node, "the disk at 0x%llx is not in the memory of '%s' (line %u)",
                           (unsigned long long)v->disk, p->partition[v->service].name,
                           p->partition[v->service].memory->line);
    for (u32 i = 0; i < p->image_count; i++) {
        const struct plan_image *image = &p->image[i];

        if (image->partition == v->service &&
            range_overlaps(image->gpa, image->span, v->disk, v->disk_size) &&
            !range_within(image->gpa, image->span, v->disk, v->disk_size))
            return plan_refuse(p, v->node,
                               "the disk at 0x%llx overlaps %s of line %u, which is at "
                               "0x%llx to 0x%llx",
                               (unsigned long long)v->disk, image->name, image->node->line,
                               (unsigned long long)image->gpa,
                               (unsigned long long)(image->gpa + image->span - 1));
    }
    return 0;
}

int plan_images(struct plan *p)
{
    int r = 0;

    for (u32 i = 0; i < p->partition_count && !r; i++) {
        const struct toml_node *list = p->partition[i].images;
        struct plan_image given;

        r = load_program(p, i);
        for (const struct toml_node *n = list ? list->first : NULL; n && !r; n = n->next)
            r = load_file(p, i, n);
        if (!r)
            r = load_given_dtb(p, i, &given);
        if (r)
            break;
        r = load_dtb(p, i, &given);
        free(given.bytes);
        if (!r)
            r = check_entry(p, &p->partition[i]);
    }
    for (u32 i = 0; i < p->vdev_count && !r; i++) {
        if (p->vdev[i].kind == PLAN_VIRTIO_BLK)
            r = check_disk(p, &p->vdev[i]);
    }
    return r;
}
