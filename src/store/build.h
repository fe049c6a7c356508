/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes images: packages from the archive, installed and configured inside a VM. */
#ifndef COSM_STORE_BUILD_H
#define COSM_STORE_BUILD_H

#include "store/installer.h"

#define BUILD_SUITE "trixie"
#define BUILD_SIZE  (20 * GIB)

/* The recipe of the image 'debian': a small server. */
void build_recipe(struct recipe *recipe);
/* What others begin with: "debian", or "minimal", which boots and takes packages. False: unknown.
 */
bool build_from(struct recipe *recipe, const char *name);

/*
 * Makes it anew; the name then means this one. Nothing is left of it if it fails, but for packages
 * in the cache. only_missing: does nothing if an image of this name is there, or was made by
 * another process while this one waited for it.
 */
MUST_CHECK int build_image(const struct recipe *recipe, bool only_missing,
                           const struct progress *progress, struct err *err);

#endif
