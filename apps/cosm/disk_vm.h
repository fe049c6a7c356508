/* SPDX-License-Identifier: BSD-2-Clause */
/* Images that a running VM uses: what is to be done to them is asked of the VM. */
#ifndef COSM_APPS_DISK_VM_H
#define COSM_APPS_DISK_VM_H

#include "api/client.h"

struct disk_vm {
    char name[RECORD_NAME_MAX];
    char device[64]; /* by which the VM knows the disk */
    u64 size;        /* bytes */
    struct client client;
};

/* The VM with a name that uses this image as a disk; false: none does, or it does not answer. */
bool disk_vm_find(const char *path, struct disk_vm *vm);
void disk_vm_leave(struct disk_vm *vm);

#endif
