/* SPDX-License-Identifier: BSD-2-Clause */
/* SiFive test finisher: how a guest powers off, fails with a code, or resets the board. */
#ifndef COSM_DEVICE_FINISHER_H
#define COSM_DEVICE_FINISHER_H

#include "device/device.h"

#define FINISHER_SIZE 0x1000 /* bytes of MMIO */

enum finisher_action { FINISHER_FAIL = 0x3333, FINISHER_PASS = 0x5555, FINISHER_RESET = 0x7777 };

struct finisher_config {
    const char *id;
    gpa_t base;
    const struct log *log;
    /* From a hart thread, no lock held; code is what stood in bits 31..16. Returns. */
    void (*exit)(void *ctx, enum finisher_action action, u32 code);
    void *ctx;
};

struct finisher {
    struct device dev;
    u32 request; /* as written; 0: none waits for the deferred call */
    void (*exit)(void *ctx, enum finisher_action action, u32 code);
    void *ctx;
};

void finisher_init(struct finisher *finisher, const struct finisher_config *config);

#endif
