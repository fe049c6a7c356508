/* SPDX-License-Identifier: BSD-2-Clause */
/* What a VM's guest and its host share: sockets. */
#include "vmm/vm_state.h"

#include "device/virtio/vsock.h"

#include <unistd.h>

/* Process numbers differ as long as the VMs run; none is so large that the sum would be too. */
static u32 own_cid(const struct vm *vm)
{
    return vm->config->icount ? VIRTIO_VSOCK_CID_MIN : VIRTIO_VSOCK_CID_MIN - 1 + (u32)getpid();
}

static int plug_vsock(struct vm *vm, struct machine_config *mc, struct err *err)
{
    const struct vm_vsock *c = &vm->config->vsock;
    int slot = vm_take_slot(vm, mc, VM_SLOT_ANY, "--vsock (leave it out with --vsock off)", err);
    int r = slot < 0 ? slot : vsock_host_create(&vm->vsock, vm->loop, err);

    if (!r && *c->path && !vm->config->dump_dtb)
        r = vsock_host_listen_path(vm->vsock, c->path, err);
    if (r)
        return r;
    mc->virtio[slot].kind = MACHINE_VIRTIO_VSOCK;
    mc->virtio[slot].vsock = vsock_host_port(vm->vsock);
    mc->virtio[slot].cid = c->cid ? c->cid : own_cid(vm);
    return 0;
}

int vm_share_plug(struct vm *vm, struct machine_config *mc, struct err *err)
{
    return vm->config->vsock.enabled ? plug_vsock(vm, mc, err) : 0;
}

int vm_vsock_listen(struct vm *vm, int dir, const char *name, struct err *err)
{
    return vm->vsock ? vsock_host_listen(vm->vsock, dir, name, err) : 0;
}

void vm_share_close(struct vm *vm)
{
    vsock_host_close(vm->vsock);
}

void vm_share_destroy(struct vm *vm)
{
    vsock_host_destroy(vm->vsock);
}
