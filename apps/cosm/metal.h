/* SPDX-License-Identifier: BSD-2-Clause */
/* cosm metal: configurations of the bare-metal hypervisor, and the images made of them. */
#ifndef COSM_APPS_METAL_H
#define COSM_APPS_METAL_H

#include "apps/cosm/options.h"

/* 0, -EINVAL (a usage error) or another -errno, and the sentence. */
MUST_CHECK int metal_main(const struct options *options, struct err *err);

#endif
