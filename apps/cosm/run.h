/* SPDX-License-Identifier: BSD-2-Clause */
/* 'cosm run': a VM in this process or, detached, in one of its own. */
#ifndef COSM_APPS_RUN_H
#define COSM_APPS_RUN_H

#include "apps/cosm/options.h"

/* The exit status, or -errno and the sentence; argv is what main got. */
MUST_CHECK int run_vm(struct options *options, char *const *argv, struct err *err);

#endif
