/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory for generated code, mapped twice: written through one mapping, executed through the other.
 * No mapping is ever writable and executable.
 */
#ifndef COSM_JIT_CODE_BUFFER_H
#define COSM_JIT_CODE_BUFFER_H

#include "base/types.h"

struct code_buffer {
    u8 *write;
    const u8 *run;
    u32 size;          /* bytes, a multiple of the host's page size */
    _Atomic u64 *huge; /* bit n: piece n of 2 MiB was asked for as one page */
};

/* False: the host does not give such memory. */
MUST_CHECK bool code_buffer_create(struct code_buffer *buffer, u32 size);
/* [from, end) is about to be written: the host is asked to have it in huge pages, which it may
 * refuse. Any thread. */
void code_buffer_reach(struct code_buffer *buffer, u32 from, u32 end);
/* Not much will be written for a while: what was written counts as resident once, not twice. */
void code_buffer_rest(struct code_buffer *buffer);
void code_buffer_destroy(struct code_buffer *buffer);

#endif
