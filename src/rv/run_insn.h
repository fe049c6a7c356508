/* SPDX-License-Identifier: BSD-2-Clause */
/* Each instruction as a function of its own: what translated code calls for what it does not hold.
 */
#ifndef COSM_RV_RUN_INSN_H
#define COSM_RV_RUN_INSN_H

#include "rv/decode.h"

/*
 * Executes one decoded instruction that is not a branch or a plain jump. hart->pc is its address
 * and hart->insns the count before it. pc is left where it was but by instructions that end a block
 * (CSRs, traps, fences of code and translation, WFI, spin hints), which set it to the next pc.
 * False: exception, hart->trap set.
 */
bool run_insn(struct hart *hart, u64 insn);

#endif
