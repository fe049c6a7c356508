/* SPDX-License-Identifier: BSD-2-Clause */
/* fw_cfg and flash: selectors, offsets, DMA and command sequences beyond all bounds. */
#include "attack.h"

#define FW_DATA   0x10100000ul
#define FW_SELECT 0x10100008ul
#define FW_DMA    0x10100010ul
#define FLASH     0x20000000ul
#define FLASH_END 0x24000000ul

static struct {
    u32 control, len;
    u64 at;
} dma __attribute__((aligned(16)));
static u8 buffer[PAGE];

static u32 be32(u32 v)
{
    return v << 24 | (v & 0xff00) << 8 | (v >> 8 & 0xff00) | v >> 24;
}

static void dma_run(u32 control, u32 len, u64 at)
{
    dma.control = be32(control);
    dma.len = be32(len);
    dma.at = (u64)be32((u32)at) << 32 | be32((u32)(at >> 32));
    fence();
    write32(FW_DMA, be32((u32)((u64)&dma >> 32)));
    write32(FW_DMA + 4, be32((u32)(u64)&dma));
}

/* The signature is there: the device serves. */
static bool works(void)
{
    u32 signature = 0;

    *(volatile u16 *)FW_SELECT = 0;
    for (u32 i = 0; i < 4; i++)
        signature = signature << 8 | *(volatile u8 *)FW_DATA;
    return signature == 0x51454d55;
}

static void selectors(void)
{
    for (u32 key = 0; key < 0x10000; key += key < 0x100 ? 1 : 251) {
        *(volatile u16 *)FW_SELECT = (u16)(key << 8 | key >> 8);
        for (u32 i = 0; i < 40; i++)
            (void)*(volatile u8 *)FW_DATA;
        (void)read64(FW_DATA);
        *(volatile u8 *)FW_DATA = 0xff;
    }
    CHECK(works());
}

static void transfers(void)
{
    static const u64 at[] = {(u64)buffer, 0,    RAM_END - 16, RAM_END, RAM_BASE - 8, ~0ul - 15,
                             UART_BASE,   HOLE, FW_DATA,      FLASH,   1ul << 63,    (u64)&dma};
    static const u32 len[] = {0, 1, 16, PAGE, 0x7fffffff, 0x80000000, 0xffffffff};
    u32 control[] = {2, 4, 8, 10, 2 | 8 | 0x190000, 16 | 8, 31, 0xffffffff};

    for (u32 i = 0; i < COUNT(at); i++) {
        for (u32 k = 0; k < COUNT(len) * COUNT(control); k++) {
            /* What would be zeroed of our own memory by its length is left out. */
            u32 n = len[k % COUNT(len)];
            if (at[i] == (u64)buffer && n > PAGE)
                continue;
            dma_run(control[k / COUNT(len)], n, at[i]);
        }
    }
    CHECK(works());
}

static void descriptors_nowhere(void)
{
    static const u64 at[] = {0, RAM_END - 8, RAM_END, ~0ul - 7, ~0ul, UART_BASE, FW_DMA, HOLE};

    for (u32 i = 0; i < COUNT(at); i++) {
        write32(FW_DMA, be32((u32)(at[i] >> 32)));
        write32(FW_DMA + 4, be32((u32)at[i]));
    }
    CHECK(works());
}

static void flash_commands(void)
{
    static const u32 command[] = {0x20, 0xd0, 0x40, 0x10, 0xe8, 0x70, 0x90, 0x98,
                                  0x50, 0x60, 0x01, 0xff, 0xe9, 0xc0, 0x28, 0x00};
    u64 seed = 9;

    for (u32 i = 0; i < TIMES(30000); i++) {
        u64 r = random_next(&seed);
        u64 at = FLASH + (r >> 16) % (FLASH_END - FLASH);
        u32 v = r & 1 ? command[(r >> 8) & 15] * (r & 2 ? 0x10001 : 1) : (u32)(r >> 32);

        if (r & 4)
            at = FLASH_END - 8 + (r >> 16 & 4);
        if (r & 8)
            at = FLASH_END / 2 + FLASH / 2 - 4 + (r >> 16 & 4);
        if (r & 16)
            write32(at & ~3ul, v);
        else
            *(volatile u8 *)at = (u8)v;
        (void)read32(at & ~3ul);
    }
    /* A buffer that is announced as larger than any, begun and left. */
    write32(FLASH, 0xe800e8);
    write32(FLASH, 0xffffffff);
    for (u32 i = 0; i < 5000; i++)
        write32(FLASH + 4 * i, i);
    write32(FLASH, 0xff00ff);
}

void tests(void)
{
    test("fw_cfg: all selectors, beyond all ends", selectors);
    test("fw_cfg: transfers from and to anywhere", transfers);
    test("fw_cfg: descriptors nowhere", descriptors_nowhere);
    test("flash: commands in any order, indices beyond the end", flash_commands);
}
