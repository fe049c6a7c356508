/* SPDX-License-Identifier: BSD-2-Clause */
/* Works for half a second, then follows a wild pointer. Its partition's health policy restarts it.
 */
#include "guest.h"

void guest_main(u64 hart, const void *tree)
{
    struct cosm_sbi_result info = cosm_info();
    u64 life = cosm_status((unsigned)(info.value >> 16)).value >> 8;
    u64 end = time_now() + time_from_us(500000);

    (void)hart, (void)tree;
    print("life %lu begins\n", life + 1);
    while (time_now() < end)
        ;
    *(volatile u32 *)(uintptr_t)0xdead0000 = 1;
    print("this is never seen\n");
}
