/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Networks that the user has made, by name: what each is to be lies in $XDG_STATE_HOME/cosm/net, a
 * file NAME.json each, in the words of the options; whether its switch runs its socket tells.
 */
#ifndef COSM_API_NETWORK_H
#define COSM_API_NETWORK_H

#include "net/lab.h"
#include "vmm/config.h"

/* The values of options; NULL: not given. */
struct network_options {
    const char *subnet, *dhcp, *tunnel, *mtu, *sandbox;
    bool nat;
    struct net_settings rules; /* its rules alone */
};

/* -EINVAL: a usage error; -EEXIST. */
MUST_CHECK int network_create(const char *name, const struct network_options *options,
                              struct err *err);

/* -ENOENT: there is none of this name. */
MUST_CHECK int network_open(struct lab_place *place, const char *name, struct err *err);

/* -EBUSY: VMs are in it; with force they see their cables pulled. */
MUST_CHECK int network_remove(const char *name, bool force, struct err *err);

/* Names in their order; *names is an array for free(). */
MUST_CHECK int network_list(char (**names)[LAB_NAME_MAX], size_t *count, struct err *err);

/* Completes the networks that a VM's interfaces are in. */
MUST_CHECK int network_resolve(struct vm_config *config, struct err *err);

#endif
