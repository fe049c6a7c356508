/* SPDX-License-Identifier: BSD-2-Clause */
/* cosm metal: configurations of the bare-metal hypervisor, and the images made of them. */
#ifndef COSM_APPS_METAL_H
#define COSM_APPS_METAL_H

#include "apps/cosm/options.h"

struct plan_core;

/* 0, -EINVAL (a usage error) or another -errno, and the sentence. */
MUST_CHECK int metal_main(const struct options *options, struct err *err);

/* The core that --core or the build of cosm gives; its flat.bytes are the caller's to free. */
MUST_CHECK int metal_core_read(const struct options *options, struct plan_core *core,
                               struct err *err);

#endif
