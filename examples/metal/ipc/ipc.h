/* SPDX-License-Identifier: BSD-2-Clause */
/* What both ends of the channels agree on; the addresses and interrupts are those of ipc.toml. */
#ifndef IPC_H
#define IPC_H

#include "guest.h"

#define SPEED_MEMORY  ((void *)(uintptr_t)0x70000000) /* sensor -> control, sampling */
#define ORDERS_MEMORY ((void *)(uintptr_t)0x70001000) /* control -> sensor, queuing */
#define CHANNEL_BYTES 4096
#define ORDERS_DEPTH  8
#define ORDERS_SOURCE 5 /* rung for the sensor when an order waits */

struct speed {
    u32 number, rpm;
};

struct order {
    u32 change; /* to add to the speed */
};

#endif
