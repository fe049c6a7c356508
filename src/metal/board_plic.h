/* SPDX-License-Identifier: BSD-2-Clause */
/* The board's PLIC (RISC-V PLIC Specification 1.0). */
#ifndef COSM_METAL_BOARD_PLIC_H
#define COSM_METAL_BOARD_PLIC_H

#include "metal/state.h"

void board_plic_init(void);
/* The calling hart's context takes sources of any priority. */
void board_plic_init_hart(const struct hart *h);
/* Is source taken by the hart's context? */
void board_plic_enable(const struct hart *h, u32 source, bool on);
/* 0: nothing to claim. */
u32 board_plic_claim(const struct hart *h);
void board_plic_complete(const struct hart *h, u32 source);

#endif
