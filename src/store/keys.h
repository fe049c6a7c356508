/* SPDX-License-Identifier: BSD-2-Clause */
/* ssh keys, through the host's ssh-keygen. */
#ifndef COSM_STORE_KEYS_H
#define COSM_STORE_KEYS_H

#include "store/place.h"

/* A new ed25519 pair without a passphrase, in path and path.pub. */
MUST_CHECK int keys_make(const char *path, const char *comment, struct err *err);

/* The user's pair for all VMs, made once; path of the private one. */
MUST_CHECK int keys_own(char path[PLACE_MAX], struct err *err);

/* That pair's public key and those in ~/.ssh, a line each; malloc'ed. */
MUST_CHECK int keys_authorized(char **text, struct err *err);

#endif
