/* SPDX-License-Identifier: BSD-2-Clause */
/* ELF64 images for RISC-V (System V ABI, chapters 4 and 5). */
#ifndef COSM_MACHINE_IMAGE_ELF_H
#define COSM_MACHINE_IMAGE_ELF_H

#include "machine/image.h"

/* Do the bytes begin like an ELF file? */
bool image_is_elf(const struct image_source *source);

/*
 * Loads the PT_LOAD segments at their physical addresses; a position-independent file (ET_DYN)
 * linked outside RAM goes to place->base. As image_load otherwise.
 */
MUST_CHECK int image_elf_load(const struct image_source *source, const struct gmem *gmem,
                              const struct image_place *place, struct image_info *info,
                              struct err *err);

#endif
