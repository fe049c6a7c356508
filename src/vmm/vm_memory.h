/* SPDX-License-Identifier: BSD-2-Clause */
/* A running VM's memory from outside: what the guest uses, what it is to do without. On its loop.
 */
#ifndef COSM_VMM_VM_MEMORY_H
#define COSM_VMM_VM_MEMORY_H

#include "port/balloon.h"
#include "vmm/vm.h"

struct vm_memory {
    u64 size;     /* bytes of RAM */
    u64 resident; /* bytes that its process has on the host */
    bool has_balloon;
    struct balloon_state balloon; /* as of now, but for what the guest told, see vm_memory_ask */
};

void vm_memory_get(struct vm *vm, struct vm_memory *memory);

/* Asks the guest how it uses its memory. It tells some time, if it has a driver: told is greater.
 */
void vm_memory_ask(struct vm *vm);

/*
 * The guest is to make do with so many bytes; all that it has, if more. It gets there as fast as it
 * can, and takes back what it cannot do without. -ENODEV: it has no balloon.
 */
MUST_CHECK int vm_memory_set(struct vm *vm, u64 bytes, struct err *err);

#endif
