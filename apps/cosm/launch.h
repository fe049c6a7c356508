/* SPDX-License-Identifier: BSD-2-Clause */
/* 'cosm run IMAGE', 'cosm start' and 'cosm clone': VMs whose disks the store keeps. */
#ifndef COSM_APPS_LAUNCH_H
#define COSM_APPS_LAUNCH_H

#include "apps/cosm/options.h"

/* The exit status, or -errno and the sentence (-EINVAL: a usage error); argv is what main got. */
MUST_CHECK int launch_image(struct options *options, char *const *argv, struct err *err);

/* The exit status; errors are told. */
int launch_again(const struct options *options);
int launch_clone(const struct options *options);

#endif
