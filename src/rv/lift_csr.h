/* SPDX-License-Identifier: BSD-2-Clause */
/* CSR instructions for rv/lift.c, and what else depends on CSRs. */
#ifndef COSM_RV_LIFT_CSR_H
#define COSM_RV_LIFT_CSR_H

#include "rv/lift.h"

enum lift_end lift_csr(struct lift *l, u64 insn);

/* CBO.ZERO. */
void lift_zero(struct lift *l, u64 insn);

/* lift.c: by run_insn, and on to where that says. */
enum lift_end lift_go(struct lift *l, u64 insn);

#endif
