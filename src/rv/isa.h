/* SPDX-License-Identifier: BSD-2-Clause */
/* Which extensions a hart has: parsed from --cpu, printed into the device tree, asked at decode. */
#ifndef COSM_RV_ISA_H
#define COSM_RV_ISA_H

#include "base/bits.h"
#include "base/err.h"
#include "base/types.h"

enum isa_ext {
#define ISA(id, name, on, listed) ISA_##id,
#include "rv/isa.def"
#undef ISA
    ISA_COUNT
};

#define ISA_WORDS 2

_Static_assert(ISA_COUNT <= 64 * ISA_WORDS, "struct isa holds one bit an extension");

struct isa {
    u64 ext[ISA_WORDS]; /* bit n % 64 of word n / 64: enum isa_ext n */
    u8 satp_mode_max;   /* 0 Bare, 8 Sv39, 9 Sv48, 10 Sv57 */
    u8 pmp_count;       /* 0..PMP_ENTRIES */
};

static inline bool isa_has(const struct isa *isa, enum isa_ext ext)
{
    return isa->ext[ext / 64] >> ext % 64 & 1;
}

/* What cosm simulates when nothing is said. */
void isa_default(struct isa *isa);

/*
 * Applies a --cpu text: "rv64", or "max", which has Sv57 instead of Sv39, then ",+zba" ",-zfh"
 * ",zbb=off" ",sv39" ",sv48" ",sv57"
 * ",pmp=0..16". Dependencies are followed (d needs f; -f takes d, zfh, zfa along; zacas needs a).
 * 0 or -EINVAL with the nearest known name in the message.
 */
MUST_CHECK int isa_parse(struct isa *isa, const char *text, struct err *err);

/*
 * Device-tree forms, NUL-terminated into buf[size]; false: too small. isa_string gives
 * "rv64imafdc_zicsr_..."; isa_list gives "i" NL "m" NL ... separated by newlines.
 */
MUST_CHECK bool isa_string(const struct isa *isa, char *buf, size_t size);
MUST_CHECK bool isa_list(const struct isa *isa, char *buf, size_t size);

/* "riscv,sv57", "riscv,sv48", "riscv,sv39" or "riscv,none". */
const char *isa_mmu_type(const struct isa *isa);

/* The misa value. */
u64 isa_misa(const struct isa *isa);

#endif
