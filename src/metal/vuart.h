/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The serial port that a partition sees: an 8250's registers, polled, in front of the shared
 * console (National Semiconductor PC16550D). What unmodified systems find without a driver of ours.
 */
#ifndef COSM_METAL_VUART_H
#define COSM_METAL_VUART_H

#include "metal/state.h"

#define VUART_SIZE 0x100 /* bytes of guest-physical addresses */

/* A register at offset. False: it is no access of one byte. */
bool vuart_access(struct partition *p, u64 offset, u32 width, bool write, u64 *value);
void vuart_reset(struct partition *p);

#endif
