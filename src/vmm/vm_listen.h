/* SPDX-License-Identifier: BSD-2-Clause */
/* Tells what the translator does: --trace jit, and a map of its code for perf (--perf-map). */
#ifndef COSM_VMM_VM_LISTEN_H
#define COSM_VMM_VM_LISTEN_H

#include "exec/jit.h"
#include "machine/symbols.h"

#include <stdio.h>

struct vm_listen;

/*
 * trace: where lines go, NULL: nowhere. perf: write /tmp/perf-PID.map. symbols: the listener's,
 * even on error; may be NULL. Destroyed after the harts.
 */
MUST_CHECK int vm_listen_create(struct vm_listen **listen, FILE *trace, bool perf,
                                struct symbols *symbols, struct err *err);
void vm_listen_destroy(struct vm_listen *listen);

const struct jit_observer *vm_listen_observer(const struct vm_listen *listen);

#endif
