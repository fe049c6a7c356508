/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A neighbour in a cyclic plan that is in the middle of another thing whenever its window ends:
 * registers of floating point, calls, emulated registers, a timer that is due.
 */
#include "guest.h"

void guest_main(u64 hart, const void *tree)
{
    (void)hart, (void)tree;
    csr_set(sstatus, SSTATUS_FS);
    for (u64 i = 0;; i++) {
        switch (i % 4) {
        case 0:
            __asm__ volatile("fcvt.d.l ft0, %0\n fmul.d fs1, ft0, ft0" ::"r"(i));
            break;
        case 1:
            cosm_sbi(SBI_BASE, 0, 0, 0, 0);
            break;
        case 2:
            (void)*(volatile u32 *)(uintptr_t)(irq_controller() + 4);
            break;
        default:
            csr_write(CSR_STIMECMP, time_now() + i % 100);
            break;
        }
    }
}
