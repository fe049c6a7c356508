/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory accesses by devices: the board's IOMMU (RISC-V IOMMU Architecture Specification 1.0) holds
 * those of one partition's devices to the memory that this partition sees, and lets nothing else
 * pass. A device learns of no end of its partition: so its accesses are shut out and PCI functions
 * are switched off before memory is loaded anew.
 */
#ifndef COSM_METAL_IOMMU_H
#define COSM_METAL_IOMMU_H

#include "metal/state.h"

/* Boot hart, once: from here on no device behind the IOMMU reaches memory. */
void iommu_init(void);
/* p is about to run: what its devices ask for is answered by its map. */
void iommu_open(struct partition *p);
/* p has ended: its devices reach nothing, as soon as iommu_quiesce says so. */
void iommu_close(const struct partition *p);
/* Some work on that end, of one access of a device's registers or two; true: all is done. */
bool iommu_quiesce(const struct partition *p);
/* The IOMMU's interrupt: what it refused becomes one event of the partition whose devices asked. */
void iommu_external(void);

#endif
