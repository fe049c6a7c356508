/* SPDX-License-Identifier: BSD-2-Clause */
/* vCPUs: their state, what a hart does when it changes from one to another, requests to them. */
#ifndef COSM_METAL_VCPU_H
#define COSM_METAL_VCPU_H

#include "base/bits.h"
#include "metal/state.h"

/* The calling hart's. */
static inline u64 time_now(void)
{
    return csr_read(time);
}

/* As a hart is after HSM's hart_start: all registers 0 but a0 and a1, also those for floating
 * point. */
void vcpu_reset(struct vcpu *v, gpa_t pc, u64 arg);

/* Its hart's CSRs and FP registers from and to the vCPU; in: everything another one left is gone.
 */
void vcpu_in(struct vcpu *v);
void vcpu_out(struct vcpu *v);

/* Is an interrupt pending that the waiting, switched-out vCPU has enabled? now: ticks. */
bool vcpu_is_woken(const struct vcpu *v, u64 now);

/* Any hart: wants bits of REQUEST_... of v. It has them at once if it runs, else when it next does.
 */
void vcpu_request(struct vcpu *v, u32 bits);
/* Its own hart, v being in: answers what was requested. */
void vcpu_serve(struct vcpu *v);
/* Likewise, as far as that needs no look at who runs next; false: more was requested. */
bool vcpu_serve_running(struct vcpu *v);
/* As far as they are fences: what can be done while v is in the middle of a trap. */
void vcpu_serve_fences(struct vcpu *v);

/*
 * Its own hart: an exception goes to the guest as hardware would have delivered it to VS-mode. pc
 * and mode are those of the trap that is being handled.
 */
void vcpu_inject(struct vcpu *v, u64 cause, u64 tval);

/* What a load gives that found value. */
static inline u64 access_extend(const struct access *access, u64 value)
{
    return access->is_signed && access->width < 8 ? sext(value, 8 * access->width) : value;
}

/* What a store writes; x[0] is not the guest's. */
static inline u64 vcpu_access_value(const struct vcpu *v, const struct access *access)
{
    return access->reg ? v->x[access->reg] : 0;
}

/* Goes on behind a load or store that was done. */
static inline void vcpu_access_done(struct vcpu *v, const struct access *access, u64 value)
{
    if (!access->write && access->reg)
        v->x[access->reg] = access_extend(access, value);
    v->pc += access->length;
}

#endif
