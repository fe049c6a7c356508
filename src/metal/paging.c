/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Builds the hypervisor's own address space. All of paging_init runs at physical addresses: code
 * and data are reached relative to the program counter, so symbols give physical addresses there.
 */
#include "metal/paging.h"

#include "metal/asm.h"
#include "metal/config.h"
#include "metal/csr.h"

#define PAGE     4096
#define IO_PAGES 12 /* tables for devices: a few for each GiB and each 2 MiB with registers */

extern const struct metal_config metal_config;
/* link.ld; arrays as only their addresses count. */
extern u8 _start[], rodata_start[], data_start[], stacks[], stacks_end[], image_end[];

struct table {
    u64 entry[512];
} __attribute__((aligned(PAGE)));

static struct table root, image_middle, image_leaves, io_tables[IO_PAGES];
static u32 io_used;
u64 paging_satp; /* entry.S */

static u64 leaf(u64 hpa, u64 bits)
{
    return hpa >> 12 << PTE_PPN_SHIFT | bits | PTE_V | PTE_A | PTE_D;
}

static u64 pointer(const struct table *t)
{
    return (u64)t >> 12 << PTE_PPN_SHIFT | PTE_V;
}

static u32 index_of(u64 va, u32 level)
{
    return (u32)(va >> (12 + 9 * level) & 511);
}

static u64 bits_of(u64 hpa)
{
    if (hpa < (u64)rodata_start)
        return PTE_R | PTE_X;
    if (hpa < (u64)data_start)
        return PTE_R;
    if (hpa < (u64)stacks_end && hpa >= (u64)stacks && (hpa - (u64)stacks) % STACK_STRIDE == 0)
        return 0; /* a stack's guard */
    if (hpa < (u64)image_end + metal_config.board.vector_size)
        return PTE_R | PTE_W;
    return PTE_R; /* the partitions' images */
}

static void map_image(u64 hpa)
{
    u64 size = metal_config.board.self_size;

    root.entry[index_of(PAGING_BASE, 2)] = pointer(&image_middle);
    image_middle.entry[0] = pointer(&image_leaves);
    for (u32 i = 0; i < 512; i++) {
        u64 at = hpa + (u64)i * PAGE, bits = bits_of(at);
        if (bits && at < hpa + size)
            image_leaves.entry[i] = leaf(at, bits);
    }
    for (u32 i = 1; i < 512 && i * 2 * MIB < size; i++)
        image_middle.entry[i] = leaf(hpa + i * 2 * MIB, PTE_R);
}

static struct table *io_below(u64 *entry)
{
    if (!*entry) {
        if (io_used == IO_PAGES)
            return NULL;
        *entry = pointer(&io_tables[io_used++]);
    }
    return (struct table *)(*entry >> PTE_PPN_SHIFT << 12);
}

static void map_io(u64 hpa, u64 size)
{
    for (u64 at = align_down(hpa, PAGE); at < hpa + size; at += PAGE) {
        u64 va = PAGING_IO + at;
        struct table *t = io_below(&root.entry[index_of(va, 2)]);

        if (t && size >= 2 * MIB && !(at % (2 * MIB))) {
            t->entry[index_of(va, 1)] = leaf(at, PTE_R | PTE_W);
            at += 2 * MIB - PAGE;
            continue;
        }
        t = t ? io_below(&t->entry[index_of(va, 1)]) : NULL;
        if (t)
            t->entry[index_of(va, 0)] = leaf(at, PTE_R | PTE_W);
    }
}

static void map_imsic(void)
{
    const struct metal_config *c = &metal_config;

    for (u32 i = 0; i < c->board.hart_count; i++)
        map_io(imsic_hpa(&c->board, c->hart[i].imsic_index), PAGE << c->board.imsic_guest_bits);
}

u64 paging_init(u64 hpa)
{
    const struct metal_board *board = &metal_config.board;

    map_image(hpa);
    if (board->uart_hpa)
        map_io(board->uart_hpa, PAGE);
    if (board->intc == METAL_INTC_AIA) {
        map_io(board->aplic_hpa, board->aplic_size);
        map_imsic();
    } else {
        map_io(board->plic_hpa, board->plic_size);
        if (board->sswi_hpa)
            map_io(board->sswi_hpa, PAGE);
    }
    if (board->iommu_hpa)
        map_io(board->iommu_hpa, PAGE);
    if (board->pci_hpa)
        map_io(board->pci_hpa, MIB); /* of the first bus */
    paging_satp = SATP_SV39 | (u64)&root >> 12;
    return paging_satp;
}

u64 paging_hpa(const void *address)
{
    return (u64)address - PAGING_BASE + metal_config.board.self_hpa;
}

const u8 *paging_image(u64 offset)
{
    return (const u8 *)(PAGING_BASE + offset);
}
