/* SPDX-License-Identifier: BSD-2-Clause */
/* What is put into the memory of partitions: programs, kernels, device trees. */
#ifndef COSM_PLAN_IMAGES_H
#define COSM_PLAN_IMAGES_H

#include "plan/plan.h"

/* Reads and places the images of all partitions in their memory, sets entry and arg, and refuses
 * what does not fit or overlaps. */
MUST_CHECK int plan_images(struct plan *plan);

/* The virtio service (apps/metal-service) that a build of cosm brings along; size 0: it had no
 * compiler for riscv64. */
extern const u8 plan_service_elf[];
extern const u64 plan_service_elf_size;

#endif
