/* SPDX-License-Identifier: BSD-2-Clause */
/* An error on the caller's stack: one sentence that names the thing, the value and the way out. */
#ifndef COSM_BASE_ERR_H
#define COSM_BASE_ERR_H

#include "base/types.h"

struct err {
    char msg[512];
};

/* Fills err->msg (a NULL err is allowed) and returns -code, so: return err_set(err, EINVAL, ...) */
int err_set(struct err *err, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
