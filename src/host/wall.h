/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's wall clock: who tells when it is set, or the host wakes from sleep. */
#ifndef COSM_HOST_WALL_H
#define COSM_HOST_WALL_H

#include "base/types.h"

/* CLOCK_REALTIME now: ns since 1970. */
u64 host_wall_ns(void);

/*
 * A descriptor that is readable once the wall clock has moved other than by the passing of time
 * (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET): somebody has set it, or the host has slept, which
 * the monotonic clock does not count. -errno: there is none.
 */
int host_wall_watch(void);

/* Makes it unreadable until the next time. */
void host_wall_seen(int fd);

#endif
