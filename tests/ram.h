/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory for test machines, shareable as that of real ones: the engine may map it once more. */
#ifndef COSM_TESTS_RAM_H
#define COSM_TESTS_RAM_H

#include "base/assert.h"
#include "base/types.h"

#include <sys/mman.h>

/* Zeroed. */
static inline u8 *test_ram_create(size_t size)
{
    void *ram = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    ASSERT(ram != MAP_FAILED);
    return ram;
}

static inline void test_ram_destroy(u8 *ram, size_t size)
{
    munmap(ram, size);
}

#endif
