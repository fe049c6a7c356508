/* SPDX-License-Identifier: BSD-2-Clause */
/* A board for the hypervisor's own C code in a program: a thread is a hart, the test is the guests.
 */
#ifndef COSM_TESTS_METAL_FAKE_H
#define COSM_TESTS_METAL_FAKE_H

#include "metal/config.h"

/* The configuration, which here can be written. */
struct metal_config *fake_config(void);

/* The board's clock, in ticks; it moves when the test says so. */
u64 fake_time(void);
void fake_time_set(u64 ticks);
void fake_time_advance(u64 ticks);

/* The calling thread is hart index from now on, with CSRs as at reset. */
void fake_hart_begin(u32 index);
/* An IPI to hart index, and: is one on its way? */
void fake_ipi_send(u32 index);
bool fake_ipi_is_pending(u32 index);

/* Guest memory of all, that guest_copy_... and guest_zero_words reach at gpa; beyond: refused. */
#define FAKE_MEMORY_GPA  UINT64_C(0x80000000)
#define FAKE_MEMORY_SIZE 0x10000
u8 *fake_memory(u64 gpa);
/* What paging_image(0) gives: 4096 bytes. */
u8 *fake_image(void);

/* What stands for the vector registers of the calling hart. */
u8 *fake_vector(void);

/* A hart that waits for an interrupt ends its thread once *end is true. */
void fake_end_on(const _Atomic bool *end);

#endif
