/* SPDX-License-Identifier: BSD-2-Clause */
/* The interpreter: runs a hart from its decoded-instruction cache, by threaded dispatch. */
#ifndef COSM_RV_INTERP_H
#define COSM_RV_INTERP_H

#include "rv/hart.h"

/*
 * Runs until something outside is wanted, or hart->limit is reached; on return pc, insns and all
 * other state are exact. An engine that attends does so at the same counts as any other, if only
 * the hart itself causes it: after an instruction that asks for it (CSR, return from a trap, store
 * to a device), and when it is entered. What other threads ask for is seen some time later. With
 * step, executes one instruction (or takes the exception that it raises), no interrupt, and
 * returns HART_EXIT_STEP (hart->stepped, if the caller cleared it, tells a WFI); a breakpoint at
 * its own pc is passed over.
 */
enum hart_exit interp_run(struct hart *hart, bool step);

#endif
