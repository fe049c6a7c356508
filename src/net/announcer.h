/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When a guest is asked to tell others where it is: a while after its link came up again, as a
 * driver needs time to notice that, and more than once, as frames get lost. On the loop.
 */
#ifndef COSM_NET_ANNOUNCER_H
#define COSM_NET_ANNOUNCER_H

#include "host/loop.h"

/* Embedded; its fields are its own. */
struct announcer {
    struct loop *loop;
    struct timer_port timer;
    u32 left; /* rounds */
    void (*announce)(void *ctx);
    void *ctx;
};

void announcer_init(struct announcer *announcer, struct loop *loop, void (*announce)(void *ctx),
                    void *ctx);

/* Down ends what is under way. */
void announcer_link(struct announcer *announcer, bool up);

#endif
