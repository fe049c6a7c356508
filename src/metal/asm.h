/* SPDX-License-Identifier: BSD-2-Clause */
/* What entry.S and C must agree on; state.h proves it. */
#ifndef COSM_METAL_ASM_H
#define COSM_METAL_ASM_H

#define STACK_STRIDE 12288 /* bytes: a guard page and a hart's stack; link.ld, too */

/* Where the fields of struct vcpu are. */
#define VCPU_X  0
#define VCPU_PC 256

#endif
