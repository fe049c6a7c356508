/* SPDX-License-Identifier: BSD-2-Clause */
/* Each instruction as a function of its own: what translated code calls for what it does not hold.
 */
#ifndef COSM_RV_RUN_INSN_H
#define COSM_RV_RUN_INSN_H

#include "rv/decode.h"

enum run_result {
    RUN_FAULT, /* an exception: hart->trap is set */
    RUN_ON,    /* pc was left where it was: the instruction that follows is next */
    RUN_LEFT,  /* pc is the next one: a jump, or what ends a block (CSRs, traps, fences, WFI) */
};

/* Executes one decoded instruction. hart->pc is its address and hart->insns the count before it.
 * Of one that is done but wants attention (CAUSE_ATTEND), trap.tval is the length: where it was
 * fetched may hold another by now, or be mapped no more. */
enum run_result run_insn(struct hart *hart, u64 insn);

#endif
