/* SPDX-License-Identifier: BSD-2-Clause */
/* An error on the caller's stack: one sentence that names the thing, the value and the way out. */
#include "base/err.h"

#include "base/fmt.h"

int err_set(struct err *err, int code, const char *fmt, ...)
{
    va_list ap;

    if (err) {
        va_start(ap, fmt);
        fmt_vprint(err->msg, sizeof(err->msg), fmt, ap);
        va_end(ap);
    }
    return -code;
}
