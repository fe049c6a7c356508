/* SPDX-License-Identifier: BSD-2-Clause */
/* A cable that is not perfect: one direction with delay, loss and a rate. */
#include "net/cable.h"

#define MILLION    1000000u
#define SECOND     UINT64_C(1000000000)
#define BACKLOG_NS (200 * UINT64_C(1000000)) /* what would wait longer for its turn is lost */
#define BYTES_MAX  (32 * MIB)

void cable_init(struct cable *cable, const struct net_impairment *impairment, u64 seed)
{
    *cable = (struct cable){.impairment = impairment, .random = seed | 1};
    net_queue_init(&cable->queue);
}

void cable_fini(struct cable *cable)
{
    net_queue_fini(&cable->queue);
}

bool cable_matters(const struct cable *cable)
{
    const struct net_impairment *i = cable->impairment;

    return i->delay_us || i->loss_ppm || i->rate_bytes;
}

/* Marsaglia's xorshift; nobody's safety hangs on which frames are lost. */
static bool is_lost(struct cable *cable)
{
    cable->random ^= cable->random << 13;
    cable->random ^= cable->random >> 7;
    cable->random ^= cable->random << 17;
    return (cable->random >> 20) % MILLION < cable->impairment->loss_ppm;
}

void cable_put(struct cable *cable, u64 now_ns, const struct net_offload *offload, const u8 *bytes,
               size_t len)
{
    const struct net_impairment *i = cable->impairment;
    u64 sent_ns = now_ns;
    struct net_queued *q;

    if (i->rate_bytes) {
        if (cable->free_ns > now_ns)
            sent_ns = cable->free_ns;
        if (sent_ns - now_ns > BACKLOG_NS) {
            cable->lost++;
            return;
        }
        sent_ns += len * SECOND / i->rate_bytes;
        cable->free_ns = sent_ns;
    }
    if (is_lost(cable) || cable->queue.bytes > BYTES_MAX) {
        cable->lost++;
        return;
    }
    q = net_queue_add(&cable->queue, offload, bytes, len);
    if (q)
        q->due_ns = sent_ns + i->delay_us * UINT64_C(1000);
}

struct net_queued *cable_arrived(struct cable *cable, u64 now_ns)
{
    struct net_queued *first = net_queue_first(&cable->queue);

    return first && first->due_ns <= now_ns ? first : NULL;
}

void cable_drop(struct cable *cable)
{
    net_queue_drop(&cable->queue);
}

u64 cable_due(const struct cable *cable)
{
    const struct net_queued *first = net_queue_first(&cable->queue);

    return first ? first->due_ns : UINT64_MAX;
}
