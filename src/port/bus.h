/* SPDX-License-Identifier: BSD-2-Clause */
/* How a hart reaches what is not memory: device registers by guest-physical address. */
#ifndef COSM_PORT_BUS_H
#define COSM_PORT_BUS_H

#include "base/types.h"

/*
 * size is 1, 2, 4 or 8 and gpa is a multiple of it. True: done; false: nobody answers there, or
 * not with this width (the hart takes an access fault). Called from hart threads, several at once.
 */
struct bus {
    bool (*read)(void *ctx, gpa_t gpa, u32 size, u64 *value);
    bool (*write)(void *ctx, gpa_t gpa, u32 size, u64 value);
    void *ctx;
};

#endif
