/* SPDX-License-Identifier: BSD-2-Clause */
/* An interrupt wire: what a device, a controller or a timer drives. Level-sensitive. */
#ifndef COSM_PORT_IRQ_H
#define COSM_PORT_IRQ_H

#include "base/types.h"

struct irq_line {
    void (*set)(void *ctx, u32 line, bool level); /* any thread; NULL: not connected */
    void *ctx;
    u32 line;
};

static inline void irq_set(const struct irq_line *irq, bool level)
{
    if (irq->set)
        irq->set(irq->ctx, irq->line, level);
}

#endif
