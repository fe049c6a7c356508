/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Generic PCIe host bridge (pci-host-ecam-generic): configuration space of one bus by ECAM, windows
 * for 32-bit, 64-bit and port BARs, four INTx wires.
 */
#ifndef COSM_DEVICE_PCIE_HOST_H
#define COSM_DEVICE_PCIE_HOST_H

#include "device/device.h"
#include "device/map.h"
#include "device/pci.h"

#define PCIE_HOST_ECAM_SIZE  UINT64_C(0x10000000) /* bytes: buses 0..255 */
#define PCIE_HOST_PIO_SIZE   UINT64_C(0x10000)
#define PCIE_HOST_MEM32_SIZE UINT64_C(0x40000000)
#define PCIE_HOST_MEM64_SIZE UINT64_C(0x400000000)
#define PCIE_HOST_FUNCTIONS  32 /* functions at most, of 256 places on bus 0 */

enum pcie_window_kind { PCIE_WINDOW_PIO, PCIE_WINDOW_MEM32, PCIE_WINDOW_MEM64, PCIE_WINDOWS };

struct pcie_window {
    struct device dev;
    struct pcie_host *host;
    enum pcie_window_kind kind;
};

struct pcie_host {
    struct device dev; /* ECAM; its lock guards config space, BAR addresses and INTx */
    struct pcie_window window[PCIE_WINDOWS];
    struct irq_line intx[4];
    u32 intx_count[4]; /* functions that hold the wire up */
    struct pci_function bridge;
    struct pci_function *function[PCIE_HOST_FUNCTIONS];
    u32 function_count;
};

struct pcie_host_config {
    const char *id;
    gpa_t base;                 /* ECAM */
    gpa_t window[PCIE_WINDOWS]; /* PIO maps port 0; the others are mapped one to one */
    const struct log *log;
    struct irq_line intx[4];
};

void pcie_host_init(struct pcie_host *host, const struct pcie_host_config *config);

/* Puts ECAM and windows into the map. False: no room or an overlap. */
MUST_CHECK bool pcie_host_map(struct pcie_host *host, struct device_map *map);

/* Adds a function at device slot (1..31), function 0. False: taken or full. It outlives the host.
 */
MUST_CHECK bool pcie_host_add(struct pcie_host *host, struct pci_function *pci, u32 slot);

/* The function's interrupt wish; any thread. The caller holds at most its own device's lock. */
void pcie_host_intx(struct pci_function *pci, bool level);

#endif
