/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts on boards with the Advanced Interrupt Architecture (RISC-V AIA 1.0): each vCPU has a
 * guest file of its hart's IMSIC, mapped into its partition, so message interrupts and IPIs reach
 * it without the hypervisor. Partitions see an emulated APLIC for wired interrupts and doorbells;
 * what is wired on the board goes straight from the board's APLIC into the guest file.
 */
#ifndef COSM_METAL_AIA_H
#define COSM_METAL_AIA_H

#include "metal/state.h"

/* As intc.h's functions of the same names. */
void aia_init(void);
void aia_init_hart(struct hart *h);
bool aia_external(struct hart *h);
void aia_switch(const struct partition *to); /* NULL: nobody is in now */
void aia_start(struct vcpu *v);
void aia_listen(const struct hart *h, bool (*is_awaited)(const struct vcpu *v));
void aia_reset(struct partition *p);
s64 aia_read(const struct partition *p, u64 offset); /* 4 bytes, aligned */
bool aia_write(const struct partition *p, u64 offset, u32 width, u64 value);
/* A source's wire gets a level and then another, in one step: of two that ring, none is lost. */
void aia_wire(const struct partition *p, u32 source, bool level, bool then);

#endif
