/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory for a guest's RAM: shareable, taken from the host page by page as it is touched. */
#ifndef COSM_HOST_MEMORY_H
#define COSM_HOST_MEMORY_H

#include "base/err.h"

struct host_memory {
    u8 *base; /* zeroed, aligned to 2 MiB; inaccessible guard pages lie before and after */
    u64 size; /* bytes */
    int fd;   /* memfd of size bytes, for sharing with other processes */
    void *reserved;
    u64 reserved_size;
    _Atomic u64 *huge; /* bit n: piece n of 2 MiB was asked for as one; NULL: no memory for it */
};

/* size: bytes, a multiple of the host's page size, not 0. name shows in the host's maps. */
MUST_CHECK int host_memory_create(struct host_memory *memory, const char *name, u64 size,
                                  struct err *err);

/* [offset, offset + size) will be used: the host is asked to have it in pieces of 2 MiB, which it
 * may refuse. Any thread. */
void host_memory_reach(struct host_memory *memory, u64 offset, u64 size);

/*
 * [offset, offset + size) is zeros from now on, wherever it is mapped, and the host has the memory
 * back: as many whole pages of the host as lie in it. False: it cannot, all stays. Any thread.
 */
MUST_CHECK bool host_memory_discard(struct host_memory *memory, u64 offset, u64 size);

/* Gives it all back; a zeroed or destroyed memory is left alone. */
void host_memory_destroy(struct host_memory *memory);

#endif
