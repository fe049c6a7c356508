/* SPDX-License-Identifier: BSD-2-Clause */
/* Says whenever src/host/wall.c tells that the wall clock was set: run where setting it does no
 * harm. */
#include "host/wall.h"

#include <poll.h>
#include <stdio.h>

int main(void)
{
    struct pollfd p = {.fd = host_wall_watch(), .events = POLLIN};

    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("%s\n", p.fd < 0 ? "blind" : poll(&p, 1, 500) ? "restless" : "quiet");
    for (int i = 0; i < 2 && poll(&p, 1, -1) == 1; i++) {
        printf("moved\n");
        host_wall_seen(p.fd);
    }
    printf("%s\n", poll(&p, 1, 500) ? "restless" : "quiet");
    return 0;
}
