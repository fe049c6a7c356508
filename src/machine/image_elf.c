/* SPDX-License-Identifier: BSD-2-Clause */
/* ELF64 images for RISC-V (System V ABI, chapters 4 and 5): every header lie is checked. */
#include "machine/image_elf.h"

#include "base/mem.h"

#include <errno.h>

#define ELF_HEADER        64 /* bytes */
#define ELF_PHDR          56 /* bytes of a program header */
#define ELF_PHDRS_MAX     256
#define ELF_SEGMENTS_MAX  32
#define ELF_PT_LOAD       1
#define ELF_MACHINE_RISCV 243

enum elf_type { ELF_EXEC = 2, ELF_DYN = 3 };

/* A PT_LOAD segment as the file states it. */
struct segment {
    u64 offset, file_size;         /* bytes in the file */
    u64 vaddr, paddr, memory_size; /* paddr + memory_size does not wrap */
};

struct elf {
    const struct image_source *source;
    const char *use;
    u16 type;
    u64 entry;
    struct segment segment[ELF_SEGMENTS_MAX];
    u32 count;
    u64 low, high; /* physical range of all segments */
};

bool image_is_elf(const struct image_source *source)
{
    return source->size >= 4 && !memcmp(source->bytes,
                                        "\x7f"
                                        "ELF",
                                        4);
}

static int bad_elf(const struct elf *elf, struct err *err, const char *why)
{
    return err_set(err, ENOEXEC, "%s '%s' is a broken ELF file: %s", elf->use, elf->source->name,
                   why);
}

static int check_header(struct elf *elf, struct err *err)
{
    const u8 *h = elf->source->bytes;

    if (elf->source->size < ELF_HEADER)
        return bad_elf(elf, err, "its header is cut short");
    if (h[4] != 2 || h[5] != 1)
        return err_set(err, ENOEXEC,
                       "%s '%s' is not a 64-bit little-endian ELF file: build it for riscv64",
                       elf->use, elf->source->name);
    if (le16_load(h + 18) != ELF_MACHINE_RISCV)
        return err_set(err, ENOEXEC,
                       "%s '%s' is for another processor (ELF machine %u): it must be for RISC-V "
                       "(243)",
                       elf->use, elf->source->name, le16_load(h + 18));
    elf->type = le16_load(h + 16);
    if (elf->type != ELF_EXEC && elf->type != ELF_DYN)
        return err_set(err, ENOEXEC,
                       "%s '%s' is an ELF file of type %u, not an executable: link it first",
                       elf->use, elf->source->name, elf->type);
    elf->entry = le64_load(h + 24);
    return 0;
}

static int add_segment(struct elf *elf, const u8 *ph, struct err *err)
{
    struct segment s = {
        .offset = le64_load(ph + 8),
        .vaddr = le64_load(ph + 16),
        .paddr = le64_load(ph + 24),
        .file_size = le64_load(ph + 32),
        .memory_size = le64_load(ph + 40),
    };
    u64 end;

    if (s.file_size > s.memory_size)
        return bad_elf(elf, err, "a segment is larger in the file than in memory");
    if (!s.memory_size)
        return 0;
    if (!range_within(s.offset, s.file_size, 0, elf->source->size))
        return bad_elf(elf, err, "a segment lies beyond the end of the file; get a whole copy");
    if (!checked_add(s.paddr, s.memory_size, &end))
        return bad_elf(elf, err, "a segment wraps around the address space");
    if (elf->count == ELF_SEGMENTS_MAX)
        return bad_elf(elf, err, "it has more than 32 segments to load");
    for (u32 i = 0; i < elf->count; i++) {
        const struct segment *o = &elf->segment[i];
        if (range_overlaps(s.paddr, s.memory_size, o->paddr, o->memory_size))
            return bad_elf(elf, err, "two of its segments overlap in memory");
    }
    if (!elf->count || s.paddr < elf->low)
        elf->low = s.paddr;
    if (end > elf->high)
        elf->high = end;
    elf->segment[elf->count++] = s;
    return 0;
}

static int read_segments(struct elf *elf, struct err *err)
{
    const u8 *h = elf->source->bytes;
    u64 offset = le64_load(h + 32);
    u32 count = le16_load(h + 56);

    if (!count)
        return bad_elf(elf, err, "it has no program headers");
    if (le16_load(h + 54) != ELF_PHDR)
        return bad_elf(elf, err, "its program headers have the wrong size");
    if (count > ELF_PHDRS_MAX)
        return bad_elf(elf, err, "it has more than 256 program headers");
    if (!range_within(offset, count * ELF_PHDR, 0, elf->source->size))
        return bad_elf(elf, err, "its program headers lie beyond the end of the file");
    for (u32 i = 0; i < count; i++) {
        const u8 *ph = h + offset + i * ELF_PHDR;
        if (le32_load(ph) == ELF_PT_LOAD) {
            int rc = add_segment(elf, ph, err);
            if (rc)
                return rc;
        }
    }
    return elf->count ? 0 : bad_elf(elf, err, "it has no segment to load");
}

/* How far the image moves: nothing unless it may run anywhere and is linked outside RAM. */
static int choose_bias(const struct elf *elf, const struct gmem_region *ram, gpa_t base, u64 *bias,
                       struct err *err)
{
    u64 size = elf->high - elf->low, low = elf->low;

    *bias = 0;
    if (elf->type == ELF_DYN && !range_within(low, size, ram->base, ram->size)) {
        u64 in_page = low % 4096;
        *bias = base + in_page - low; /* wraps by design: added to addresses from low up */
        low = base + in_page;
    }
    if (range_within(low, size, ram->base, ram->size))
        return 0;
    if (low >= ram->base && size <= 64 * GIB && low - ram->base <= 64 * GIB)
        return err_set(err, ENOMEM,
                       "%s '%s' needs 0x%llx-0x%llx, but RAM is 0x%llx-0x%llx: give the guest more "
                       "memory with -m %uM",
                       elf->use, elf->source->name, (unsigned long long)low,
                       (unsigned long long)(low + size), (unsigned long long)ram->base,
                       (unsigned long long)(ram->base + ram->size),
                       image_advice_mib(low - ram->base + size));
    return err_set(err, ENOEXEC,
                   "%s '%s' is linked at 0x%llx-0x%llx, outside RAM (0x%llx-0x%llx): link it for "
                   "the virt board",
                   elf->use, elf->source->name, (unsigned long long)elf->low,
                   (unsigned long long)elf->high, (unsigned long long)ram->base,
                   (unsigned long long)(ram->base + ram->size));
}

/* The entry's physical address; e_entry is virtual where the segments say so. */
static int find_entry(const struct elf *elf, u64 bias, gpa_t *entry, struct err *err)
{
    if (elf->entry % 2)
        return bad_elf(elf, err, "its entry point is odd");
    for (u32 i = 0; i < elf->count; i++) {
        const struct segment *s = &elf->segment[i];
        if (elf->entry >= s->vaddr && elf->entry - s->vaddr < s->memory_size) {
            *entry = elf->entry - s->vaddr + s->paddr + bias;
            return 0;
        }
    }
    for (u32 i = 0; i < elf->count; i++) {
        const struct segment *s = &elf->segment[i];
        if (elf->entry >= s->paddr && elf->entry - s->paddr < s->memory_size) {
            *entry = elf->entry + bias;
            return 0;
        }
    }
    return bad_elf(elf, err, "its entry point lies outside its segments");
}

static bool zero_ram(const struct gmem *gmem, gpa_t gpa, u64 len)
{
    static const u8 zeroes[64 * KIB];

    while (len) {
        u64 n = len < sizeof(zeroes) ? len : sizeof(zeroes);
        if (!gmem_write(gmem, gpa, zeroes, n))
            return false;
        gpa += n;
        len -= n;
    }
    return true;
}

static bool write_segment(const struct elf *elf, const struct segment *s, u64 bias,
                          const struct gmem *gmem)
{
    gpa_t gpa = s->paddr + bias;

    return gmem_write(gmem, gpa, elf->source->bytes + s->offset, s->file_size) &&
           zero_ram(gmem, gpa + s->file_size, s->memory_size - s->file_size);
}

int image_elf_load(const struct image_source *source, const struct gmem *gmem,
                   const struct image_place *place, struct image_info *info, struct err *err)
{
    struct elf elf = {.source = source, .use = image_use_name(place->use)};
    const struct gmem_region *ram = image_ram(gmem, place->base);
    u64 bias;
    int rc = check_header(&elf, err);

    if (!rc)
        rc = read_segments(&elf, err);
    if (!rc)
        rc = choose_bias(&elf, ram, place->base, &bias, err);
    if (!rc)
        rc = find_entry(&elf, bias, &info->entry, err);
    if (rc)
        return rc;
    for (u32 i = 0; i < elf.count; i++) {
        if (!write_segment(&elf, &elf.segment[i], bias, gmem))
            return bad_elf(&elf, err, "a segment lies outside RAM");
    }
    info->start = elf.low + bias;
    info->end = elf.high + bias;
    info->kind = IMAGE_ELF;
    return 0;
}
