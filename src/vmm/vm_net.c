/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM's network interfaces: their addresses, and what they are connected to. */
#include "vmm/vm_net.h"

#include "base/endian.h"
#include "base/fmt.h"
#include "host/scope.h"
#include "net/null.h"
#include "vmm/vm_state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static void random_mac(struct vm *vm, u8 mac[6])
{
    struct entropy entropy = vm_entropy(vm);

    entropy_fill(&entropy, mac, 6);
    mac[0] = (u8)((mac[0] & 0xfc) | 0x02); /* locally administered, unicast */
}

/* The same each time for a VM with a name, so that its network gives it the same address. */
static void choose_mac(struct vm *vm, const struct vm_net *n, u8 mac[6])
{
    u64 hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

    if (n->has_mac) {
        memcpy(mac, n->mac, 6);
        return;
    }
    random_mac(vm, mac);
    if (n->kind != VM_NET_LAB || !vm->config->name)
        return;
    for (const char *c = vm->config->name; *c; c++)
        hash = (hash ^ (u8)*c) * UINT64_C(0x100000001b3);
    for (const char *c = n->lab.settings.name; *c; c++)
        hash = (hash ^ (u8)*c) * UINT64_C(0x100000001b3);
    be32_store(mac + 1, (u32)(hash >> 32));
    mac[5] = (u8)(hash + (u64)(n - vm->config->net));
    mac[0] = 0x06;
}

static int create_lab(struct vm *vm, u32 i, const u8 mac[6], int capture, struct err *err)
{
    const struct vm_net *n = &vm->config->net[i];
    struct lab_port port = n->port;

    memcpy(port.mac, mac, 6);
    fmt_print(port.vm, sizeof(port.vm), "%s", vm->config->name ? vm->config->name : "");
    return lab_create(&vm->lab[i], vm->loop, vm->log, &n->lab, &port, capture, err);
}

static int create_vhost(struct vm *vm, u32 i, struct machine_virtio *slot, struct err *err)
{
    const struct vm_net *n = &vm->config->net[i];
    const struct vhost_config config = {.loop = vm->loop,
                                        .log = vm->log,
                                        .path = n->socket,
                                        .queues = n->pairs ? 2 * n->pairs : 2,
                                        .gmem = &vm->gmem,
                                        .memory_fd = vm->ram.fd};
    int r = vhost_create(&vm->vhost[i], &config, err);

    if (!r)
        slot->server = vhost_server(vm->vhost[i]);
    slot->net = NULL;
    return r;
}

int vm_net_create(struct vm *vm, u32 i, struct machine_virtio *slot, struct err *err)
{
    const struct vm_net *n = &vm->config->net[i];
    struct net_settings settings = n->user;
    struct tap_settings tap = n->tap;
    AUTO_FD int capture = -1;
    int r = 0;

    choose_mac(vm, n, vm->mac[i]);
    memcpy(slot->mac, vm->mac[i], 6);
    slot->net = &null_net;
    if (n->kind == VM_NET_LOOPBACK) {
        loopback_init(&vm->loopback[i]);
        slot->net = &vm->loopback[i].net;
    }
    if (vm->config->dump_dtb)
        return 0;
    if (*n->pcap) {
        capture = open(n->pcap, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (capture < 0)
            return err_set(err, errno, "--net: cannot write %s: %s", n->pcap, strerror(errno));
    }
    tap.queues = n->pairs;
    settings.sandbox = vm->config->sandbox;
    if (n->kind == VM_NET_USER)
        r = net_process_create(&vm->net_process[i], vm->loop, vm->log, &settings, capture, err);
    else if (n->kind == VM_NET_LAB)
        r = create_lab(vm, i, vm->mac[i], capture, err);
    else if (n->kind == VM_NET_TAP)
        r = tap_create(&vm->tap[i], vm->loop, vm->log, &tap, err);
    else if (n->kind == VM_NET_VHOST)
        r = create_vhost(vm, i, slot, err);
    vm->link[i] = vm->net_process[i] ? net_process_link(vm->net_process[i])
                  : vm->lab[i]       ? lab_link(vm->lab[i])
                  : vm->tap[i]       ? tap_link(vm->tap[i])
                                     : NULL;
    if (vm->link[i])
        slot->net = &vm->link[i]->net;
    if (vm->tap[i])
        slot->net = tap_net(vm->tap[i]);
    return r;
}

void vm_nets_close(struct vm *vm)
{
    for (u32 i = 0; i < VM_NETS_MAX; i++) {
        net_process_close(vm->net_process[i]);
        lab_close(vm->lab[i]);
        tap_close(vm->tap[i]);
        vhost_close(vm->vhost[i]);
    }
}

void vm_nets_destroy(struct vm *vm)
{
    for (u32 i = 0; i < VM_NETS_MAX; i++) {
        net_process_destroy(vm->net_process[i]);
        lab_destroy(vm->lab[i]);
        tap_destroy(vm->tap[i]);
        vhost_destroy(vm->vhost[i]);
    }
}

bool vm_net_get(struct vm *vm, u32 index, struct vm_net_info *info)
{
    const struct link *link;

    if (index >= vm->config->net_count)
        return false;
    link = vm->link[index];
    *info =
        (struct vm_net_info){.config = &vm->config->net[index],
                             .mtu = link && link->net.mtu ? link->net.mtu : LAB_MTU,
                             .up = link ? !link->cut : vm->config->net[index].kind != VM_NET_NULL};
    if (vm->vhost[index])
        info->up = vhost_is_up(vm->vhost[index]);
    memcpy(info->mac, vm->mac[index], 6);
    if (link)
        info->dropped = atomic_load_explicit(&link->dropped, memory_order_relaxed);
    if (vm->tap[index]) {
        info->ifname = tap_ifname(vm->tap[index]);
        info->dropped = tap_dropped(vm->tap[index]);
    }
    if (vm->net_process[index])
        info->user = net_process_settings(vm->net_process[index]);
    return true;
}

int vm_net_set_link(struct vm *vm, u32 index, bool up, struct err *err)
{
    if (index >= vm->config->net_count)
        return err_set(err, ENODEV, "there is no network interface net%u; the VM has %u", index,
                       vm->config->net_count);
    if (vm->vhost[index])
        vhost_cut(vm->vhost[index], !up);
    else if (vm->link[index])
        link_cut(vm->link[index], !up);
    else
        return err_set(err, ENOTSUP, "net%u is not connected to anything", index);
    return 0;
}

int vm_net_forward(struct vm *vm, int index, const char *text, bool add, struct err *err)
{
    struct net_settings trial = {0};
    struct net_process *process;
    int i = index < 0 ? 0 : index, r;

    while (index < 0 && i < VM_NETS_MAX && !vm->net_process[i])
        i++;
    process = i < VM_NETS_MAX ? vm->net_process[i] : NULL;
    if (!process)
        return err_set(err, ENODEV,
                       "the VM has no network of the kind user, whose ports could be "
                       "forwarded; start it with -p or --net user");
    r = add ? net_settings_forward(&trial, text, err) : net_settings_unforward(&trial, text, err);
    if (r)
        return r;
    return add ? net_process_forward(process, &trial.forward[0], err)
               : net_process_unforward(process, &trial.forward[0], err);
}
