/* SPDX-License-Identifier: BSD-2-Clause */
/* What an ELF64 file says it consists of (System V ABI, chapters 4 and 5); its bytes are untrusted.
 */
#include "machine/elf_file.h"

#include "base/checked.h"
#include "base/endian.h"
#include "base/mem.h"
#include "machine/image_elf.h"

#define HEADER        64 /* bytes */
#define SECTION       64
#define SEGMENT       56
#define MACHINE_RISCV 243

bool elf_is_riscv64(const struct image_source *f)
{
    return image_is_elf(f) && f->size >= HEADER && f->bytes[4] == 2 && f->bytes[5] == 1 &&
           le16_load(f->bytes + 18) == MACHINE_RISCV;
}

u32 elf_section_count(const struct image_source *f)
{
    return le16_load(f->bytes + 58) == SECTION ? le16_load(f->bytes + 60) : 0;
}

u32 elf_segment_count(const struct image_source *f)
{
    return le16_load(f->bytes + 54) == SEGMENT ? le16_load(f->bytes + 56) : 0;
}

/* Header number index of a table that begins at the offset that lies at byte `at`; NULL: none. */
static const u8 *header(const struct image_source *f, u32 at, u32 index, u32 size)
{
    u64 table = le64_load(f->bytes + at);

    if (!range_within(table, ((u64)index + 1) * size, 0, f->size))
        return NULL;
    return f->bytes + table + (u64)index * size;
}

bool elf_section(const struct image_source *f, u32 index, struct elf_part *s)
{
    const u8 *h = index < elf_section_count(f) ? header(f, 40, index, SECTION) : NULL;

    if (!h)
        return false;
    *s = (struct elf_part){
        .name = le32_load(h),
        .type = le32_load(h + 4),
        .link = le32_load(h + 40),
        .flags = le64_load(h + 8),
        .address = le64_load(h + 16),
        .offset = le64_load(h + 24),
        .size = le64_load(h + 32),
    };
    return s->type == ELF_SHT_NOBITS || range_within(s->offset, s->size, 0, f->size);
}

bool elf_section_named(const struct image_source *f, const char *name, struct elf_part *s)
{
    const size_t len = strlen(name) + 1;
    struct elf_part names;

    if (!elf_section(f, le16_load(f->bytes + 62), &names) || names.type == ELF_SHT_NOBITS)
        return false;
    for (u32 i = 0; i < elf_section_count(f); i++) {
        if (elf_section(f, i, s) && range_within(s->name, len, 0, names.size) &&
            !memcmp(f->bytes + names.offset + s->name, name, len))
            return true;
    }
    return false;
}

bool elf_segment(const struct image_source *f, u32 index, struct elf_part *s)
{
    const u8 *h = index < elf_segment_count(f) ? header(f, 32, index, SEGMENT) : NULL;

    if (!h)
        return false;
    *s = (struct elf_part){
        .type = le32_load(h),
        .flags = le32_load(h) == ELF_PT_LOAD ? le32_load(h + 4) : 0,
        .address = le64_load(h + 16),
        .offset = le64_load(h + 8),
        .size = le64_load(h + 32),
        .physical = le64_load(h + 24),
        .memory_size = le64_load(h + 40),
    };
    return range_within(s->offset, s->size, 0, f->size);
}
