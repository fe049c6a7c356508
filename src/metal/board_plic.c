/* SPDX-License-Identifier: BSD-2-Clause */
/* The board's PLIC. */
#include "metal/board_plic.h"

#include "base/bits.h"
#include "metal/paging.h"

#define ENABLE    0x2000
#define THRESHOLD 0x200000
#define CLAIM     0x200004

static volatile u32 *reg(u64 offset)
{
    return (volatile u32 *)paging_io(metal_config.board.plic_hpa + offset);
}

static volatile u32 *context_reg(const struct hart *h, u64 offset)
{
    return reg(offset + ((u64)h->config->plic_context << 12));
}

void board_plic_init(void)
{
    for (u32 i = 0; i < metal_config.irq_count; i++)
        *reg(4 * (u64)metal_config.irq[i].source) = 1;
}

void board_plic_init_hart(const struct hart *h)
{
    u64 enable = ENABLE + ((u64)h->config->plic_context << 7);

    for (u32 word = 0; word <= metal_config.board.sources / 32; word++)
        *reg(enable + 4 * word) = 0;
    *context_reg(h, THRESHOLD) = 0;
}

void board_plic_enable(const struct hart *h, u32 source, bool on)
{
    volatile u32 *word = reg(ENABLE + ((u64)h->config->plic_context << 7) + source / 32 * 4);

    *word = (u32)bits_merge(*word, BIT(source % 32), on ? BIT(source % 32) : 0);
}

u32 board_plic_claim(const struct hart *h)
{
    return *context_reg(h, CLAIM);
}

void board_plic_complete(const struct hart *h, u32 source)
{
    *context_reg(h, CLAIM) = source;
}
