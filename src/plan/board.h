/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A board as its device tree describes it (Devicetree Specification 0.4; bindings of Linux for the
 * interrupt controllers): what the hypervisor must know, and the devices that partitions may get.
 */
#ifndef COSM_PLAN_BOARD_H
#define COSM_PLAN_BOARD_H

#include "base/err.h"
#include "metal/config.h"

#define BOARD_RANGES   4 /* of a device's registers; of a PCI host's and its windows */
#define BOARD_IRQS     8 /* of a device */
#define BOARD_RESERVED 16
#define BOARD_NAME_MAX 48

struct plan_range {
    u64 base, size;
};

struct plan_irq {
    u32 source;
    u32 type; /* IRQ_TYPE_... of Linux's bindings; 0: not told */
};

/* A device of the board. */
struct plan_device {
    char name[BOARD_NAME_MAX]; /* of its node, with the address */
    int node;                  /* its offset in the tree */
    struct plan_range range[BOARD_RANGES];
    struct plan_irq irq[BOARD_IRQS];
    u32 range_count, irq_count;
    bool harmless; /* known not to reach memory by itself */
    bool is_pci;   /* a PCI host: range 0 is configuration space, the others are windows */
    u32 iommu_first, iommu_count; /* its ids at the board's IOMMU; 0: none holds it */
};

struct plan_board_hart {
    u32 id;
    u32 intc; /* phandle of its local controller */
    u32 plic_context, imsic_index, sswi_index;
};

struct plan_board {
    char name[32]; /* "virt", or of the file */
    void *fdt;     /* the tree, its owner's to free */
    u64 timebase;
    struct plan_range ram;
    struct plan_range reserved[BOARD_RESERVED]; /* of RAM, by others */
    u32 reserved_count;
    struct plan_board_hart hart[METAL_HARTS_MAX];
    u32 hart_count;
    char isa[512], mmu[24];
    u32 cbom, cboz;               /* block sizes; 0: none */
    char console[BOARD_NAME_MAX]; /* the name of the hypervisor's UART; "": none */
    u64 uart;
    u32 uart_shift;
    enum metal_intc intc;
    u32 intc_phandle;                                  /* of the PLIC or the APLIC */
    u32 intc_cells;                                    /* of an interrupt */
    struct plan_range plic, aplic, imsic, iommu, sswi; /* size 0: none */
    u32 iommu_phandle, iommu_source;                   /* 0: none */
    u32 imsic_guest_bits, imsic_hart_bits, imsic_group_shift, imsic_ids;
    u32 sources;
};

/* Reads a tree of size bytes, which board->fdt keeps; the caller's error says whose it is. */
MUST_CHECK int plan_board_read(struct plan_board *board, void *fdt, size_t size, struct err *err);

/* The tree of QEMU's virt, version 7.2; its IOMMU is that of version 10. */
struct plan_virt {
    u32 harts;
    u64 memory;
    bool aia, iommu;
    u32 aia_guests;
    bool vector;
    const char *isa; /* NULL: of -cpu rv64,h=true, or with v=true,vext_spec=v1.0 */
};

/* *fdt is malloc'ed, the caller's. */
MUST_CHECK int plan_board_virt(const struct plan_virt *virt, void **fdt, size_t *size,
                               struct err *err);

/* The device of that name, path or alias. */
MUST_CHECK int plan_board_device(const struct plan_board *board, const char *name,
                                 struct plan_device *device, struct err *err);

/* The name of what the hypervisor keeps for itself in a range of the board's addresses; NULL:
 * nothing. */
const char *plan_board_kept(const struct plan_board *board, u64 base, u64 size);

/* Each device in turn: begin with device->node = -1. False: there is none left. */
bool plan_board_next(const struct plan_board *board, struct plan_device *device);

/* Bits of a vector register, as far as the instruction set tells: the least; 0: there is no V. */
u32 plan_board_vlen(const struct plan_board *board);

#endif
