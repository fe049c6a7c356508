/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The proxies of the machine's apt (apt.conf(5), Acquire::http::Proxy and Acquire::https::Proxy)
 * for that of a guest, whose image takes its packages from the same mirror.
 */
#ifndef COSM_APPS_PROXY_H
#define COSM_APPS_PROXY_H

#include "vmm/config.h"

#define PROXY_MAX 256

/*
 * A proxy as the guest reaches it: one on the host's loopback by the host's address in a user
 * network, if its rules let it. False: it does not reach it, or the guest should not know it, as it
 * has a password.
 */
bool proxy_for_guest(char to[PROXY_MAX], const char *uri, const struct vm_config *config);

/* Adds them as the credentials cosm.http-proxy and cosm.https-proxy. No apt here: nothing to add.
 */
MUST_CHECK int proxy_add(struct vm_config *config, struct err *err);

#endif
