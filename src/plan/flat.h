/* SPDX-License-Identifier: BSD-2-Clause */
/* An ELF file as memory holds it: one piece from its lowest to its highest address. */
#ifndef COSM_PLAN_FLAT_H
#define COSM_PLAN_FLAT_H

#include "machine/image.h"

struct flat {
    u8 *bytes; /* malloc'ed, the caller's */
    u64 size;  /* of bytes */
    u64 base;  /* the address of the first, a multiple of 8 */
    u64 span;  /* bytes of memory that it needs, zeroed ones at the end included */
    u64 entry;
};

enum flat_kind {
    FLAT_PROGRAM, /* by physical addresses, without the zeroes at its end */
    FLAT_CORE,    /* by virtual addresses, all of them */
};

/* At most max bytes of memory. -EINVAL with a sentence that says "it". */
MUST_CHECK int flat_make(const struct image_source *elf, enum flat_kind kind, u64 max,
                         struct flat *flat, struct err *err);

#endif
