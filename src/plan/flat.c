/* SPDX-License-Identifier: BSD-2-Clause */
/* An ELF file as memory holds it: one piece from its lowest to its highest address. */
#include "plan/flat.h"

#include "base/checked.h"
#include "base/endian.h"
#include "machine/elf_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ELF_ENTRY 24 /* offset of e_entry */

static u64 address_of(const struct elf_part *s, enum flat_kind kind)
{
    return kind == FLAT_CORE ? s->address : s->physical;
}

/* Lowest and highest address of what is loaded, and of what of it comes from the file. */
static bool find_span(const struct image_source *elf, enum flat_kind kind, u64 *low, u64 *high,
                      u64 *filled)
{
    struct elf_part s;
    u64 end;

    *low = UINT64_MAX;
    *high = *filled = 0;
    for (u32 i = 0; i < elf_segment_count(elf); i++) {
        if (!elf_segment(elf, i, &s))
            return false;
        if (s.type != ELF_PT_LOAD || !s.memory_size)
            continue;
        if (s.size > s.memory_size || !checked_add(address_of(&s, kind), s.memory_size, &end))
            return false;
        if (address_of(&s, kind) < *low)
            *low = address_of(&s, kind);
        if (end > *high)
            *high = end;
        if (s.size && address_of(&s, kind) + s.size > *filled)
            *filled = address_of(&s, kind) + s.size;
    }
    *low = align_down(*low, 8);
    return *low < *high && *low < *filled;
}

int flat_make(const struct image_source *elf, enum flat_kind kind, u64 max, struct flat *flat,
              struct err *err)
{
    u64 low, high, filled;
    struct elf_part s;

    if (!elf_is_riscv64(elf))
        return err_set(err, EINVAL, "it is no ELF file for riscv64");
    if (!find_span(elf, kind, &low, &high, &filled))
        return err_set(err, EINVAL, "it has no segments to load, or broken ones");
    if (high - low > max)
        return err_set(
            err, EINVAL, "it takes %llu bytes of memory from 0x%llx on, and there are %llu",
            (unsigned long long)(high - low), (unsigned long long)low, (unsigned long long)max);
    *flat =
        (struct flat){.base = low, .span = high - low, .entry = le64_load(elf->bytes + ELF_ENTRY)};
    flat->size = (kind == FLAT_CORE ? high : filled) - low;
    flat->bytes = calloc(1, flat->size);
    if (!flat->bytes)
        return err_set(err, ENOMEM, "no memory for it");
    for (u32 i = 0; i < elf_segment_count(elf); i++) {
        if (elf_segment(elf, i, &s) && s.type == ELF_PT_LOAD && s.size)
            memcpy(flat->bytes + (address_of(&s, kind) - low), elf->bytes + s.offset, s.size);
    }
    return 0;
}
