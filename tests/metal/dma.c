/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A partition that has a PCI host with QEMU's "edu" device (docs/specs/edu of QEMU), which copies
 * by DMA between memory and 4 KiB of its own, a tenth of a second after it was told to.
 *
 * Each life: is memory as the image leaves it, and does it stay so for longer than a transfer
 * takes? Then a copy to and fro in its own memory, with an interrupt. Life 1 to DMA_LIVES - 1 end
 * while a transfer into memory is under way. The last life attacks, with DMA_TO: it writes a
 * pattern to all pages of the board's memory from DMA_FROM up to DMA_TO, by steps of DMA_STEP, and
 * reads from there.
 */
#include "guest.h"

#ifndef DMA_LIVES
#define DMA_LIVES 4
#endif
#ifndef DMA_STEP
#define DMA_STEP 0x200000
#endif

#define BAR        0x40000000
#define SLOT       1
#define SOURCE     33 /* of pin A in slot 1, as QEMU's virt swizzles them */
#define EDU        0x11e81234
#define EDU_BUFFER 0x40000
#define PAGE       4096
#define BYTES                                                                           \
    (PAGE - 8) /* of a transfer: QEMU before version 9 takes the last ones for too many \
                */

enum {
    EDU_RAISE = 0x60,
    EDU_ACK = 0x64,
    EDU_SRC = 0x80,
    EDU_DST = 0x88,
    EDU_COUNT = 0x90,
    EDU_CMD = 0x98
};
enum { DMA_RUN = 1, DMA_TO_MEMORY = 2 };

static volatile u64 target[PAGE / 8] __attribute__((aligned(PAGE)));
static u64 own[PAGE / 8] __attribute__((aligned(PAGE)));
static volatile u32 interrupts;

/* Kept from life to life, as memory is not: the device itself remembers. */
static u64 life;

static volatile u32 *config_of(const void *tree, u32 slot)
{
    u64 ecam = fdt_address(tree, "pci-host-ecam-generic", 0);

    return (volatile u32 *)(ecam + (u64)slot * 8 * PAGE);
}

static volatile u64 *edu(u64 offset)
{
    return (volatile u64 *)(BAR + offset);
}

static void pause_us(u64 us)
{
    timer_wait(time_now() + time_from_us(us));
}

static void dma_begin(u64 from, u64 to, bool to_memory)
{
    *edu(EDU_SRC) = from;
    *edu(EDU_DST) = to;
    *edu(EDU_COUNT) = BYTES;
    *edu(EDU_CMD) = DMA_RUN | (to_memory ? DMA_TO_MEMORY : 0);
}

static void dma(u64 from, u64 to, bool to_memory)
{
    dma_begin(from, to, to_memory);
    while (*edu(EDU_CMD) & DMA_RUN)
        pause_us(1000);
}

static void on_interrupt(unsigned source)
{
    (void)source;
    interrupts++;
    *(volatile u32 *)edu(EDU_ACK) = 1;
}

/* It has no initial value that an image could hold. */
static u64 pattern(u64 i)
{
    return (i + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ UINT64_C(0x6576696c65766921);
}

static u32 strange(const volatile u64 *words)
{
    u32 count = 0;

    for (u32 i = 0; i < PAGE / 8; i++)
        count += words[i] != 0;
    return count;
}

static void copy_own(void)
{
    u32 wrong = 0;

    for (u32 i = 0; i < PAGE / 8; i++)
        own[i] = pattern(i);
    dma((u64)own, EDU_BUFFER, false);
    dma(EDU_BUFFER, (u64)target, true);
    for (u32 i = 0; i < BYTES / 8; i++)
        wrong += target[i] != pattern(i);
    *(volatile u32 *)edu(EDU_RAISE) = 1;
    pause_us(2000);
    /* QEMU 7.2's APLIC repeats one whose wire is down already. */
    print("own memory: %u words wrong, %s\n", wrong, interrupts ? "interrupted" : "NO INTERRUPT");
}

#ifdef DMA_TO
/* What is refused to a read leaves the device's buffer as it was, or fills it with ones. */
static void attack(void)
{
    u32 pages = 0;

    for (u64 at = DMA_FROM; at < DMA_TO; at += DMA_STEP, pages++)
        dma(EDU_BUFFER, at, true);
    print("attacked %u pages\n", pages);
    for (u32 i = 0; i < PAGE / 8; i++)
        target[i] = own[i] = 0;
    dma((u64)own, EDU_BUFFER, false);
    dma(DMA_FROM, EDU_BUFFER, false);
    dma(EDU_BUFFER, (u64)target, true);
    print("read: %s\n", strange(target) && target[0] + 1 ? "SOMETHING" : "nothing");
}
#endif

static volatile u32 *find_edu(const void *tree)
{
    volatile u32 *config = config_of(tree, SLOT);

    if (config[0] != EDU) {
        print("no device: 0x%x\n", config[0]);
        guest_end(true);
    }
    return config;
}

void guest_main(u64 hart, const void *tree)
{
    volatile u32 *config = find_edu(tree);
    u32 command = config[1] & 0xffff;

    (void)hart;
    trap_on_interrupt(IRQ_TIMER, timer_done);
    csr_set(sie, 1u << IRQ_TIMER);
    interrupts_on();
    pause_us(300000); /* what an earlier life began is over by then */
    life = (cosm_status(0).value >> 8) + 1;
    print("life %lu: %u strange words, command 0x%x\n", life, strange(target), command);
    config[4] = BAR;
    config[1] = 6; /* memory, bus master */
    irq_init(tree);
    irq_enable(SOURCE, on_interrupt, false);
    copy_own();
    if (life < DMA_LIVES) {
        dma_begin(EDU_BUFFER, (u64)target, true);
        guest_reboot();
    }
#ifdef DMA_TO
    attack();
#endif
    print("done\n");
    for (;;)
        __asm__ volatile("wfi");
}
