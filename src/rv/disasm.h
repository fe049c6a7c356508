/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disassembler: one instruction as text, in the manner of objdump's no-aliases form: ABI register
 * names, the compressed mnemonic where it is compressed, a rounding mode only if it is static.
 */
#ifndef COSM_RV_DISASM_H
#define COSM_RV_DISASM_H

#include "rv/decode.h"

#define DISASM_MAX 64 /* bytes that suffice for any instruction */

/*
 * Writes "addi a0,a1,16" for raw (its low half if that is compressed) at pc, as a hart with these
 * extensions decodes it; ".4byte 0x..." for what is illegal to it. Returns as fmt_print does.
 */
size_t disasm(const struct isa *isa, u32 raw, gva_t pc, char *buf, size_t size);

/* "a0" and "fa0": the ABI's names, 0..31. */
const char *disasm_x_name(unsigned reg);
const char *disasm_f_name(unsigned reg);

#endif
