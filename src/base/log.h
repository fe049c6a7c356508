/* SPDX-License-Identifier: BSD-2-Clause */
/* Log facade: libraries describe, a sink (host/log.c, a test, metal's ring) decides and prints. */
#ifndef COSM_BASE_LOG_H
#define COSM_BASE_LOG_H

#include "base/types.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* A sink. write gets one line without a newline; it may be called from any thread. */
struct log {
    void (*write)(void *ctx, enum log_level level, const char *subsystem, const char *text);
    void *ctx;
    enum log_level level; /* lines above this level are not formatted */
};

/* Limits lines that a guest can provoke: the first 8 pass, then only the 16th, 32nd, ... */
struct log_limit {
    u32 seen;
};

/* log may be NULL: nothing is written. */
void log_print(const struct log *log, enum log_level level, const char *subsystem, const char *fmt,
               ...) PRINTF_LIKE(4, 5);

/* For what a guest did wrong: LOG_WARN, limited. Harts may share the limit without a lock. */
void log_guest(const struct log *log, struct log_limit *limit, const char *subsystem,
               const char *fmt, ...) PRINTF_LIKE(4, 5);

#endif
