/* SPDX-License-Identifier: BSD-2-Clause */
/* cosm-metal.bin: the hypervisor's core as memory holds it, its configuration patched in, the
 * images. */
#ifndef COSM_PLAN_LINK_H
#define COSM_PLAN_LINK_H

#include "plan/flat.h"
#include "plan/plan.h"

/* The core that a build of cosm brings along; size 0: it had no compiler for riscv64. */
extern const u8 plan_core_elf[];
extern const u64 plan_core_elf_size;

struct plan_core {
    struct flat flat;
    u64 config;    /* offset of struct metal_config in it */
    u8 sha256[32]; /* of it, before the configuration is patched in */
};

/* Takes the ELF file of the core apart, whose section .config is for the configuration and whose
 * first byte is its entry. The bytes of flat are the caller's to free. */
MUST_CHECK int plan_core_read(struct plan_core *core, const struct image_source *elf,
                              struct err *err);

/* Makes the image of a configuration that was loaded with this core's size; *bytes is the caller's.
 */
MUST_CHECK int plan_link(const struct plan *plan, const struct plan_core *core, u8 **bytes,
                         u64 *size, struct err *err);

#endif
