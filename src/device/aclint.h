/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACLINT: machine software interrupts (MSWI) and the machine timer (MTIMER) at the addresses of
 * SiFive's CLINT, and supervisor software interrupts (SSWI) as a device of its own
 * (RISC-V ACLINT Specification 1.0-rc4).
 */
#ifndef COSM_DEVICE_ACLINT_H
#define COSM_DEVICE_ACLINT_H

#include "device/device.h"
#include "port/clock.h"

#define ACLINT_SIZE      0x10000 /* bytes of MMIO: MSWI 0x4000, MTIMER 0x8000 */
#define ACLINT_SSWI_SIZE 0x4000
#define ACLINT_HZ        UINT64_C(10000000)
#define ACLINT_HARTS_MAX 64

struct aclint_hart {
    struct irq_line msip, mtip;
    struct timer_port timer;
    bool mtip_level; /* last given to mtip */
};

struct aclint {
    struct device dev;
    struct clock clock;
    _Atomic u64 offset; /* mtime minus the clock's ticks, modulo 2^64 */
    u32 msip[ACLINT_HARTS_MAX];
    u64 mtimecmp[ACLINT_HARTS_MAX];
    u32 hart_count;
    struct aclint_hart hart[ACLINT_HARTS_MAX];
};

struct aclint_config {
    const char *id;
    gpa_t base;
    const struct log *log;
    struct clock clock;
    u32 hart_count;                 /* <= ACLINT_HARTS_MAX; the arrays are copied */
    const struct irq_line *msip;    /* one per hart: MSIP */
    const struct irq_line *mtip;    /* one per hart: MTIP */
    const struct timer_port *timer; /* one per hart, fires aclint_timer_fired(aclint, hart) */
};

void aclint_init(struct aclint *aclint, const struct aclint_config *config);

/* A hart's timer fired; compares again. The first argument is a struct aclint. */
void aclint_timer_fired(void *aclint, u32 hart);

/* mtime now, as rdtime reads it; any thread, no lock. */
u64 aclint_time(const struct aclint *aclint);

/* The clock's nanosecond at which mtime reaches time; CLOCK_NEVER if too far away. */
u64 aclint_deadline_ns(const struct aclint *aclint, u64 time);

struct aclint_sswi {
    struct device dev;
    u32 hart_count;
    struct irq_line ssip[ACLINT_HARTS_MAX];
};

struct aclint_sswi_config {
    const char *id;
    gpa_t base;
    const struct log *log;
    u32 hart_count;
    const struct irq_line *ssip; /* one per hart; only ever set to true; copied */
};

void aclint_sswi_init(struct aclint_sswi *sswi, const struct aclint_sswi_config *config);

#endif
