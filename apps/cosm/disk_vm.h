/* SPDX-License-Identifier: BSD-2-Clause */
/* Images that a running VM uses: what is to be done to them is asked of the VM. */
#ifndef COSM_APPS_DISK_VM_H
#define COSM_APPS_DISK_VM_H

#include "api/client.h"

struct disk_vm {
    char name[RECORD_NAME_MAX];
    char device[64];  /* by which the VM knows the disk */
    char below[4096]; /* the image that it lies on; "": none */
    u64 size;         /* bytes */
    struct client client;
};

/* The VM with a name that uses this image as a disk; false: none does, or it does not answer. */
bool disk_vm_find(const char *path, struct disk_vm *vm);
void disk_vm_leave(struct disk_vm *vm);

/* cosm disk snapshot external, cosm disk commit, of an image that the VM uses: 0 or -errno. */
MUST_CHECK int disk_vm_snapshot(struct disk_vm *vm, const char *path, struct err *err);
MUST_CHECK int disk_vm_commit(struct disk_vm *vm, bool (*progress)(void *ctx, u64 done, u64 total),
                              void *ctx, struct err *err);

#endif
