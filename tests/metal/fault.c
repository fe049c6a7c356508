/* SPDX-License-Identifier: BSD-2-Clause */
/* A life that lasts FAULT_US, then ends by an access to nowhere; health policy starts the next one.
 * Says so once, in its first life. */
#include "guest.h"

#ifndef FAULT_US
#define FAULT_US 100
#endif

void guest_main(u64 hart, const void *tree)
{
    struct cosm_sbi_result info = cosm_info();
    u64 end = time_now() + time_from_us(FAULT_US);

    (void)hart, (void)tree;
    if (cosm_status((unsigned)(info.value >> 16)).value >> 8 == 0)
        print("faults each %u us\n", FAULT_US);
    while (time_now() < end)
        ;
    (void)*(volatile u64 *)(uintptr_t)0xdead0000;
}
