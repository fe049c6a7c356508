/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hardware performance counters: cycle and instret (both count retired instructions) and
 * mhpmcounter3..31, each with an event, inhibition by mode and overflow (Zihpm, Sscofpmf).
 */
#ifndef COSM_RV_CSR_COUNTERS_H
#define COSM_RV_CSR_COUNTERS_H

#include "rv/hart.h"

/* Values of mhpmevent's selector; any other is written as none. */
enum counter_event { COUNTER_NONE, COUNTER_CYCLES, COUNTER_INSTRET };

#define COUNTER_OF    BIT(63)
#define COUNTER_MINH  BIT(62)
#define COUNTER_SINH  BIT(61)
#define COUNTER_UINH  BIT(60)
#define COUNTER_VSINH BIT(59)
#define COUNTER_VUINH BIT(58)

/* Accesses by CSR number: mcycle, minstret, mhpmcounterN and their user-level shadows. */
u64 counter_read(struct hart *hart, u32 number);
void counter_write(struct hart *hart, u32 number, u64 value, u64 touched);

/* mhpmeventN, mcountinhibit, scountovf. */
u64 counter_read_event(struct hart *hart, u32 number);
void counter_write_event(struct hart *hart, u32 number, u64 value, u64 touched);
void counter_write_inhibit(struct hart *hart, u32 number, u64 value, u64 touched);
u64 counter_read_overflows(struct hart *hart, u32 number);

/* Legal bits of mcounteren, scounteren: the counters that exist. */
u32 counter_mask(const struct hart *hart);

/*
 * Brings all counters up to hart->insns; one that overflowed sets OF and, if OF was clear, makes
 * LCOFI pending. Happens at every change of mode and every access to a counter; the engine may
 * ask more often.
 */
void csr_counter_overflow_check(struct hart *hart);

/* To be called before hart->mode becomes mode, so that inhibition by mode takes hold. */
void counter_mode_change(struct hart *hart, enum priv mode);

/* Power-on state. */
void counter_reset(struct hart *hart);

#endif
