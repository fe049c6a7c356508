/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * In place of src/metal/csr.h, by the order of include folders: CSRs and instructions of a hart
 * that is a thread of a program. The constants are the real ones.
 */
#ifndef COSM_TESTS_METAL_FAKE_CSR_H
#define COSM_TESTS_METAL_FAKE_CSR_H

#define thread_pointer     board_thread_pointer
#define wait_for_interrupt board_wait_for_interrupt
#define fence_i            board_fence_i
#define pause_hint         board_pause_hint
#define fence_to_device    board_fence_to_device
#define fence_from_device  board_fence_from_device
#include "../../../../src/metal/csr.h"

#include <sched.h>
#undef thread_pointer
#undef wait_for_interrupt
#undef fence_i
#undef pause_hint
#undef fence_to_device
#undef fence_from_device
#undef csr_read
#undef csr_write
#undef csr_set
#undef csr_clear

/* A field a CSR that code under test names. */
struct fake_csrs {
    u64 sstatus, sepc, scause, stval, sip, sie, stimecmp, time;
    u64 hstatus, hgatp, hvip, hip, hie, hgeip, htval, htinst;
    u64 vsstatus, vsie, vstvec, vsscratch, vsepc, vscause, vstval, vsatp, vstimecmp, vsiselect;
    u64 scounteren, senvcfg, henvcfg;
};

/* The calling thread's, with what other threads and the clock did to it. */
struct fake_csrs *fake_csrs(void);

#define csr_read(csr)     (fake_csrs()->csr)
#define csr_write(csr, v) ((void)(fake_csrs()->csr = (v)))
#define csr_set(csr, v)   ((void)(fake_csrs()->csr |= (v)))
#define csr_clear(csr, v) ((void)(fake_csrs()->csr &= ~(u64)(v)))

void *thread_pointer(void);
void wait_for_interrupt(void);
void fence_i(void);
static inline void pause_hint(void)
{
    sched_yield();
}
void fence_to_device(void);
void fence_from_device(void);

#endif
