/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PLIC that a partition sees (RISC-V PLIC Specification 1.0): sources 1..63, context n is vCPU
 * n's S-mode. It knows nothing of the board; where its wires lead is told by struct vplic_port.
 */
#ifndef COSM_METAL_VPLIC_H
#define COSM_METAL_VPLIC_H

#include "metal/config.h"
#include "metal/spinlock.h"

#define VPLIC_SIZE     0x400000 /* bytes of guest-physical addresses */
#define VPLIC_CONTEXTS 0x200000 /* from here on: thresholds and claims */

struct vplic {
    struct spinlock lock; /* over all that follows */
    u32 contexts;
    u32 sources;                 /* the highest */
    u64 pending, claimed, level; /* a bit a source */
    u64 enable[METAL_VCPUS_MAX];
    u8 priority[METAL_SOURCES_MAX];
    u8 threshold[METAL_VCPUS_MAX];
    u64 line; /* contexts with an interrupt to take */
};

void vplic_reset(struct vplic *p, u32 contexts, u32 sources);
/* Raised once; or held at a level, pending again after completion as long as it is high. */
void vplic_raise(struct vplic *p, u32 source);
void vplic_level(struct vplic *p, u32 source, bool level);
/*
 * A register at offset; width in bytes. False: no such register or width. completed: the source
 * that this completed, else 0.
 */
bool vplic_access(struct vplic *p, u64 offset, u32 width, bool write, u64 *value, u32 *completed);

/* The register of 32 bits at offset, a multiple of 4 below VPLIC_CONTEXTS, whose reading changes
 * nothing. */
u64 vplic_read(const struct vplic *p, u64 offset);

#endif
