/* SPDX-License-Identifier: BSD-2-Clause */
/* Where regions lie in the board's memory. */
#ifndef COSM_PLAN_PLACE_H
#define COSM_PLAN_PLACE_H

#include "plan/plan.h"

/* Refuses regions of a partition that overlap in its own addresses, and sorts all. */
MUST_CHECK int place_guest(struct plan *plan);

/* Gives each region that has none its place in the board's memory; refuses what overlaps there, and
 * tables that the hypervisor has no room for. */
MUST_CHECK int place_board(struct plan *plan);

/* What of the board's memory no partition gets: number 0 is firmware's, 1 the hypervisor's, the
 * others are what the board's tree reserves. */
u32 place_taken_count(const struct plan *plan);
struct plan_range place_taken(const struct plan *plan, u32 index);

#endif
