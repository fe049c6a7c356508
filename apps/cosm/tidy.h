/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A process that removes a VM of an image, record, disk and all: when it could not be started, or
 * when it ends and was to leave nothing. The VM's own process cannot, as its sandbox lets it reach
 * neither; and it may be killed.
 */
#ifndef COSM_APPS_TIDY_H
#define COSM_APPS_TIDY_H

#include "base/err.h"

struct tidy {
    int fd; /* -1: there is no process */
};

/* What makes it remove the VM. */
enum {
    TIDY_UNSTARTED = 1, /* its end without tidy_began */
    TIDY_ENDED = 2,     /* its end */
};

/* While this process has one thread, and before it has the lock of the VM's record. */
MUST_CHECK int tidy_start(struct tidy *t, const char *name, u32 when, struct err *err);

/* The VM runs. */
void tidy_began(struct tidy *t);

/* The VM has ended and let go of its record: returns when all is done. What went wrong is told.
 * Again: nothing. The end of all processes that have t is the VM's end, too. */
void tidy_end(struct tidy *t);

#endif
