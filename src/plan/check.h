/* SPDX-License-Identifier: BSD-2-Clause */
/* What a configuration as a whole must keep to, beyond each of its tables. */
#ifndef COSM_PLAN_CHECK_H
#define COSM_PLAN_CHECK_H

#include "plan/plan.h"

/* Every vCPU gets time, no hart gives more than it has, every plan can come to be in force, and the
 * hypervisor's tables have room. */
MUST_CHECK int plan_check(struct plan *plan);

/* Parts of 10,000 that a hart gives: by a plan's windows, or (schedule UINT32_MAX) by budgets. */
u32 plan_utilisation(const struct plan *plan, u32 hart, u32 schedule);

#endif
