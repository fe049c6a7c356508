/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The trace of cosm-metal as a partition prints it that may monitor (examples/metal/monitor): lines
 * "trace HART NUMBER TIME KIND WHAT DETAIL" and "time TIME", in hexadecimal.
 */
#ifndef COSM_APPS_METAL_TRACE_H
#define COSM_APPS_METAL_TRACE_H

#include "apps/cosm/options.h"
#include "metal/config.h"
#include "metal/trace.h"

/* TRACE_... or this: time passed, and nothing else. */
#define TRACE_TIME 0

struct trace_line {
    u32 hart;
    struct trace_record record;
    u64 lost; /* records of the hart between the one before and this one */
};

/* Reads a line without its label. False: it is none of these, or not of a hart that may be. */
bool trace_line_read(const char *text, struct trace_line *line);

/* cosm metal trace: each record, decoded. cosm metal top: a table a second of the board's time.
 * 0, or -errno and the sentence; -EINVAL: a usage error. */
MUST_CHECK int metal_trace(const struct options *options, struct err *err);
MUST_CHECK int metal_top(const struct options *options, struct err *err);

/* Where a trace comes from. */
struct trace_source {
    struct metal_config config;
    bool configured; /* config holds names */
    void (*line)(void *ctx, const struct trace_line *line);
    void *ctx;
};

/* Starts the board or opens the file that the options name, and calls line for all that comes. */
MUST_CHECK int trace_source_run(struct trace_source *source, const struct options *options,
                                struct err *err);

/* Ticks a second; without a configuration: of QEMU's virt. */
u64 trace_timebase(const struct trace_source *source);

/* "linux/1": vCPU 1 of a partition with several; "idle" for METAL_NONE. */
#define TRACE_NAME_MAX 48
const char *trace_vcpu_name(const struct trace_source *source, u32 vcpu, char name[TRACE_NAME_MAX]);
const char *trace_partition_name(const struct trace_source *source, u32 partition,
                                 char name[TRACE_NAME_MAX]);

/* "12.3 us", "4.56 ms" */
const char *trace_duration(const struct trace_source *source, u64 ticks, char text[TRACE_NAME_MAX]);

#endif
