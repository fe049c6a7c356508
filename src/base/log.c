/* SPDX-License-Identifier: BSD-2-Clause */
/* Log facade: formats a line and hands it to the sink. */
#include "base/log.h"

#include "base/bits.h"
#include "base/fmt.h"

static void log_vprint(const struct log *log, enum log_level level, const char *subsystem,
                       const char *fmt, va_list ap)
{
    char text[512];

    fmt_vprint(text, sizeof(text), fmt, ap);
    log->write(log->ctx, level, subsystem, text);
}

void log_print(const struct log *log, enum log_level level, const char *subsystem, const char *fmt,
               ...)
{
    va_list ap;

    if (!log || !log->write || level > log->level)
        return;
    va_start(ap, fmt);
    log_vprint(log, level, subsystem, fmt, ap);
    va_end(ap);
}

void log_guest(const struct log *log, struct log_limit *limit, const char *subsystem,
               const char *fmt, ...)
{
    u32 seen = __atomic_add_fetch(&limit->seen, 1, __ATOMIC_RELAXED);
    va_list ap;

    if (seen > 8 && !is_pow2(seen))
        return;
    if (!log || !log->write || LOG_WARN > log->level)
        return;
    va_start(ap, fmt);
    log_vprint(log, LOG_WARN, subsystem, fmt, ap);
    va_end(ap);
}
