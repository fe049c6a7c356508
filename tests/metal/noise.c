/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A neighbour in a cyclic plan that is in the middle of another thing whenever its window ends:
 * registers of floating point, calls, emulated registers, a timer that is due.
 */
#include "guest.h"

void guest_main(u64 hart, const void *tree)
{
    static char text[70]; /* zeros */

    (void)hart;
    irq_init(tree);
    csr_set(sstatus, SSTATUS_FS);
    for (u64 i = 1;; i = i * 6364136223846793005 + 1442695040888963407) {
        switch (i >> 60 > 4 ? i >> 60 & 3 : i >> 60) {
        case 0:
            __asm__ volatile("fcvt.d.l ft0, %0\n fmul.d fs1, ft0, ft0" ::"r"(i));
            break;
        case 1:
            cosm_sbi(SBI_BASE, 0, 0, 0, 0);
            break;
        case 2:
            (void)*(volatile u32 *)(uintptr_t)(irq_controller() + 4);
            break;
        case 3:
            sbi_write(text, i >> 50 & 63);
            break;
        default:
            csr_write(CSR_STIMECMP, time_now() + (i >> 40 & 63));
            break;
        }
    }
}
