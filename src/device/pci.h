/* SPDX-License-Identifier: BSD-2-Clause */
/* A PCI function: configuration space, BARs, capability list, INTx pin (PCI Local Bus 3.0). */
#ifndef COSM_DEVICE_PCI_H
#define COSM_DEVICE_PCI_H

#include "base/types.h"

#define PCI_CONFIG_SIZE 256 /* bytes, as of a conventional function: beyond it reads ones */
#define PCI_BARS        6

enum pci_config_offset {
    PCI_VENDOR_ID = 0x00,
    PCI_DEVICE_ID = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_REVISION_ID = 0x08,
    PCI_CLASS_PROG = 0x09,
    PCI_CLASS_DEVICE = 0x0a,
    PCI_CACHE_LINE = 0x0c,
    PCI_HEADER_TYPE = 0x0e,
    PCI_BAR0 = 0x10,
    PCI_SUBSYSTEM_VENDOR_ID = 0x2c,
    PCI_SUBSYSTEM_ID = 0x2e,
    PCI_ROM_ADDRESS = 0x30,
    PCI_CAPABILITIES = 0x34,
    PCI_INTERRUPT_LINE = 0x3c,
    PCI_INTERRUPT_PIN = 0x3d,
};

enum pci_command {
    PCI_COMMAND_IO = 0x1,
    PCI_COMMAND_MEMORY = 0x2,
    PCI_COMMAND_MASTER = 0x4,
    PCI_COMMAND_INTX_DISABLE = 0x400,
};

enum pci_bar_kind { PCI_BAR_NONE, PCI_BAR_IO, PCI_BAR_MEM32, PCI_BAR_MEM64 };

struct pci_function;
struct pcie_host;

struct pci_bar {
    enum pci_bar_kind kind;
    bool prefetchable;
    u64 size; /* bytes, power of two */
};

struct pci_function_class {
    const char *name;
    /* An access into BAR bar, offset a multiple of size; without any lock held. False: reads ones.
     */
    bool (*read)(struct pci_function *pci, u32 bar, u64 offset, u32 size, u64 *value);
    bool (*write)(struct pci_function *pci, u32 bar, u64 offset, u32 size, u64 value);
    /* After the guest wrote config space [offset, offset + size); no lock held; may be NULL. */
    void (*config_wrote)(struct pci_function *pci, u32 offset, u32 size);
    /* After config space went to its power-on values; no lock held; may be NULL. */
    void (*reset)(struct pci_function *pci);
};

/* First member of a PCI device's state; memory is the caller's. */
struct pci_function {
    const struct pci_function_class *cls;
    struct pcie_host *host;
    u8 devfn;
    u8 cap_last, cap_free; /* offsets: last capability's header, first free byte */
    bool intx;             /* level the function asks for */
    bool intx_raised;      /* what the host was told, after COMMAND's mask */
    struct pci_bar bar[PCI_BARS];
    u8 config[PCI_CONFIG_SIZE];
    u8 initial[PCI_CONFIG_SIZE]; /* power-on values */
    u8 mask[PCI_CONFIG_SIZE];    /* bits that the guest may write */
    u8 w1c[PCI_CONFIG_SIZE];     /* bits that a written 1 clears */
};

struct pci_ids {
    u16 vendor, device, subsystem_vendor, subsystem;
    u8 revision;
    u32 class_code; /* 24 bits: class, subclass, interface */
    u8 pin;         /* 1..4: INTA..INTD; 0: none */
};

void pci_function_init(struct pci_function *pci, const struct pci_function_class *cls,
                       const struct pci_ids *ids);

/* Setup calls, before the function is added to a host. A MEM64 BAR takes index and index + 1. */
void pci_bar_set(struct pci_function *pci, u32 index, enum pci_bar_kind kind, bool prefetchable,
                 u64 size);
/* Appends a capability of len bytes (header included, zero but for id and link); its offset. */
u8 pci_capability_add(struct pci_function *pci, u8 id, u8 len);
/* Sets power-on bytes, and which of their bits the guest may write (mask NULL: none). */
void pci_config_set(struct pci_function *pci, u32 offset, const void *bytes, const void *mask,
                    u32 len);

void pci_function_reset(struct pci_function *pci);
u32 pci_config_read(const struct pci_function *pci, u32 offset, u32 size);
void pci_config_write(struct pci_function *pci, u32 offset, u32 size, u32 value);

/* Where the guest placed a BAR: false when it is absent, unplaced or decoding is off. */
MUST_CHECK bool pci_bar_address(const struct pci_function *pci, u32 index, u64 *address);

#endif
