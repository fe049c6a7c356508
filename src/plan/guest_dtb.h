/* SPDX-License-Identifier: BSD-2-Clause */
/* The device tree of a partition: the machine that it finds itself in. */
#ifndef COSM_PLAN_GUEST_DTB_H
#define COSM_PLAN_GUEST_DTB_H

#include "plan/plan.h"

/* Where a partition finds its emulated interrupt controller and, with AIA, its interrupt files. */
#define GUEST_UART       UINT64_C(0x10000000)
#define GUEST_PLIC       UINT64_C(0x0c000000)
#define GUEST_PLIC_SIZE  UINT64_C(0x400000)
#define GUEST_APLIC      UINT64_C(0x0d000000)
#define GUEST_APLIC_SIZE UINT64_C(0x4000)
#define GUEST_IMSIC      UINT64_C(0x28000000)

/* Makes it; *fdt is malloc'ed, the caller's. */
MUST_CHECK int guest_dtb_make(struct plan *plan, u32 partition, u8 **fdt, u64 *size);

/* Puts command line and initial RAM file system into a tree that was given. The same. */
MUST_CHECK int guest_dtb_patch(struct plan *plan, u32 partition, const u8 *given, u64 given_size,
                               u8 **fdt, u64 *size);

/* What of the board's instruction set a guest has: without what is the hypervisor's or M-mode's,
 * and vectors unless it may use them. */
void guest_isa(const char *board, bool aia, bool vector, char *isa, size_t size);

#endif
