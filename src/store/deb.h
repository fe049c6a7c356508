/* SPDX-License-Identifier: BSD-2-Clause */
/* Debian's packages (deb(5)), through the host's dpkg-deb. */
#ifndef COSM_STORE_DEB_H
#define COSM_STORE_DEB_H

#include "store/tar.h"

/*
 * Writes the package in path anew at the offset of fd, its parts not compressed: a guest that
 * installs it need not unpack what the host does many times as fast.
 */
MUST_CHECK int deb_write_plain(const char *path, int fd, struct err *err);

/* Gives the package's files to tar's callbacks; tar_init is done here. */
MUST_CHECK int deb_read(const char *path, const struct tar *callbacks, struct err *err);

#endif
