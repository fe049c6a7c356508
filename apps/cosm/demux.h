/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The serial line of a board under cosm-metal, taken apart by the labels of its lines
 * (metal/console.h): "[NAME] text", "[NAME]+text" for the rest of a line, and lines without a label
 * from who had the line before the hypervisor.
 */
#ifndef COSM_APPS_DEMUX_H
#define COSM_APPS_DEMUX_H

#include "metal/config.h"

#define DEMUX_METAL METAL_PARTITIONS_MAX       /* the hypervisor */
#define DEMUX_OTHER (METAL_PARTITIONS_MAX + 1) /* nobody's */

struct demux {
    const struct metal_config *config; /* whose names */
    /*
     * Text of a partition (its index) or of the above, any part of a line, without the line's end:
     * the hypervisor's is a carriage return and a line feed. begins: it is the first of a line that
     * does not go on with an earlier one.
     */
    void (*text)(void *ctx, u32 who, bool begins, const u8 *bytes, size_t len);
    /* A line ended; a later one may go on with it. NULL: not of interest. */
    void (*ended)(void *ctx, u32 who);
    void *ctx;
    char label[METAL_NAME_MAX + 3];
    size_t len; /* of label */
    u32 who;
    bool in_text;
    bool held; /* a carriage return, which may be of the line's end */
};

void demux_init(struct demux *demux, const struct metal_config *config, void *ctx);
void demux_write(struct demux *demux, const u8 *bytes, size_t len);

#endif
