/* SPDX-License-Identifier: BSD-2-Clause */
/* A cable that is not perfect: one direction with delay, loss and a rate. */
#ifndef COSM_NET_CABLE_H
#define COSM_NET_CABLE_H

#include "net/queue.h"
#include "net/settings.h"

struct cable {
    const struct net_impairment *impairment;
    struct net_queue queue; /* on the way, in the order of due_ns */
    u64 free_ns;            /* when what was put in so far has been sent at the cable's rate */
    u64 random;             /* not 0 */
    u64 lost;
};

void cable_init(struct cable *cable, const struct net_impairment *impairment, u64 seed);
void cable_fini(struct cable *cable);

/* Is there anything wrong with it? Else frames need not go through. */
bool cable_matters(const struct cable *cable);

/* A frame enters at now_ns; perhaps it is lost. */
void cable_put(struct cable *cable, u64 now_ns, const struct net_offload *offload, const u8 *bytes,
               size_t len);

/* The frame that has arrived by now_ns, or NULL; cable_drop takes it away. */
struct net_queued *cable_arrived(struct cable *cable, u64 now_ns);
void cable_drop(struct cable *cable);

/* When the next one arrives; UINT64_MAX: none is on the way. */
u64 cable_due(const struct cable *cable);

#endif
