/* SPDX-License-Identifier: BSD-2-Clause */
/* A device tree that the user brought: checked, then /chosen set for this boot, the rest kept. */
#ifndef COSM_MACHINE_FDT_PATCH_H
#define COSM_MACHINE_FDT_PATCH_H

#include "machine/image.h"

#define FDT_PATCH_MAX (1 * MIB) /* bytes of a tree that is taken at all */

struct fdt_patch {
    const char *bootargs; /* NULL: as the tree has it */
    gpa_t initrd;
    u64 initrd_size; /* bytes; 0: none, and the tree's own range is dropped */
    const u8 *seed;  /* rng-seed; NULL: as the tree has it */
    size_t seed_size;
};

/* Bytes that the patched tree may need. */
size_t fdt_patch_bound(const struct image_source *dtb, const struct fdt_patch *patch);

/*
 * Checks dtb (untrusted bytes) and writes it with patch applied to out[out_size]; *used is its
 * length. -errno with one sentence in err otherwise.
 */
MUST_CHECK int fdt_patch_apply(const struct image_source *dtb, const struct fdt_patch *patch,
                               void *out, size_t out_size, size_t *used, struct err *err);

#endif
