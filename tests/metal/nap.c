/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Naps by the SBI's suspend, which a timer ends: NAP_COUNT times, each NAP_US after the one before.
 * It tells how late it was woken at worst.
 */
#include "guest.h"

#ifndef NAP_COUNT
#define NAP_COUNT 20
#endif
#ifndef NAP_US
#define NAP_US 2000
#endif
#define NAP_FIRST_US 300 /* after it started: within its window */

#define HSM_SUSPEND 3

void guest_main(u64 hart, const void *tree)
{
    u64 due = time_now() + time_from_us(NAP_FIRST_US), worst = 0;

    (void)hart, (void)tree;
    csr_set(sie, 1u << IRQ_TIMER);
    for (u32 n = 0; n < NAP_COUNT; n++) {
        u64 late;

        timer_set(due);
        cosm_sbi(SBI_HSM, HSM_SUSPEND, 0 /* retentive */, 0, 0);
        while (time_now() < due) /* whatever else ended it */
            cosm_sbi(SBI_HSM, HSM_SUSPEND, 0, 0, 0);
        late = time_now() - due;
        worst = late > worst ? late : worst;
        due += time_from_us(NAP_US);
    }
    print("%d naps, at worst %lu us late\n", NAP_COUNT, worst / time_from_us(1));
}
