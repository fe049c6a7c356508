/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules that cosm-metal takes for granted of its configuration (metal/config.h), looked up in
 * the finished structure. What places and emits it is not asked: whatever they do, nothing that
 * breaks a rule leaves the compiler. tests/proofs shows of the machine code of audit_regions and
 * audit_windows that they say nothing less.
 */
#ifndef COSM_PLAN_AUDIT_H
#define COSM_PLAN_AUDIT_H

#include "metal/config.h"

/* The first rule that is broken, as a sentence; NULL: none. */
const char *audit_config(const struct metal_config *c);

/* Its parts. Each rests on those before it. */

/* All indices and counts are within their tables. */
const char *audit_counts(const struct metal_config *c);

/* Regions of one partition are apart; on the board, those of two partitions are, but for channels
 * and the windows of services; none meets the hypervisor or what it keeps to itself. */
const char *audit_regions(const struct metal_config *c);

/* Windows of a hart are in order, apart, within the frame, each of a vCPU of that hart. */
const char *audit_windows(const struct metal_config *c);

/* Each vCPU is on one hart, the number-th of one partition; exclusive harts have one. Budgets fit
 * their periods, and together their hart. */
const char *audit_vcpus(const struct metal_config *c);

/* Images lie in cosm-metal.bin, and in executable memory of their partition. */
const char *audit_images(const struct metal_config *c);

/* Interrupts of the board have one owner; virtual ones are among those of their partition. */
const char *audit_interrupts(const struct metal_config *c);

#endif
