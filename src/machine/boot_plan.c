/* SPDX-License-Identifier: BSD-2-Clause */
/* Where firmware, kernel, initial RAM disk and device tree go in RAM. */
#include "machine/boot_plan.h"

#include <errno.h>

#define KERNEL_OFFSET   (2 * MIB) /* above RAM's base, or a multiple above the firmware */
#define INITRD_HALF_MAX (512 * MIB)
#define PAGE            UINT64_C(4096)
#define DTB_TOP         (3 * GIB)  /* physical address: 32-bit firmware reaches it */
#define DTB_ROOM        (64 * KIB) /* firmware grows the tree in place */
#define DTB_ALIGN       (2 * MIB)

static const char *const part_name[BOOT_PARTS] = {"firmware", "kernel", "initrd", "device tree"};

static gpa_t ram_end(const struct boot_plan *plan)
{
    return plan->ram + plan->ram_size;
}

/* The first part that [start, start + size) overlaps, or NULL. */
static const struct boot_part *find_overlap(const struct boot_plan *plan, gpa_t start, u64 size)
{
    for (u32 i = 0; i < BOOT_PARTS; i++) {
        const struct boot_part *p = &plan->part[i];
        if (range_overlaps(start, size, p->start, p->end - p->start))
            return p;
    }
    return NULL;
}

static bool is_free(const struct boot_plan *plan, gpa_t start, u64 size)
{
    return range_within(start, size, plan->ram, plan->ram_size) && !find_overlap(plan, start, size);
}

/* End of the highest part. */
static gpa_t highest_end(const struct boot_plan *plan)
{
    gpa_t end = plan->ram;

    for (u32 i = 0; i < BOOT_PARTS; i++) {
        if (plan->part[i].end > end)
            end = plan->part[i].end;
    }
    return end;
}

static int add_part(struct boot_plan *plan, enum boot_part_kind kind, const char *name, gpa_t start,
                    u64 size, const char *way_out, struct err *err)
{
    const struct boot_part *other = find_overlap(plan, start, size);

    if (other)
        return err_set(err, EINVAL, "%s '%s' (0x%llx-0x%llx) overlaps %s '%s' (0x%llx-0x%llx): %s",
                       part_name[kind], name, (unsigned long long)start,
                       (unsigned long long)(start + size), part_name[other - plan->part],
                       other->name, (unsigned long long)other->start,
                       (unsigned long long)other->end, way_out);
    plan->part[kind] = (struct boot_part){name, start, start + size};
    return 0;
}

static int load_image(struct boot_plan *plan, enum boot_part_kind kind,
                      const struct image_source *source, const struct gmem *gmem,
                      const struct image_place *place, gpa_t *entry, struct err *err)
{
    struct image_info info;
    int rc = image_load(source, gmem, place, &info, err);

    if (rc)
        return rc;
    *entry = info.entry;
    return add_part(plan, kind, source->name, info.start, info.end - info.start,
                    "link it elsewhere, or use a position-independent one", err);
}

static int load_firmware(struct boot_plan *plan, const struct image_source *source,
                         const struct gmem *gmem, struct err *err)
{
    const struct image_place place = {plan->ram, IMAGE_FIRMWARE};

    return load_image(plan, BOOT_FIRMWARE, source, gmem, &place, &plan->firmware_entry, err);
}

static int load_kernel(struct boot_plan *plan, const struct image_source *source,
                       const struct gmem *gmem, struct err *err)
{
    const struct boot_part *firmware = &plan->part[BOOT_FIRMWARE];
    struct image_place place = {plan->ram + KERNEL_OFFSET, IMAGE_KERNEL};

    if (firmware->end > place.base)
        place.base = align_up(firmware->end, KERNEL_OFFSET);
    return load_image(plan, BOOT_KERNEL, source, gmem, &place, &plan->kernel_entry, err);
}

/* Where the initial RAM disk fits, or 0. The device tree gets its room above or below it. */
static gpa_t initrd_place(const struct boot_plan *plan, u64 size)
{
    const struct boot_part *kernel = &plan->part[BOOT_KERNEL];
    u64 half = plan->ram_size / 2 < INITRD_HALF_MAX ? plan->ram_size / 2 : INITRD_HALF_MAX;
    gpa_t want = align_up((kernel->end ? kernel->start : plan->ram + KERNEL_OFFSET) + half, PAGE);
    gpa_t after = align_up(highest_end(plan), PAGE);

    if (after < plan->ram + KERNEL_OFFSET)
        after = plan->ram + KERNEL_OFFSET;
    if (is_free(plan, want, size) && ram_end(plan) - want - size >= DTB_ALIGN)
        return want;
    return is_free(plan, after, size) ? after : 0;
}

static int load_initrd(struct boot_plan *plan, const struct image_source *source,
                       const struct gmem *gmem, struct err *err)
{
    gpa_t gpa = initrd_place(plan, source->size);
    int rc;

    if (!source->size)
        return err_set(err, EINVAL, "initrd '%s' is empty", source->name);
    if (!gpa) {
        u64 used = highest_end(plan) - plan->ram, need;
        if (!checked_add(used + DTB_ALIGN, source->size, &need))
            need = UINT64_MAX;
        return err_set(err, ENOMEM,
                       "initrd '%s' (%llu KiB) does not fit above the kernel in %llu MiB of RAM: "
                       "give the guest more memory with -m %uM",
                       source->name, (unsigned long long)((source->size + 1023) / 1024),
                       (unsigned long long)(plan->ram_size / MIB), image_advice_mib(need));
    }
    rc = add_part(plan, BOOT_INITRD, source->name, gpa, source->size, "give it another place", err);
    if (rc)
        return rc;
    gmem_reach(gmem, gpa, source->size);
    if (!gmem_write(gmem, gpa, source->bytes, source->size))
        return err_set(err, EFAULT, "initrd '%s' does not fit in RAM", source->name);
    plan->initrd = gpa;
    plan->initrd_size = source->size;
    return 0;
}

int boot_plan_load(struct boot_plan *plan, const struct boot_files *files, const struct gmem *gmem,
                   gpa_t ram, struct err *err)
{
    const struct gmem_region *region = gmem_find(gmem, ram, 1);
    int rc = 0;

    if (!region || region->readonly)
        return err_set(err, EINVAL, "there is no RAM at 0x%llx", (unsigned long long)ram);
    if (!files->firmware.bytes && !files->kernel.bytes)
        return err_set(err, EINVAL,
                       "there is nothing to boot: name a kernel with --kernel or firmware with "
                       "--bios");
    *plan = (struct boot_plan){.ram = ram, .ram_size = region->size - (ram - region->base)};
    if (files->firmware.bytes)
        rc = load_firmware(plan, &files->firmware, gmem, err);
    if (!rc && files->kernel.bytes)
        rc = load_kernel(plan, &files->kernel, gmem, err);
    if (!rc && files->initrd.bytes)
        rc = load_initrd(plan, &files->initrd, gmem, err);
    return rc;
}

/* Room for the tree: QEMU's place, else as high as can be, else above or below all parts; or 0. */
static gpa_t dtb_place(const struct boot_plan *plan, u64 size)
{
    gpa_t top = ram_end(plan) < DTB_TOP ? ram_end(plan) : DTB_TOP;
    gpa_t after = align_up(highest_end(plan), PAGE);
    gpa_t try[5] = {0};

    if (size > plan->ram_size)
        return 0;
    try[0] = align_down(top - size, DTB_ALIGN);
    try[1] = align_down(top - size, PAGE);
    try[2] = after;
    if (plan->part[BOOT_INITRD].end)
        try[3] = align_down(plan->part[BOOT_INITRD].start - size, PAGE);
    if (plan->part[BOOT_KERNEL].end)
        try[4] = align_down(plan->part[BOOT_KERNEL].start - size, PAGE);
    for (u32 i = 0; i < ARRAY_SIZE(try); i++) {
        if (is_free(plan, try[i], size))
            return try[i];
    }
    return 0;
}

int boot_plan_dtb(struct boot_plan *plan, const char *name, const void *dtb, size_t size,
                  const struct gmem *gmem, struct err *err)
{
    gpa_t gpa;
    int rc;

    plan->part[BOOT_DTB] = (struct boot_part){0};
    gpa = dtb_place(plan, size + DTB_ROOM);
    if (!gpa)
        return err_set(err, ENOMEM,
                       "device tree '%s' (%zu KiB) finds no room beside kernel and initrd in %llu "
                       "MiB of RAM: give the guest more memory with -m %uM",
                       name, (size + 1023) / 1024, (unsigned long long)(plan->ram_size / MIB),
                       image_advice_mib(2 * plan->ram_size));
    rc = add_part(plan, BOOT_DTB, name, gpa, size + DTB_ROOM, "give the guest more memory", err);
    if (rc)
        return rc;
    if (!gmem_write(gmem, gpa, dtb, size))
        return err_set(err, EFAULT, "device tree '%s' does not fit in RAM", name);
    plan->dtb = gpa;
    return 0;
}
