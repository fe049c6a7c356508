/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The health monitor: what becomes of a partition that did something it may not, by the table of
 * its configuration. Nothing that a guest does ends the hypervisor.
 */
#ifndef COSM_METAL_HEALTH_H
#define COSM_METAL_HEALTH_H

#include "metal/state.h"

/*
 * event happened in p; detail: an address, or what else tells it in the log. Returns the action
 * that was chosen (enum metal_action); the caller does what IGNORE, LOG and GUEST mean for it.
 */
u32 health_event(struct partition *p, u32 event, u64 detail);
/* On the hart of p's vCPU 0: watchdogs that lapsed. */
void health_watchdogs(struct hart *h, u64 now);
/* p says that it is alive. */
void health_kick_watchdog(struct partition *p, u64 now);
/* Ends the board's work: the firmware powers it off. */
NORETURN void health_halt(void);
/* No partition runs any more, for good: what the configuration says. */
void health_all_stopped(void);

#endif
