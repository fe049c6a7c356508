/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random loads and stores of all widths over all devices: virtio rings at random addresses, fw_cfg
 * DMA, flash commands, PCIe configuration space, PLIC, ACLINT, UART, RTC. Only the finisher's
 * register is left out, for it would end the attack.
 */
#include "../priv.h"

#define ROUNDS 200000

static struct ctx contexts[8];
static u8 arena[64 * 4096] PAGE_ALIGNED;

static const struct {
    u64 base, size;
} windows[] = {
    {0x1000, 0xf000},         {0x100004, 0xff0},        {0x101000, 0x1000},
    {CLINT_BASE, 0x10000},    {SSWI_BASE, 0x4000},      {0x3000000, 0x10000},
    {PLIC_BASE, 0x600000},    {PLIC_BASE, 0x3000},      {PLIC_BASE + 0x200000, 0x4000},
    {UART_BASE, 0x100},       {0x10001000, 0x8000},     {0x10001000, 0x200},
    {0x10008000, 0x200},      {0x10100000, 0x18},       {0x20000000, 0x4000000},
    {0x20000000, 0x2000},     {0x30000000, 0x10000000}, {0x30000000, 0x2000},
    {0x40000000, 0x40000000}, {0x400000000, 0x1000},    {0x7fff0000, 0x10000},
    {0x87fff000, 0x2000},
};

static u64 value(u64 *seed)
{
    static const u64 some[] = {0,    1,     2,    3,    4,    7,      8,      11,     15,
                               16,   0x10,  0x20, 0x40, 0x70, 0x80,   0x90,   0xd0,   0xe8,
                               0xff, 0x100, 256,  1024, 4096, 0x7fff, 0x8000, 0xffff, 0x10000};
    u64 r = random_next(seed);

    switch (r & 3) {
    case 0:
        return some[(r >> 8) % COUNT(some)];
    case 1:
        return (u64)arena + ((r >> 8) % sizeof(arena));
    case 2:
        return r >> (r >> 58);
    default:
        return (u64)arena >> ((r & 4) ? 32 : 0);
    }
}

static void one(u64 *seed, struct ctx *c)
{
    u64 r = random_next(seed);
    u64 base = windows[(r >> 32) % COUNT(windows)].base;
    u64 at = base + random_next(seed) % windows[(r >> 32) % COUNT(windows)].size;
    u32 width = r & 3;

    if (r & 0xc)
        at &= ~((1ul << width) - 1);
    if (at >= FINISHER_BASE && at < FINISHER_BASE + 4)
        return;
    c->x[10] = at;
    c->x[11] = value(seed);
    /* Prebuilt snippets, so that no FENCE.I is needed: 8 bytes each. */
    c->pc = (u64)&insn_page[2 * (width | (r >> 4 & 1) << 2)];
    if ((r & 0x3e0) == 0)
        c->pc = (u64)&insn_page[16]; /* an AMO now and then */
    run(c, PRIV_M, 0);
    if ((r & 0xfffc000) == 0)
        ((volatile u64 *)arena)[(r >> 40) % (sizeof(arena) / 8)] = value(seed);
}

/* A virtqueue that makes some sense, so that the devices' deeper parts are reached. */
static void sensible_queue(u64 *seed)
{
    u64 slot = 0x10001000 + (random_next(seed) % 8) * 0x1000, ring = (u64)arena;

    write32(slot + 0x70, 0);
    write32(slot + 0x70, 3);
    write32(slot + 0x24, 1);
    write32(slot + 0x20, (u32)random_next(seed) | 1);
    write32(slot + 0x24, 0);
    write32(slot + 0x20, (u32)random_next(seed));
    write32(slot + 0x70, 11);
    write32(slot + 0x30, random_next(seed) & 3);
    write32(slot + 0x38, 1 << (random_next(seed) & 7));
    write32(slot + 0x80, (u32)ring);
    write32(slot + 0x84, 0);
    write32(slot + 0x90, (u32)ring + 0x4000);
    write32(slot + 0x94, 0);
    write32(slot + 0xa0, (u32)ring + 0x8000);
    write32(slot + 0xa4, 0);
    write32(slot + 0x44, 1);
    write32(slot + 0x70, 15);
    for (u32 i = 0; i < 64; i++)
        ((volatile u64 *)arena)[random_next(seed) % 0x1800] = value(seed);
    write32(slot + 0x50, random_next(seed) & 3);
}

static void attack(u64 hart)
{
    u64 seed = 0x9876543 + hart * 1234567;

    for (u32 i = 0; i < ROUNDS; i++) {
        one(&seed, &contexts[hart]);
        if (!(i & 255))
            sensible_queue(&seed);
    }
}

void tests(void)
{
    for (u32 i = 0; i < 4; i++) {
        insn_page[2 * i] = insn_load(i, 12, 10);
        insn_page[2 * i + 1] = INSN_ECALL;
        insn_page[8 + 2 * i] = insn_store(i, 11, 10);
        insn_page[8 + 2 * i + 1] = INSN_ECALL;
    }
    insn_page[16] = insn_amo(AMOSWAP, 2, 12, 10, 11);
    insn_page[17] = INSN_ECALL;
    fence_i();
    for (u32 h = 1; h < hart_count; h++)
        hart_start(h, attack, h);
    attack(0);
    for (u32 h = 1; h < hart_count; h++)
        hart_join(h);
}
