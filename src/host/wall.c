/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's wall clock: who tells when it is set, or the host wakes from sleep. */
#include "host/wall.h"

#include <errno.h>
#include <limits.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

u64 host_wall_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}

/* A timer that never comes, but for its being cancelled. */
static int arm(int fd)
{
    const struct itimerspec never = {.it_value.tv_sec = LONG_MAX};

    return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
}

int host_wall_watch(void)
{
    int fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);

    if (fd < 0)
        return -errno;
    if (arm(fd) < 0 && errno != ECANCELED) {
        int code = errno;

        close(fd);
        return -code;
    }
    return fd;
}

void host_wall_seen(int fd)
{
    u64 count;

    (void)!read(fd, &count, sizeof(count)); /* ECANCELED is what it says */
    (void)arm(fd);
}
