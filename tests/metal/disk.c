/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small driver of a virtio-blk device by virtio-mmio (VIRTIO 1.2, sections 2.7, 4.2, 5.2): writes
 * sectors and reads them back, DISK_ROUNDS times. If the device needs a reset it gets one, and the
 * round begins anew. Waits by WFI, so it needs the device's interrupt.
 */
#include "guest.h"

#ifndef DISK_ROUNDS
#define DISK_ROUNDS 100
#endif

enum { MAGIC = 0, VERSION = 4, ID = 8, DRIVER_FEATURES = 0x20, DRIVER_SELECT = 0x24 };
enum { QUEUE_SIZE = 0x38, QUEUE_READY = 0x44, NOTIFY = 0x50, ISR = 0x60, ACK = 0x64 };
enum { STATUS = 0x70, DESC = 0x80, AVAIL = 0x90, USED = 0xa0 };
enum { OK = 1 | 2 | 4 | 8, NEEDS_RESET = 64, ENTRIES = 8, SECTOR = 512, SECTORS = 64 };

static struct {
    struct {
        u64 gpa;
        u32 len;
        u16 flags, next;
    } desc[ENTRIES];
    struct {
        u16 flags, index, ring[ENTRIES];
    } avail;
    struct {
        u16 flags, index;
        struct {
            u32 id, len;
        } ring[ENTRIES];
    } used __attribute__((aligned(4)));
} ring __attribute__((aligned(4096)));

static struct {
    u32 type, reserved;
    u64 sector;
} header;
static u8 data[SECTOR] __attribute__((aligned(8)));
static volatile u8 answer;
static u64 registers;
static volatile bool needs_reset;
static u32 resets, interrupts;

static volatile u32 *reg(u32 offset)
{
    return (volatile u32 *)(uintptr_t)(registers + offset);
}

static void on_device(unsigned source)
{
    u32 isr = *reg(ISR);

    (void)source;
    interrupts++;
    *reg(ACK) = isr;
    if (isr & 2 && *reg(STATUS) & NEEDS_RESET)
        needs_reset = true;
}

static void put_address(u32 offset, const void *at)
{
    *reg(offset) = (u32)(uintptr_t)at;
    *reg(offset + 4) = (u32)((uintptr_t)at >> 32);
}

static void set_up(void)
{
    *reg(STATUS) = 0;
    needs_reset = false;
    while (*reg(STATUS))
        ;
    *reg(STATUS) = 3;
    *reg(DRIVER_SELECT) = 0;
    *reg(DRIVER_FEATURES) = 0;
    *reg(DRIVER_SELECT) = 1;
    *reg(DRIVER_FEATURES) = 1; /* VIRTIO_F_VERSION_1 */
    *reg(STATUS) = 11;
    ring.avail.index = ring.used.index = 0;
    *reg(0x30) = 0;
    *reg(QUEUE_SIZE) = ENTRIES;
    put_address(DESC, &ring.desc);
    put_address(AVAIL, &ring.avail);
    put_address(USED, &ring.used);
    *reg(QUEUE_READY) = 1;
    *reg(STATUS) = OK;
}

/* False: the device has to be reset. */
static bool request(bool write, u64 sector)
{
    u16 before = ring.avail.index;
    u64 status;

    header.type = write;
    header.sector = sector;
    answer = 0xff;
    for (u32 i = 0; i < 3; i++)
        ring.desc[i].next = (u16)(i + 1);
    ring.desc[0].gpa = (u64)(uintptr_t)&header;
    ring.desc[0].len = 16;
    ring.desc[0].flags = 1;
    ring.desc[1].gpa = (u64)(uintptr_t)data;
    ring.desc[1].len = SECTOR;
    ring.desc[1].flags = write ? 1 : 3;
    ring.desc[2].gpa = (u64)(uintptr_t)&answer;
    ring.desc[2].len = 1;
    ring.desc[2].flags = 2;
    ring.avail.ring[before % ENTRIES] = 0;
    __atomic_store_n(&ring.avail.index, (u16)(before + 1), __ATOMIC_RELEASE);
    __asm__ volatile("fence rw, rw" ::: "memory");
    *reg(NOTIFY) = 0;
    status = interrupts_off();
    while (__atomic_load_n(&ring.used.index, __ATOMIC_ACQUIRE) == before && !needs_reset) {
        __asm__ volatile("wfi");
        interrupts_on();
        interrupts_off();
    }
    interrupts_restore(status);
    return !needs_reset && !answer;
}

static bool round_is_done(u32 n)
{
    u64 sector = n % SECTORS;
    bool same = true;

    for (u32 i = 0; i < SECTOR; i++)
        data[i] = (u8)(n + i * 7);
    if (!request(true, sector))
        return false;
    for (u32 i = 0; i < SECTOR; i++)
        data[i] = 0;
    if (!request(false, sector))
        return false;
    for (u32 i = 0; i < SECTOR; i++)
        same &= data[i] == (u8)(n + i * 7);
    if (!same)
        print("disk: WRONG in round %u\n", n);
    return true;
}

void guest_main(u64 hart, const void *tree)
{
    (void)hart;
    irq_init(tree);
    registers = fdt_address(tree, "virtio,mmio", 0);
    irq_enable((unsigned)fdt_cell(tree, "virtio,mmio", "interrupts", 0, 0), on_device, false);
    interrupts_on();
    if (*reg(MAGIC) != 0x74726976 || *reg(VERSION) != 2 || *reg(ID) != 2)
        print("disk: there is none\n");
    set_up();
    for (u32 n = 0; n < DISK_ROUNDS; n++) {
        while (!round_is_done(n)) {
            resets++;
            set_up();
        }
    }
    print("disk: %u rounds, %u resets, %s\n", DISK_ROUNDS, resets,
          interrupts >= DISK_ROUNDS ? "by interrupts" : "WITHOUT INTERRUPTS");
}
