/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Meanings of instructions that are more than arithmetic: CSRs, traps, fences, cache blocks.
 *
 * hart->pc is the instruction's address and hart->insns the count before it. False: exception,
 * hart->trap set. SYSTEM_JUMP functions set hart->pc to where to go on; the others leave it.
 */
#ifndef COSM_RV_SYSTEM_H
#define COSM_RV_SYSTEM_H

#include "rv/decode.h"

#define CACHE_BLOCK 64 /* bytes; zic64b */

bool system_csrrw(struct hart *hart, u64 insn);
bool system_csrrs(struct hart *hart, u64 insn);
bool system_csrrc(struct hart *hart, u64 insn);
bool system_csrrwi(struct hart *hart, u64 insn);
bool system_csrrsi(struct hart *hart, u64 insn);
bool system_csrrci(struct hart *hart, u64 insn);

bool system_ecall(struct hart *hart, u64 insn);
bool system_ebreak(struct hart *hart, u64 insn);
bool system_mret(struct hart *hart, u64 insn);
bool system_sret(struct hart *hart, u64 insn);
bool system_wfi(struct hart *hart, u64 insn);     /* checks only; waiting is the engine's */
bool system_wrs_nto(struct hart *hart, u64 insn); /* likewise */

bool system_fence_i(struct hart *hart, u64 insn);
bool system_sfence_vma(struct hart *hart, u64 insn);
bool system_sinval_vma(struct hart *hart, u64 insn);
bool system_sfence_w_inval(struct hart *hart, u64 insn);
bool system_sfence_inval_ir(struct hart *hart, u64 insn);

bool system_hfence_vvma(struct hart *hart, u64 insn);
bool system_hfence_gvma(struct hart *hart, u64 insn);
bool system_hinval_vvma(struct hart *hart, u64 insn);
bool system_hinval_gvma(struct hart *hart, u64 insn);
bool system_hlv(struct hart *hart, u64 insn); /* HLVX, too */
bool system_hsv(struct hart *hart, u64 insn);

bool system_cbo_inval(struct hart *hart, u64 insn);
bool system_cbo_clean(struct hart *hart, u64 insn);
bool system_cbo_flush(struct hart *hart, u64 insn);
bool system_cbo_zero(struct hart *hart, u64 insn);

/* Illegal instruction at hart->pc, with its bits as tval. Returns false. */
bool system_illegal(struct hart *hart);

/* Flushes as other threads asked in hart->attn. */
void system_serve(struct hart *hart);

/* The same, and takes a pending interrupt. ATTN_PAUSE is left to exec. */
void system_attend(struct hart *hart);

#endif
