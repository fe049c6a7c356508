/* SPDX-License-Identifier: BSD-2-Clause */
/* cosm net and cosm port: networks between VMs, and what a VM's interfaces are. */
#ifndef COSM_APPS_NET_H
#define COSM_APPS_NET_H

#include "apps/cosm/options.h"

/* 0, -EINVAL (a usage error) or another -errno, and the sentence. */
MUST_CHECK int net_main(const struct options *options, struct err *err);

/* cosm port, and the verb link of cosm net: the same. */
MUST_CHECK int port_main(const struct options *options, struct err *err);
MUST_CHECK int port_link(const struct options *options, struct err *err);

#endif
