/* SPDX-License-Identifier: BSD-2-Clause */
/* A board under cosm-metal, in QEMU or in cosm: its image, and the process with its serial line. */
#ifndef COSM_APPS_METAL_BOARD_H
#define COSM_APPS_METAL_BOARD_H

#include "apps/cosm/options.h"
#include "metal/config.h"

#include <sys/types.h>

struct metal_board_run {
    struct metal_config config; /* of the image */
    pid_t pid;
    int serial; /* both ways */
    int image;  /* a file in memory, or -1: it has a name */
    bool ours;  /* the board is cosm, not QEMU */
};

/*
 * Builds the image if the operand is a configuration, and starts the board that the options say;
 * its complaints go to the descriptor given. Then metal_board_stop. A failure may be -EINVAL with a
 * wrong command line, else another.
 */
MUST_CHECK int metal_board_start(struct metal_board_run *run, const struct options *options,
                                 int complaints, struct err *err);

/* Ends the board if it runs. 0: it was ended here, or powered off; else the sentence says how it
 * ended. */
MUST_CHECK int metal_board_stop(struct metal_board_run *run, bool end, struct err *err);

/* The configuration within an image. -EINVAL: there is none. */
MUST_CHECK int metal_config_find(const u8 *bytes, u64 size, struct metal_config *config,
                                 struct err *err);

/* The configuration of a file of either kind; bytes (the caller's) are NULL, or an image that was
 * built of it. */
MUST_CHECK int metal_config_load(const struct options *options, const char *path,
                                 struct metal_config *config, u8 **bytes, u64 *size,
                                 struct err *err);

#endif
