/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Boot images: recognises, checks and loads what --kernel and --bios name.
 *
 * Known: RISC-V Linux Image (Linux, Documentation/arch/riscv/boot-image-header.rst), the same
 * packed with gzip or zstd or as an EFI zboot image, ELF64 for RISC-V, and raw binaries. The bytes
 * are untrusted: every offset and size is checked before use.
 */
#ifndef COSM_MACHINE_IMAGE_H
#define COSM_MACHINE_IMAGE_H

#include "base/err.h"
#include "port/gmem.h"

/* A file that the caller read; name (for messages) and bytes stay the caller's. */
struct image_source {
    const char *name;
    const u8 *bytes; /* NULL: absent */
    size_t size;
};

enum image_use { IMAGE_KERNEL, IMAGE_FIRMWARE };

/* Where an image goes that does not say so itself. */
struct image_place {
    gpa_t base;
    enum image_use use;
};

enum image_kind { IMAGE_RAW, IMAGE_LINUX, IMAGE_ELF };

struct image_info {
    gpa_t entry;
    gpa_t start, end; /* memory that it occupies, zeroed parts included */
    enum image_kind kind;
};

/*
 * Writes source into the writable region of gmem that holds (or, for messages, comes next below)
 * place->base and fills info. Unpacking allocates at most that region's size, and zstd's window
 * (128 MiB at most), for the time of the call. On error returns -errno with a sentence in err; RAM
 * may then be partly written.
 */
MUST_CHECK int image_load(const struct image_source *source, const struct gmem *gmem,
                          const struct image_place *place, struct image_info *info,
                          struct err *err);

/* "kernel" or "firmware". */
const char *image_use_name(enum image_use use);

/* The writable region that holds gpa, else the one with the highest base below it, else NULL. */
const struct gmem_region *image_ram(const struct gmem *gmem, gpa_t gpa);

/* MiB to advise with -m for RAM of at least bytes: a power of two, 64 or more. */
unsigned image_advice_mib(u64 bytes);

#endif
