/* SPDX-License-Identifier: BSD-2-Clause */
/* What the process of a shared folder may still do once it has begun. */
#ifndef COSM_SHARE_FS_SANDBOX_H
#define COSM_SHARE_FS_SANDBOX_H

#include "base/err.h"

/*
 * No new privileges, only files below root, only the system calls that serving them needs. warning
 * gets a sentence if the host lacks a part of it.
 */
MUST_CHECK int fs_sandbox_enter(int root, bool readonly, char *warning, size_t room,
                                struct err *err);

#endif
