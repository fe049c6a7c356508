/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A lock that freestanding code can hold: an uncontended acquire is one atomic operation; waiting
 * is the port's business (a futex on a PC, a pause loop on bare metal).
 *
 * State: 0 free, 1 held, 2 held and somebody may wait (Drepper, "Futexes are tricky", mutex 2).
 */
#ifndef COSM_PORT_LOCK_H
#define COSM_PORT_LOCK_H

#include "base/types.h"

#include <stdatomic.h>

struct lock {
    _Atomic u32 state;
};

/* Blocks while *word == value; may return early. Linked in by host/ or metal/. */
void port_wait(_Atomic u32 *word, u32 value);
/* Wakes one waiter of word, if any. */
void port_wake(_Atomic u32 *word);

static inline void lock_acquire(struct lock *lock)
{
    u32 state = 0;

    if (atomic_compare_exchange_strong_explicit(&lock->state, &state, 1, memory_order_acquire,
                                                memory_order_relaxed))
        return;
    while (atomic_exchange_explicit(&lock->state, 2, memory_order_acquire) != 0)
        port_wait(&lock->state, 2);
}

static inline void lock_release(struct lock *lock)
{
    if (atomic_exchange_explicit(&lock->state, 0, memory_order_release) == 2)
        port_wake(&lock->state);
}

#endif
