/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A lock between harts, for some instructions with interrupts off. Who asks first has it first
 * (Reed and Kanodia, "Synchronization with Eventcounts and Sequencers", CACM 1979: a ticket), so
 * nobody waits longer than each other hart needs once, however often these come back.
 */
#ifndef COSM_METAL_SPINLOCK_H
#define COSM_METAL_SPINLOCK_H

#include "metal/csr.h"

#include <stdatomic.h>

struct spinlock {
    _Atomic u32 next;    /* ticket to be drawn */
    _Atomic u32 serving; /* equal to it: free */
};

static inline void spin_acquire(struct spinlock *lock)
{
    u32 ticket = atomic_fetch_add_explicit(&lock->next, 1, memory_order_relaxed);

    while (atomic_load_explicit(&lock->serving, memory_order_acquire) != ticket)
        pause_hint();
}

/* False: somebody else has it. */
static inline bool spin_try(struct spinlock *lock)
{
    u32 ticket = atomic_load_explicit(&lock->serving, memory_order_acquire);

    return atomic_compare_exchange_strong_explicit(&lock->next, &ticket, ticket + 1,
                                                   memory_order_acquire, memory_order_relaxed);
}

static inline void spin_release(struct spinlock *lock)
{
    u32 ticket = atomic_load_explicit(&lock->serving, memory_order_relaxed);

    atomic_store_explicit(&lock->serving, ticket + 1, memory_order_release);
}

#endif
