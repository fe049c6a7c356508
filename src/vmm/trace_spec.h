/* SPDX-License-Identifier: BSD-2-Clause */
/* What --trace asks for. */
#ifndef COSM_VMM_TRACE_SPEC_H
#define COSM_VMM_TRACE_SPEC_H

#include "base/err.h"

#define TRACE_PATH_MAX 4096

struct trace_spec {
    bool insn, trap;  /* instructions; exceptions and interrupts */
    bool jit;         /* what is translated */
    bool one_hart;    /* of hart alone */
    u32 hart;         /* if one_hart */
    u64 start, count; /* from the start-th instruction of a hart on, count instructions of it */
    char path[TRACE_PATH_MAX]; /* "": standard error */
};

/*
 * Items with commas between: insn, trap, jit (one at least), hart=N, start=N, count=N, file=PATH,
 * which comes last. 0 or -EINVAL and what is wrong.
 */
MUST_CHECK int trace_spec_parse(struct trace_spec *spec, const char *text, struct err *err);

#endif
