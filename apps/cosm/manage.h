/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands about VMs that have a name. */
#ifndef COSM_APPS_MANAGE_H
#define COSM_APPS_MANAGE_H

#include "api/record.h"
#include "apps/cosm/options.h"

/* Does what options say; the exit status, errors are told. */
int manage(const struct options *options);

/* manage's, each in a file of its own: 0 or -errno and the sentence. */
MUST_CHECK int ps_print(const struct options *options, struct err *err);
MUST_CHECK int logs_print(const struct options *options, const struct record *record,
                          struct err *err);
MUST_CHECK int memory_manage(const struct options *options, struct record *record, struct err *err);
MUST_CHECK int console_attach_to(const struct record *record, struct err *err);

#endif
