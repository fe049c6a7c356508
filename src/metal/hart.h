/* SPDX-License-Identifier: BSD-2-Clause */
/* Harts: who runs on them and until when, and how to get their attention. */
#ifndef COSM_METAL_HART_H
#define COSM_METAL_HART_H

#include "metal/state.h"

/* The calling hart begins its plan; nobody has run on it. */
void hart_plan_begin(struct hart *h);
/*
 * Who runs next on the calling hart, whose registers are in when it returns; current: who ran, or
 * NULL. Waits while nobody does.
 */
struct vcpu *hart_next_on(struct hart *h, struct vcpu *current);
struct vcpu *hart_next(struct vcpu *current);

/*
 * Is an interrupt for HS-mode pending on the calling hart, its timer's or another one? What takes
 * long looks from time to time, and ends early then.
 */
bool hart_is_pressed(void);

/* Makes another hart look at its vCPUs' requests; of the calling hart: before it returns to a
 * guest. */
void hart_kick(struct hart *h);
/* Answers an interrupt of HS-mode (IRQ_...) on the calling hart. */
void hart_interrupt(struct hart *h, u32 irq);
/* The calling hart's timer: its plan, budgets or a watchdog want attention at this time the latest.
 */
void hart_timer_at(struct hart *h, u64 ticks);

/* All harts take plan at the first frame that begins after now. */
void hart_switch_plan(u32 plan);

#endif
