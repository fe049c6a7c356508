/* SPDX-License-Identifier: BSD-2-Clause */
/* 'cosm run': a VM in this process or, detached, in one of its own. */
#ifndef COSM_APPS_RUN_H
#define COSM_APPS_RUN_H

#include "apps/cosm/options.h"

/* Called in the VM's process, which is confined. */
struct run_events {
    void (*began)(void *ctx); /* all that could fail at the start has not */
    void (*ended)(void *ctx); /* it ran to its end and let go of its record */
    void *ctx;
};

/* The exit status, or -errno and the sentence; argv is what main got. events: NULL, nobody asks. */
MUST_CHECK int run_vm(struct options *options, char *const *argv, const struct run_events *events,
                      struct err *err);

#endif
