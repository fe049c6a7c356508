/* SPDX-License-Identifier: BSD-2-Clause */
/* A board's IOMMU and PCI hosts, as its device tree describes them. */
#ifndef COSM_PLAN_BOARD_PCI_H
#define COSM_PLAN_BOARD_PCI_H

#include "plan/board.h"

#define PCI_CHILD_CELLS 4 /* of an interrupt map: a function's address and its pin */

/* An entry of an interrupt map. */
struct board_line {
    u32 child[PCI_CHILD_CELLS];
    u32 parent; /* phandle of the controller */
    struct plan_irq irq;
};

/* The board's first IOMMU that has registers of its own, once its controller is read. */
void board_iommu_read(struct plan_board *board);
/* Which ids the device has there; none, if it is not held as a whole. */
void board_behind_iommu(const struct plan_board *board, struct plan_device *device);
/* What a PCI host has beside its own registers: windows and interrupts. */
MUST_CHECK int board_pci_read(const struct plan_board *board, struct plan_device *device,
                              struct err *err);
/* Entry index of a node's interrupt map; false: there is none. */
bool board_pci_line(const struct plan_board *board, int node, u32 index, struct board_line *line);

#endif
