/* SPDX-License-Identifier: BSD-2-Clause */
/* cosm disk: makes, examines and changes disk images. */
#ifndef COSM_APPS_DISK_H
#define COSM_APPS_DISK_H

#include "apps/cosm/options.h"

/* Returns the exit status, or -1 with a sentence in err; -2: a usage error, with a sentence too. */
MUST_CHECK int disk_main(const struct options *options, struct err *err);

#endif
