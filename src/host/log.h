/* SPDX-License-Identifier: BSD-2-Clause */
/* Where log lines go: standard error or a file, filtered by level and subsystem. */
#ifndef COSM_HOST_LOG_H
#define COSM_HOST_LOG_H

#include "base/err.h"
#include "base/log.h"

struct log_sink;

/*
 * spec: items separated by commas, each LEVEL, SUBSYSTEM=LEVEL or file=PATH; NULL or "": warnings
 * to standard error. Levels: error, warn, info, debug.
 */
MUST_CHECK int log_sink_create(struct log_sink **sink, const char *spec, struct err *err);
void log_sink_destroy(struct log_sink *sink);

/* Checks a spec without opening anything. */
MUST_CHECK int log_spec_check(const char *spec, struct err *err);

/* Valid until destroy; any thread. */
const struct log *log_sink_log(struct log_sink *sink);

/*
 * While set, lines for standard error go to line(ctx, text, len) instead, without a newline: the
 * console shares the terminal. Set before other threads log, unset (NULL) after they ended.
 */
void log_sink_redirect(struct log_sink *sink, void (*line)(void *ctx, const char *text, size_t len),
                       void *ctx);

#endif
