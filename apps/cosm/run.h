/* SPDX-License-Identifier: BSD-2-Clause */
/* 'cosm run': a VM in this process or, detached, in one of its own. */
#ifndef COSM_APPS_RUN_H
#define COSM_APPS_RUN_H

#include "apps/cosm/options.h"

/*
 * The exit status, or -errno and the sentence; argv is what main got. ended, unless NULL: called
 * with the VM's name when it has run to its end, in the process that it was in.
 */
MUST_CHECK int run_vm(struct options *options, char *const *argv,
                      void (*ended)(const struct options *options, const char *name),
                      struct err *err);

#endif
