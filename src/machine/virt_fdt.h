/* SPDX-License-Identifier: BSD-2-Clause */
/* The virt board's device tree, with the nodes and properties that QEMU's machine shows. */
#ifndef COSM_MACHINE_VIRT_FDT_H
#define COSM_MACHINE_VIRT_FDT_H

#include "machine/machine.h"
#include "machine/virt_map.h"

#define VIRT_RNG_SEED_SIZE 32 /* bytes */

/* Is the virtio-mmio slot there? QEMU's are always, others where something is plugged in. */
static inline bool virt_has_slot(const struct machine_config *config, u32 slot)
{
    return slot < VIRT_VIRTIO_QEMU || config->virtio[slot].kind != MACHINE_VIRTIO_NONE;
}

/* Bytes that virt_fdt_build may need for config. */
size_t virt_fdt_bound(const struct machine_config *config);

/*
 * Builds the flattened tree into buf[size] and sets *used to its length; seed goes to
 * /chosen/rng-seed. 0, or -ENOSPC with err filled when size is too small.
 */
MUST_CHECK int virt_fdt_build(void *buf, size_t size, size_t *used,
                              const struct machine_config *config,
                              const u8 seed[VIRT_RNG_SEED_SIZE], struct err *err);

#endif
