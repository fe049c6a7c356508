/* SPDX-License-Identifier: BSD-2-Clause */
/* cosm net: makes, lists, examines and removes networks between VMs. */
#ifndef COSM_APPS_NET_H
#define COSM_APPS_NET_H

#include "apps/cosm/options.h"

/* 0, -EINVAL (a usage error) or another -errno, and the sentence. */
MUST_CHECK int net_main(const struct options *options, struct err *err);

#endif
