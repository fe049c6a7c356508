/* SPDX-License-Identifier: BSD-2-Clause */
/* Partitions: their memory's content, their beginning and end. */
#ifndef COSM_METAL_PARTITION_H
#define COSM_METAL_PARTITION_H

#include "metal/state.h"

/* Boot hart, once: tables, SBI and images of all; harts other than it do not run yet. */
void partition_init_all(void);

/* Any hart. then: METAL_ACTION_STOP, _RESTART or _WARM. False: it is stopping already, or stopped.
 */
bool partition_halt(struct partition *p, u32 then);
/* Starts a stopped partition; false: it is not stopped. */
bool partition_start(struct partition *p, bool cold);

/*
 * v, which is in, has got its hart or is about to lose it: what was told to its partition of the
 * time in which it could not run, as it asked for.
 */
void partition_account(struct vcpu *v, bool loses);
/* The hart of a vCPU of p has taken it off. */
void partition_vcpu_halted(struct partition *p);
/* On vCPU 0's hart, which is in. */
void partition_load_begin(struct partition *p);
/* Some more of it, a page at most; vCPU 0 is ready when it is done. */
void partition_load_some(struct partition *p);
/* The hart of v, which is in: v begins where HSM was told. */
void partition_vcpu_start(struct vcpu *v);

/*
 * Does [gpa, gpa + len) lie in p's RAM, with those METAL_REGION_ bits? Reads and writes it by p's
 * own map on the calling hart, whose current vCPU is one of p's.
 */
bool partition_owns(const struct partition *p, gpa_t gpa, u64 len, u32 flags);
MUST_CHECK bool partition_read(struct partition *p, gpa_t gpa, void *buf, size_t len);
MUST_CHECK bool partition_write(struct partition *p, gpa_t gpa, const void *buf, size_t len);

#endif
