/* SPDX-License-Identifier: BSD-2-Clause */
/* Taking traps and returning from them (Privileged Architecture 3.1.6, 3.3.2, 10.1; chapter "H"
 * Extension, "Traps"). */
#ifndef COSM_RV_TRAP_H
#define COSM_RV_TRAP_H

#include "rv/hart.h"

/* Enters the handler for hart->trap, raised by the instruction at hart->pc. */
void trap_exception(struct hart *hart);

/* The interrupt that would be taken now, by priority MEI MSI MTI SEI SSI STI VSEI VSSI VSTI LCOFI;
 * -1: none. */
int trap_pending(struct hart *hart);

/* Enters the handler of interrupt irq, hart->pc being the next instruction. */
void trap_interrupt(struct hart *hart, int irq);

/* WFI would not wait: (mip & mie) != 0, whatever the global enables say. */
bool trap_wakes(struct hart *hart);

/* MRET, SRET: set pc, mode and mstatus. False: not here; hart->trap set, tval 0. */
MUST_CHECK bool trap_mret(struct hart *hart);
MUST_CHECK bool trap_sret(struct hart *hart);

/* Switches mode: V's registers, and the data TLB table that belongs to it. */
void trap_set_mode(struct hart *hart, enum priv mode);

#endif
