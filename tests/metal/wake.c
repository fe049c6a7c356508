/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A doorbell wakes whoever waits for it: WAKE_COUNT times one partition rings another, which then
 * sleeps again, by WFI or, with WAKE_SUSPEND, by the SBI, and says so by ringing back. What a third
 * one does, without a channel: it never sleeps.
 */
#include "guest.h"

#ifndef WAKE_COUNT
#define WAKE_COUNT 20
#endif

#define HSM_SUSPEND 3

static volatile u32 rings;

static void on_ring(unsigned source)
{
    (void)source;
    rings++;
}

static void sleep(bool deep)
{
#ifdef WAKE_SUSPEND
    if (deep) {
        cosm_sbi(SBI_HSM, HSM_SUSPEND, 0 /* retentive */, 0, 0);
        return;
    }
#endif
    (void)deep;
    __asm__ volatile("wfi");
}

static void await(u32 count, bool deep)
{
    interrupts_off();
    while (rings < count) {
        sleep(deep);
        interrupts_on();
        interrupts_off();
    }
    interrupts_on();
}

void guest_main(u64 hart, const void *tree)
{
    u32 bell = (u32)fdt_cell(tree, "cosm,channel", "cosm,doorbell", 0, 0), bytes = 0;
    u32 source = (u32)fdt_cell(tree, "cosm,channel", "interrupts", 0, 0);
    volatile u32 *ready = (volatile u32 *)(uintptr_t)fdt_address(tree, "cosm,channel", 0);
    const u8 *role = fdt_property(tree, "cosm,channel", "cosm,role", &bytes);

    (void)hart;
    while (!role)
        ;
    irq_init(tree);
    irq_enable(source, on_ring, true);
    interrupts_on();
    if (role[0] == 'w') { /* the writer; the reader begins when it can be rung */
        *ready = 1;
        for (u32 n = 1; n <= WAKE_COUNT; n++) {
            await(n, false);
            cosm_doorbell(bell);
        }
        print("rung back %u times\n", rings);
    } else {
        while (!*ready)
            ;
        for (u32 n = 1; n <= WAKE_COUNT; n++) {
            cosm_doorbell(bell);
            await(n, true);
        }
        print("woken %u times\n", rings);
    }
}
