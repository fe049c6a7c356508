/* SPDX-License-Identifier: BSD-2-Clause */
/* A virtual machine: made from a configuration, run to its end, taken down. */
#ifndef COSM_VMM_VM_H
#define COSM_VMM_VM_H

#include "vmm/config.h"

struct vm;

/*
 * Builds the machine and loads what it boots; nothing runs yet. config outlives the VM. 0 or
 * -errno with one sentence in err; whatever was opened is closed again.
 */
MUST_CHECK int vm_create(struct vm **vm, const struct vm_config *config, struct err *err);

/*
 * Runs until the guest powers off, the user quits or a signal ends it. Returns the exit status
 * (0..255: what the guest gave to the test finisher; 128 + n for signal n) or -errno.
 */
MUST_CHECK int vm_run(struct vm *vm, struct err *err);

/* The device tree that the guest gets. Valid until destroy. */
const void *vm_dtb(struct vm *vm, size_t *size);

void vm_destroy(struct vm *vm);

#endif
