/* SPDX-License-Identifier: BSD-2-Clause */
/* The SBI that a partition is served: src/sbi on this hypervisor. */
#ifndef COSM_METAL_PLATFORM_H
#define COSM_METAL_PLATFORM_H

#include "metal/state.h"

/* The partition's SBI as at reset: hart 0 started, all others stopped. */
void platform_init(struct partition *p);

#endif
