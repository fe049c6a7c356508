/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiting for a lock: by looking again. Harts hold locks with interrupts off and for a bounded
 * number of instructions, so none waits longer than the others need in turn.
 */
#include "port/lock.h"

void port_wait(_Atomic u32 *word, u32 value)
{
    (void)word;
    (void)value;
    __asm__ volatile(".insn i 0x0f, 0, x0, x0, 0x010"); /* pause (Zihintpause) */
}

void port_wake(_Atomic u32 *word)
{
    (void)word;
}
