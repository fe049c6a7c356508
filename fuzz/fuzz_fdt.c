/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes what is done with a user's device tree (libFuzzer). */
#include "machine/fdt_patch.h"

#include "tests/fake.h"

#include <libfdt.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static const u8 seed[32];
    const struct fdt_patch patch = {"console=ttyS0", 0x84000000, 0x1000, seed, sizeof(seed)};
    const struct image_source dtb = {"dtb", data, size};
    size_t room = fdt_patch_bound(&dtb, &patch), used;
    void *out = malloc(room);
    struct err err;

    ASSERT(out);
    if (!fdt_patch_apply(&dtb, &patch, out, room, &used, &err)) {
        ASSERT(used <= room && fdt_check_full(out, used) == 0);
        ASSERT(fdt_path_offset(out, "/chosen") > 0);
    }
    free(out);
    return 0;
}
