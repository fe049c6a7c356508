/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes images: packages from the archive, installed and configured inside a VM. */
#ifndef COSM_STORE_BUILD_H
#define COSM_STORE_BUILD_H

#include "store/installer.h"

#define BUILD_SIZE (20 * GIB)

/* Suites of Debian that images are made of, the first where none is named. */
extern const char *const build_suites[];
extern const u32 build_suite_count;

/* The recipe of the image "debian", or "debian:SUITE": a small server. False: another name. */
bool build_recipe(struct recipe *recipe, const char *name);
/* What others begin with: those, or "minimal[:SUITE]", which boots and takes packages. */
bool build_from(struct recipe *recipe, const char *name);

/*
 * Makes it anew; the name then means this one. Nothing is left of it if it fails, but for packages
 * in the cache. only_missing: does nothing if an image of this name is there, or was made by
 * another process while this one waited for it.
 */
MUST_CHECK int build_image(const struct recipe *recipe, bool only_missing,
                           const struct progress *progress, struct err *err);

#endif
