/* SPDX-License-Identifier: BSD-2-Clause */
/* A record of frames in the pcap format, version 2.4, with nanoseconds. */
#ifndef COSM_NET_CAPTURE_H
#define COSM_NET_CAPTURE_H

#include "base/types.h"

struct capture {
    int fd; /* -1: none, or it could not be written */
    size_t len;
    u8 bytes[128 * KIB]; /* not yet written */
};

/* The file is empty unless this goes_on; fd may be -1. */
void capture_init(struct capture *capture, int fd, bool goes_on);
void capture_frame(struct capture *capture, const u8 *bytes, size_t len);
/* Writes what is held back; to be called before one waits for long. */
void capture_flush(struct capture *capture);

#endif
