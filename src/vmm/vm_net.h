/* SPDX-License-Identifier: BSD-2-Clause */
/* A running VM's network interfaces from outside. All on its loop. */
#ifndef COSM_VMM_VM_NET_H
#define COSM_VMM_VM_NET_H

#include "vmm/vm.h"

struct vm_net_info {
    const struct vm_net *config;
    const struct net_settings *user; /* as it is now; NULL unless VM_NET_USER */
    const char *ifname;              /* of the host; NULL unless VM_NET_TAP */
    u8 mac[6];
    u16 mtu;
    bool up; /* the user has not pulled the cable */
    u64 dropped;
};

/* Of interface index; false: there are fewer. */
bool vm_net_get(struct vm *vm, u32 index, struct vm_net_info *info);

/* Pulls or plugs the cable. */
MUST_CHECK int vm_net_set_link(struct vm *vm, u32 index, bool up, struct err *err);

/*
 * Forwards a port of the host, or no more; text as -p has it, to remove [ADDRESS:]PORT[/udp].
 * index: -1 is the first interface of the kind user.
 */
MUST_CHECK int vm_net_forward(struct vm *vm, int index, const char *text, bool add,
                              struct err *err);

#endif
