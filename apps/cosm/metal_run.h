/* SPDX-License-Identifier: BSD-2-Clause */
/* cosm metal run: a board under cosm-metal on this terminal. */
#ifndef COSM_APPS_METAL_RUN_H
#define COSM_APPS_METAL_RUN_H

#include "apps/cosm/options.h"

/* 0, or -errno and the sentence; -EINVAL: a usage error. */
MUST_CHECK int metal_run(const struct options *options, struct err *err);

#endif
