/* SPDX-License-Identifier: BSD-2-Clause */
/* A virtual machine: made from a configuration, run to its end, taken down. */
#ifndef COSM_VMM_VM_H
#define COSM_VMM_VM_H

#include "host/sandbox.h"
#include "vmm/config.h"

struct vm;

/*
 * Builds the machine and loads what it boots; nothing runs yet. config outlives the VM. 0 or
 * -errno with one sentence in err; whatever was opened is closed again.
 */
MUST_CHECK int vm_create(struct vm **vm, const struct vm_config *config, struct err *err);

/* dir/name, a socket in a folder of the user's, goes with the VM. Before vm_confine; dir stays open
 * until then. */
MUST_CHECK int vm_attend(struct vm *vm, int dir, const char *name, struct err *err);

/*
 * Opens what is still to be opened for running, then gives up all that the process does not need,
 * as config->sandbox has it (host/sandbox.h); grant: what others in it go on using. Once, before
 * vm_run, and while the process has no other thread.
 */
MUST_CHECK int vm_confine(struct vm *vm, const struct sandbox_grant *grant, u32 grants,
                          struct err *err);

/*
 * Runs until the guest powers off, the user quits or a signal ends it. Returns the exit status
 * (0..255: what the guest gave to the test finisher; 128 + n for signal n) or -errno.
 */
MUST_CHECK int vm_run(struct vm *vm, struct err *err);

/* The device tree that the guest gets. Valid until destroy. */
const void *vm_dtb(struct vm *vm, size_t *size);

void vm_destroy(struct vm *vm);

#endif
