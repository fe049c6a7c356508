/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The serial port that a partition sees: an 8250's registers, polled, in front of the shared
 * console (National Semiconductor PC16550D). What unmodified systems find without a driver of ours.
 */
#ifndef COSM_METAL_VUART_H
#define COSM_METAL_VUART_H

#include "metal/state.h"

#define VUART_SIZE 0x100 /* bytes of guest-physical addresses */

/* The register at offset. Negative, false: it is no access of one byte. */
s64 vuart_read(struct partition *p, u64 offset, u32 width);
bool vuart_write(struct partition *p, u64 offset, u32 width, u64 value);
void vuart_reset(struct partition *p);

#endif
