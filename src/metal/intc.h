/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts: the board's controllers, and the ones that partitions see. */
#ifndef COSM_METAL_INTC_H
#define COSM_METAL_INTC_H

#include "metal/state.h"

/* Boot hart, once: the board's PLIC or APLIC is silent but for what partitions own; harts know how
 * they are kicked. */
void intc_init(void);
/* Each hart, once: its context or S-level file takes what is for HS-mode. */
void intc_init_hart(struct hart *h);
/* An external interrupt of HS-mode on the calling hart. True: others kicked it, or asked for more.
 */
bool intc_external(struct hart *h);

/* The calling hart goes from a vCPU of one partition to another's; NULL: idle. */
void intc_switch(struct hart *h, const struct partition *from, const struct partition *to);

/*
 * The calling hart's messages for waiting vCPUs that is_awaited agrees to interrupt it; who runs on
 * it, or nobody, is settled.
 */
void intc_listen(const struct hart *h, bool (*is_awaited)(const struct vcpu *v));

/* v, which is in, starts: nothing is pending for it. */
void intc_start(struct vcpu *v);
/* Partition p as at reset: nothing enabled, nothing pending. Its vCPUs do not run. */
void intc_reset(struct partition *p);
/* v is in: its external interrupt is as its virtual controller says. */
void intc_refresh(struct vcpu *v);
/* A source of p is raised once (edge: doorbells), or has a level (virtual devices). Any hart. */
void intc_raise(struct partition *p, u32 source);
void intc_level(struct partition *p, u32 source, bool level);
/*
 * Accesses of p to its emulated controller at any offset from intc_gpa. Read, of 4 bytes: the
 * value, negative: no such register; write: false: the same, or width.
 */
s64 intc_read(struct partition *p, u64 offset);
bool intc_write(struct partition *p, u64 offset, u32 width, u64 value);

#endif
