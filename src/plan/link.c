/* SPDX-License-Identifier: BSD-2-Clause */
/* cosm-metal.bin: the hypervisor's core as memory holds it, its configuration patched in, the
 * images. */
#include "plan/link.h"

#include "base/checked.h"
#include "base/endian.h"
#include "machine/elf_file.h"
#include "metal/sha256.h"
#include "plan/audit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CORE_MAX (16 * MIB)

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "struct metal_config is patched in as it is");

/* A core of another version would read another structure. */
static int check_config(const struct plan_core *core, u64 size, struct err *err)
{
    const u8 *c = core->flat.bytes + core->config;

    if (size != sizeof(struct metal_config))
        return err_set(err, EINVAL,
                       "its configuration has %llu bytes, and this cosm makes one of %zu: "
                       "they are of different versions",
                       (unsigned long long)size, sizeof(struct metal_config));
    if (le64_load(c) && (le64_load(c) != METAL_MAGIC || le32_load(c + 8) != METAL_VERSION))
        return err_set(err, EINVAL, "its configuration is of another version than this cosm makes");
    return 0;
}

int plan_core_read(struct plan_core *core, const struct image_source *elf, struct err *err)
{
    struct elf_part config;
    struct sha256 sum;
    int r;

    memset(core, 0, sizeof(*core));
    r = flat_make(elf, FLAT_CORE, CORE_MAX, &core->flat, err);
    if (r)
        return r;
    if (!elf_section_named(elf, ".config", &config) ||
        !range_within(config.address, config.size, core->flat.base, core->flat.size))
        r = err_set(err, EINVAL, "it has no section .config: it is no core of cosm-metal");
    else if (core->flat.entry != core->flat.base)
        r = err_set(err, EINVAL, "it does not begin with its entry");
    core->config = config.address - core->flat.base;
    if (!r)
        r = check_config(core, config.size, err);
    if (r) {
        free(core->flat.bytes);
        core->flat.bytes = NULL;
        return r;
    }
    sha256_init(&sum);
    sha256_update(&sum, core->flat.bytes, core->flat.size);
    sha256_final(&sum, core->sha256);
    return 0;
}

int plan_link(const struct plan *p, const struct plan_core *core, u8 **bytes, u64 *size,
              struct err *err)
{
    struct metal_config *config = malloc(sizeof(*config));
    u8 *out = calloc(1, p->self_size);
    const char *wrong;

    if (!config || !out) {
        free(config);
        free(out);
        return err_set(err, ENOMEM, "no memory for an image of %llu MiB",
                       (unsigned long long)(p->self_size / MIB));
    }
    plan_emit(p, p->self_size, config);
    wrong = audit_config(config);
    if (wrong) {
        free(config);
        free(out);
        return err_set(err, EIO,
                       "the configuration that was made breaks a rule, so it is not used: %s. "
                       "This is an error of cosm, please report it",
                       wrong);
    }
    memcpy(out, core->flat.bytes, core->flat.size);
    memcpy(out + core->config, config, sizeof(*config));
    for (u32 i = 0; i < p->image_count; i++)
        memcpy(out + p->image[i].offset, p->image[i].bytes, p->image[i].size);
    free(config);
    *bytes = out;
    *size = p->self_size;
    return 0;
}
