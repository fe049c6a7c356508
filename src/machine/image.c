/* SPDX-License-Identifier: BSD-2-Clause */
/* Boot images: recognises, checks and loads what --kernel and --bios name. */
#include "machine/image.h"

#include "base/assert.h"
#include "base/mem.h"
#include "machine/image_elf.h"
#include "machine/image_unpack.h"

#include <errno.h>
#include <stdlib.h>

#define LINUX_HEADER     64 /* bytes */
#define LINUX_ALIGN      (2 * MIB)
#define LINUX_SIZE_MAX   (4 * GIB) /* beyond this the header lies */
#define LINUX_BIG_ENDIAN BIT(0)    /* of flags */

/* Files that people hand in by mistake, and what to do instead. */
static const struct foreign {
    u32 offset;
    u32 len;
    const char *magic;
    const char *what;
    const char *way_out;
} foreign[] = {
    {56, 4, "ARM\x64", "a Linux kernel for arm64", "use one for riscv64"},
    {0x202, 4, "HdrS", "a Linux kernel for x86", "use one for riscv64"},
    {0, 4, "\x27\x05\x19\x56", "a U-Boot legacy image", "use the Image that it was made of"},
    {0, 4, "\xd0\x0d\xfe\xed", "a device tree or FIT image", "give a device tree with --dtb"},
    {0, 6, "\xfd\x37zXZ", "packed with xz", "unpack it with xz -d"},
    {0, 3, "BZh", "packed with bzip2", "unpack it with bzip2 -d"},
    {0, 4, "\x04\x22\x4d\x18", "packed with lz4", "unpack it with lz4 -d"},
    {0, 5, "07070", "an initial RAM disk (cpio)", "give it with --initrd"},
    {0, 4, "QFI\xfb", "a qcow2 disk image", "give it as a drive"},
    {0, 2, "MZ", "an EFI program without a RISC-V kernel header", "use the kernel's Image"},
    {0, 8, "!<arch>\n", "a package or archive", "take the image out of it first"},
};

const char *image_use_name(enum image_use use)
{
    return use == IMAGE_FIRMWARE ? "firmware" : "kernel";
}

const struct gmem_region *image_ram(const struct gmem *gmem, gpa_t gpa)
{
    const struct gmem_region *best = NULL;

    for (u32 i = 0; i < gmem->count; i++) {
        const struct gmem_region *r = &gmem->region[i];
        if (!r->readonly && r->base <= gpa && (!best || r->base > best->base))
            best = r;
    }
    return best;
}

unsigned image_advice_mib(u64 bytes)
{
    unsigned mib = 64;

    while (mib < 1u << 30 && mib * MIB < bytes)
        mib *= 2;
    return mib;
}

static int no_room(const struct image_source *s, const struct image_place *place, gpa_t gpa,
                   u64 size, const struct gmem_region *ram, struct err *err)
{
    return err_set(err, ENOMEM,
                   "%s '%s' needs %llu KiB at 0x%llx, but the %llu KiB of RAM end at 0x%llx: give "
                   "the guest more memory with -m %uM",
                   image_use_name(place->use), s->name, (unsigned long long)((size + 1023) / 1024),
                   (unsigned long long)gpa, (unsigned long long)(ram->size / 1024),
                   (unsigned long long)(ram->base + ram->size),
                   image_advice_mib(gpa - ram->base + size));
}

static bool is_linux(const struct image_source *s)
{
    return s->size >= LINUX_HEADER && !memcmp(s->bytes + 56, "RSC\x05", 4);
}

/* Writes s to gpa, where it takes size bytes of memory (size >= s->size). */
static int put(const struct image_source *s, const struct gmem *gmem,
               const struct image_place *place, gpa_t gpa, u64 size, struct err *err)
{
    const struct gmem_region *ram = image_ram(gmem, place->base);

    gmem_reach(gmem, gpa, s->size);
    if (!range_within(gpa, size, ram->base, ram->size) || !gmem_write(gmem, gpa, s->bytes, s->size))
        return no_room(s, place, gpa, size, ram, err);
    return 0;
}

/*
 * A Linux Image runs at any multiple of 2 MiB that is text_offset or more above RAM's base; it
 * takes image_size bytes, zeroed data included.
 */
static int load_linux(const struct image_source *s, const struct gmem *gmem,
                      const struct image_place *place, struct image_info *info, struct err *err)
{
    u64 text_offset = le64_load(s->bytes + 8), size = le64_load(s->bytes + 16);
    u64 ram_base = image_ram(gmem, place->base)->base;
    gpa_t gpa = place->base;
    int rc;

    if (le64_load(s->bytes + 24) & LINUX_BIG_ENDIAN)
        return err_set(err, ENOEXEC, "%s '%s' is big-endian: use a little-endian one",
                       image_use_name(place->use), s->name);
    if (size > LINUX_SIZE_MAX || text_offset > LINUX_SIZE_MAX)
        return err_set(err, ENOEXEC,
                       "%s '%s' has a damaged header (image_size 0x%llx, text_offset 0x%llx): get "
                       "a whole copy",
                       image_use_name(place->use), s->name, (unsigned long long)size,
                       (unsigned long long)text_offset);
    if (text_offset > gpa - ram_base)
        gpa = ram_base + text_offset;
    if (gpa % LINUX_ALIGN)
        return err_set(err, ENOEXEC,
                       "%s '%s' would start at 0x%llx, but a Linux kernel needs a multiple of 2 "
                       "MiB",
                       image_use_name(place->use), s->name, (unsigned long long)gpa);
    if (size < s->size)
        size = s->size;
    rc = put(s, gmem, place, gpa, size, err);
    *info = (struct image_info){gpa, gpa, gpa + size, IMAGE_LINUX};
    return rc;
}

static int load_raw(const struct image_source *s, const struct gmem *gmem,
                    const struct image_place *place, struct image_info *info, struct err *err)
{
    for (u32 i = 0; i < ARRAY_SIZE(foreign); i++) {
        const struct foreign *f = &foreign[i];
        if (s->size >= f->offset + f->len && !memcmp(s->bytes + f->offset, f->magic, f->len))
            return err_set(err, ENOEXEC, "%s '%s' is %s: %s", image_use_name(place->use), s->name,
                           f->what, f->way_out);
    }
    *info = (struct image_info){place->base, place->base, place->base + s->size, IMAGE_RAW};
    return put(s, gmem, place, place->base, s->size, err);
}

static int load_plain(const struct image_source *s, const struct gmem *gmem,
                      const struct image_place *place, struct image_info *info, struct err *err)
{
    if (!s->size)
        return err_set(err, ENOEXEC, "%s '%s' is empty", image_use_name(place->use), s->name);
    if (image_is_elf(s))
        return image_elf_load(s, gmem, place, info, err);
    if (is_linux(s))
        return load_linux(s, gmem, place, info, err);
    return load_raw(s, gmem, place, info, err);
}

int image_load(const struct image_source *source, const struct gmem *gmem,
               const struct image_place *place, struct image_info *info, struct err *err)
{
    const struct gmem_region *ram = image_ram(gmem, place->base);
    struct image_source plain = {.name = source->name};
    u8 *bytes = NULL;
    int rc;

    ASSERT(ram && ram->base % LINUX_ALIGN == 0 && !(place->base % LINUX_ALIGN));
    if (!range_within(place->base, 1, ram->base, ram->size))
        return no_room(source, place, place->base, source->size, ram, err);
    if (!image_is_packed(source))
        return load_plain(source, gmem, place, info, err);
    rc = image_unpack(source, ram->base + ram->size - place->base, &bytes, &plain.size, err);
    if (rc)
        return rc;
    plain.bytes = bytes;
    rc = load_plain(&plain, gmem, place, info, err);
    free(bytes);
    return rc;
}
