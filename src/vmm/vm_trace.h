/* SPDX-License-Identifier: BSD-2-Clause */
/* --trace: prints instructions and traps as harts execute them. */
#ifndef COSM_VMM_VM_TRACE_H
#define COSM_VMM_VM_TRACE_H

#include "exec/exec.h"

#include <stdio.h>

struct vm_trace;

/*
 * text: as trace_spec.h says; NULL: *trace is NULL, and nothing is traced. Sets what it needs in
 * env and config, before exec_create. Destroyed after the harts.
 */
MUST_CHECK int vm_trace_create(struct vm_trace **trace, const char *text, struct hart_env *env,
                               struct exec_config *config, struct err *err);
/* Where it tells of translations; NULL: nowhere. trace may be NULL. */
FILE *vm_trace_jit(const struct vm_trace *trace);

void vm_trace_destroy(struct vm_trace *trace);

#endif
