/* SPDX-License-Identifier: BSD-2-Clause */
/* When a guest is asked to tell others where it is. */
#include "net/announcer.h"

#define ROUNDS 3
#define FIRST_NS \
    (100 * UINT64_C(1000000)) /* each round waits four times as long as the one before */

static void wait(const struct announcer *a)
{
    timer_arm(&a->timer,
              a->left ? loop_now(a->loop) + (FIRST_NS << 2 * (ROUNDS - a->left)) : CLOCK_NEVER);
}

static void on_time(void *ctx, u32 arg)
{
    struct announcer *a = ctx;

    (void)arg;
    if (!a->left)
        return;
    a->announce(a->ctx);
    a->left--;
    wait(a);
}

void announcer_init(struct announcer *a, struct loop *loop, void (*announce)(void *ctx), void *ctx)
{
    *a = (struct announcer){.loop = loop, .announce = announce, .ctx = ctx};
    a->timer = loop_timer(loop, on_time, a, 0);
}

void announcer_link(struct announcer *a, bool up)
{
    a->left = up ? ROUNDS : 0;
    wait(a);
}
