/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM's network interfaces: their addresses, and what they are connected to. */
#include "vmm/vm_state.h"

#include "base/endian.h"
#include "base/fmt.h"
#include "host/scope.h"
#include "net/null.h"

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

int vm_net_create(struct vm *vm, u32 i, u8 mac[6], const struct net **net, struct err *err)
{
    const struct vm_net *n = &vm->config->net[i];
    AUTO_FD int capture = -1;
    int r = 0;

    choose_mac(vm, n, mac);
    *net = &null_net;
    if (n->kind == VM_NET_LOOPBACK) {
        loopback_init(&vm->loopback[i]);
        *net = &vm->loopback[i].net;
    }
    if (vm->config->dump_dtb)
        return 0;
    if (*n->pcap) {
        capture = open(n->pcap, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (capture < 0)
            return err_set(err, errno, "--net: cannot write %s: %s", n->pcap, strerror(errno));
    }
    if (n->kind == VM_NET_USER)
        r = net_process_create(&vm->net_process[i], vm->loop, vm->log, &n->user, capture, err);
    else if (n->kind == VM_NET_LAB)
        r = create_lab(vm, i, mac, capture, err);
    vm->link[i] = vm->net_process[i] ? net_process_link(vm->net_process[i])
                  : vm->lab[i]       ? lab_link(vm->lab[i])
                                     : NULL;
    if (vm->link[i])
        *net = &vm->link[i]->net;
    return r;
}

void vm_nets_close(struct vm *vm)
{
    for (u32 i = 0; i < VM_NETS_MAX; i++) {
        net_process_close(vm->net_process[i]);
        lab_close(vm->lab[i]);
    }
}

void vm_nets_destroy(struct vm *vm)
{
    for (u32 i = 0; i < VM_NETS_MAX; i++) {
        net_process_destroy(vm->net_process[i]);
        lab_destroy(vm->lab[i]);
    }
}
