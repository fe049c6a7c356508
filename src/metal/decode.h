/* SPDX-License-Identifier: BSD-2-Clause */
/* Integer loads and stores, as far as a guest may use them on emulated registers. */
#ifndef COSM_METAL_DECODE_H
#define COSM_METAL_DECODE_H

#include "base/types.h"

struct access {
    u32 width;  /* bytes: 1, 2, 4, 8 */
    u32 reg;    /* x register that is stored or loaded */
    u32 length; /* of the instruction, bytes: 2 or 4 */
    bool write;
    bool is_signed;
};

/* Of an instruction's bits, 16-bit ones in the low half. False: it is no plain load or store. */
bool decode_access(u32 insn, struct access *access);
/*
 * Of htinst when it is not 0: a load or store made 32 bits long, whose bit 1 is 0 if it was a
 * compressed one (Privileged Architecture, "Transformed Standard Instruction"). False: another
 * instruction, or an access of the walk of page tables.
 */
bool decode_transformed(u32 insn, struct access *access);

#endif
