/* SPDX-License-Identifier: BSD-2-Clause */
/* What a VM's guest and its host share: sockets, folders. */
#include "vmm/vm_state.h"

#include "base/fmt.h"
#include "device/virtio/vsock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
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

static int plug_folder(struct vm *vm, struct machine_config *mc, u32 i, struct err *err)
{
    const struct vm_share *s = &vm->config->share[i];
    const struct fs_process_config config = {s->folder, s->readonly, s->uid, s->gid,
                                             vm->config->sandbox};
    int slot = vm_take_slot(vm, mc, VM_SLOT_ANY, s->folder, err);
    int r = slot < 0 ? slot : fs_process_create(&vm->share[i], vm->loop, vm->log, &config, err);

    if (r)
        return r;
    mc->virtio[slot].kind = MACHINE_VIRTIO_FS;
    mc->virtio[slot].fs = fs_process_port(vm->share[i]);
    memcpy(mc->virtio[slot].tag, s->tag, sizeof(s->tag));
    return 0;
}

int vm_share_plug(struct vm *vm, struct machine_config *mc, struct err *err)
{
    int r = vm->config->vsock.enabled ? plug_vsock(vm, mc, err) : 0;

    for (u32 i = 0; !r && i < vm->config->share_count; i++)
        r = plug_folder(vm, mc, i, err);
    return r;
}

/* fstab(5) has fields between spaces. */
static size_t put_escaped(char *to, const char *text)
{
    size_t n = 0;

    for (; *text; text++) {
        if (*text == ' ' || *text == '\t' || *text == '\n' || *text == '\\' || *text == '#')
            n += fmt_print(to + n, 5, "\\0%u%u", (u8)*text >> 3, *text & 7);
        else
            to[n++] = *text;
    }
    return n;
}

/* systemd's credential fstab.extra, unless the user gives one. */
int vm_share_tell(struct vm *vm, struct err *err)
{
    static const char name[] = "opt/io.systemd.credentials/fstab.extra";
    const struct vm_config *c = vm->config;
    size_t n = 0, room = 1;

    for (u32 i = 0; i < c->fw_cfg_count; i++) {
        if (!strcmp(c->fw_cfg[i].name, name))
            return 0;
    }
    for (u32 i = 0; i < c->share_count; i++)
        room +=
            *c->share[i].place ? 4 * (strlen(c->share[i].tag) + strlen(c->share[i].place)) + 64 : 0;
    if (room == 1)
        return 0;
    vm->fstab = malloc(room);
    if (!vm->fstab)
        return err_set(err, ENOMEM, "no host memory for what the guest is told");
    for (u32 i = 0; i < c->share_count; i++) {
        const struct vm_share *s = &c->share[i];

        if (!*s->place)
            continue;
        n += put_escaped(vm->fstab + n, s->tag);
        vm->fstab[n++] = ' ';
        n += put_escaped(vm->fstab + n, s->place);
        n += fmt_print(vm->fstab + n, room - n, " virtiofs %s,nofail 0 0\n",
                       s->readonly ? "ro" : "rw");
    }
    vm->fw_cfg[vm->fw_cfg_count++] =
        (struct machine_fw_cfg){.name = name, .data = (const u8 *)vm->fstab, .len = (u32)n};
    return 0;
}

int vm_vsock_listen(struct vm *vm, int dir, const char *name, struct err *err)
{
    return vm->vsock ? vsock_host_listen(vm->vsock, dir, name, err) : 0;
}

void vm_share_close(struct vm *vm)
{
    vsock_host_close(vm->vsock);
    for (u32 i = 0; i < VM_SHARES_MAX; i++)
        fs_process_close(vm->share[i]);
}

void vm_share_destroy(struct vm *vm)
{
    free(vm->fstab);
    vsock_host_destroy(vm->vsock);
    for (u32 i = 0; i < VM_SHARES_MAX; i++)
        fs_process_destroy(vm->share[i]);
}
