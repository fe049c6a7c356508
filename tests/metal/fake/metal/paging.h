/* SPDX-License-Identifier: BSD-2-Clause */
/* In place of src/metal/paging.h: memory of the program, registers that the test answers. */
#ifndef COSM_TESTS_METAL_FAKE_PAGING_H
#define COSM_TESTS_METAL_FAKE_PAGING_H

#include "base/types.h"

u64 paging_hpa(const void *address);
const u8 *paging_image(u64 offset);
volatile void *paging_io(u64 hpa);
u32 io_read(const volatile void *at);
u64 io_read_long(const volatile void *at);
void io_write(volatile void *at, u32 value);
void io_write_long(volatile void *at, u64 value);

#endif
