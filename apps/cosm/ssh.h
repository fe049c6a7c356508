/* SPDX-License-Identifier: BSD-2-Clause */
/* 'cosm connect', 'exec', 'ssh' and 'cp': a VM's guest by its virtio sockets. */
#ifndef COSM_APPS_SSH_H
#define COSM_APPS_SSH_H

#include "apps/cosm/options.h"

/* The exit status of cosm: that of the program in the guest, if one ran. */
int ssh_main(const struct options *options);

#endif
