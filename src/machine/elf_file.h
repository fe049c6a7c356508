/* SPDX-License-Identifier: BSD-2-Clause */
/* What an ELF64 file says it consists of (System V ABI, chapters 4 and 5); its bytes are untrusted.
 */
#ifndef COSM_MACHINE_ELF_FILE_H
#define COSM_MACHINE_ELF_FILE_H

#include "machine/image.h"

enum {
    ELF_PT_LOAD = 1,
    ELF_SHT_SYMTAB = 2,
    ELF_SHT_NOBITS = 8,
    ELF_SHF_EXECINSTR = 4,
    ELF_PF_X = 1,
};

/* A section, or a segment to load; its bytes lie within the file unless it is of type NOBITS. */
struct elf_part {
    u32 type;       /* ELF_SHT_..., ELF_PT_... */
    u32 name, link; /* of a section */
    u64 flags;      /* ELF_SHF_..., or ELF_PF_... of a segment that is loaded */
    u64 address, offset, size;
    u64 physical, memory_size; /* of a segment */
};

/* A 64-bit little-endian ELF file for RISC-V, with a whole header? */
bool elf_is_riscv64(const struct image_source *file);

/* Part number index; false: there is none, or it lies beyond the end of the file. */
u32 elf_section_count(const struct image_source *file);
bool elf_section(const struct image_source *file, u32 index, struct elf_part *section);
/* The section of that name. */
bool elf_section_named(const struct image_source *file, const char *name, struct elf_part *section);
u32 elf_segment_count(const struct image_source *file);
bool elf_segment(const struct image_source *file, u32 index, struct elf_part *segment);

#endif
