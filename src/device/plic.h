/* SPDX-License-Identifier: BSD-2-Clause */
/* Platform-Level Interrupt Controller (RISC-V PLIC Specification 1.0.0), level-triggered gateways.
 */
#ifndef COSM_DEVICE_PLIC_H
#define COSM_DEVICE_PLIC_H

#include "device/device.h"

#define PLIC_SIZE         0x600000 /* bytes of MMIO */
#define PLIC_SOURCES      96       /* with source 0, which does not exist: riscv,ndev is 95 */
#define PLIC_WORDS        (PLIC_SOURCES / 32)
#define PLIC_PRIORITY_MAX 7
#define PLIC_CONTEXTS_MAX 128

struct plic_context {
    u32 enable[PLIC_WORDS];
    u32 threshold;
    bool raised; /* level last given to output */
    struct irq_line output;
};

struct plic {
    struct device dev;
    u32 context_count;
    u32 level[PLIC_WORDS];                              /* what the wires say */
    u32 claimed[PLIC_WORDS];                            /* gateway closed until completion */
    u32 at_priority[PLIC_PRIORITY_MAX + 1][PLIC_WORDS]; /* which sources have this priority */
    u32 priority[PLIC_SOURCES];
    struct plic_context context[PLIC_CONTEXTS_MAX];
};

struct plic_config {
    const char *id;
    gpa_t base;
    const struct log *log;
    u32 context_count;             /* <= PLIC_CONTEXTS_MAX */
    const struct irq_line *output; /* one per context, in device-tree order; copied */
};

void plic_init(struct plic *plic, const struct plic_config *config);

/* The wire into source 1 .. PLIC_SOURCES - 1. */
struct irq_line plic_input(struct plic *plic, u32 source);

#endif
