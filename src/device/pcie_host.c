/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Generic PCIe host bridge: ECAM (PCI Express Base Specification 5.0, 7.2.2) and BAR windows.
 *
 * Theory of operation. All functions sit on bus 0; places where none is, and windows where no BAR
 * is, read ones and ignore writes. The ECAM device's lock guards configuration space and INTx, but
 * is never held while a function is called: a function takes its own lock first and then, when it
 * drives INTx, the host's.
 */
#include "device/pcie_host.h"

#include "base/bits.h"
#include "base/checked.h"
#include "base/endian.h"
#include "base/mem.h"

enum { BRIDGE_VENDOR = 0x1b36, BRIDGE_DEVICE = 0x0008, BRIDGE_CLASS = 0x060000 };
enum { SUBSYSTEM_VENDOR = 0x1af4, SUBSYSTEM = 0x1100 };
enum { STATUS_INTX = 0x08 };

static struct pcie_host *host_of(struct device *dev)
{
    return CONTAINER_OF(dev, struct pcie_host, dev);
}

static struct pci_function *function_find(const struct pcie_host *host, u64 bdf)
{
    for (u32 i = 0; i < host->function_count; i++) {
        if (host->function[i]->devfn == bdf)
            return host->function[i];
    }
    return NULL;
}

/* INTA of slot 0 is wire 0; pins and slots rotate. */
static u32 intx_wire(const struct pci_function *pci)
{
    return (pci->devfn / 8u + pci->config[PCI_INTERRUPT_PIN] - 1u) % 4;
}

/* Brings STATUS and the shared wire in line with the function's wish and COMMAND's mask. */
static void update_intx_locked(struct pcie_host *host, struct pci_function *pci)
{
    bool masked = le16_load(pci->config + PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE;
    bool raise = pci->intx && !masked;
    u32 wire = intx_wire(pci), before = host->intx_count[wire];

    pci->config[PCI_STATUS] =
        (u8)bits_merge(pci->config[PCI_STATUS], STATUS_INTX, pci->intx ? STATUS_INTX : 0);
    if (raise == pci->intx_raised)
        return;
    pci->intx_raised = raise;
    host->intx_count[wire] = raise ? before + 1 : before - 1;
    if (!before || !host->intx_count[wire])
        irq_set(&host->intx[wire], raise);
}

void pcie_host_intx(struct pci_function *pci, bool level)
{
    struct pcie_host *host = pci->host;

    if (!host || !pci->config[PCI_INTERRUPT_PIN])
        return;
    device_lock(&host->dev);
    pci->intx = level;
    update_intx_locked(host, pci);
    device_unlock(&host->dev);
}

static bool ecam_read(struct device *dev, u64 offset, u32 size, u64 *value)
{
    struct pcie_host *host = host_of(dev);
    struct pci_function *pci = function_find(host, offset >> 12);

    if (size > 4)
        return false;
    *value = UINT64_MAX;
    if (!pci)
        return true;
    device_lock(dev);
    *value = pci_config_read(pci, offset & 0xfff, size);
    device_unlock(dev);
    return true;
}

static bool ecam_write(struct device *dev, u64 offset, u32 size, u64 value)
{
    struct pcie_host *host = host_of(dev);
    struct pci_function *pci = function_find(host, offset >> 12);
    u32 reg = offset & 0xfff;

    if (size > 4)
        return false;
    if (!pci || reg >= PCI_CONFIG_SIZE)
        return true;
    device_lock(dev);
    pci_config_write(pci, reg, size, (u32)value);
    if (pci->config[PCI_INTERRUPT_PIN])
        update_intx_locked(host, pci);
    device_unlock(dev);
    if (pci->cls && pci->cls->config_wrote)
        pci->cls->config_wrote(pci, reg, size);
    return true;
}

static void ecam_reset(struct device *dev)
{
    struct pcie_host *host = host_of(dev);

    for (u32 i = 0; i < host->function_count; i++) {
        struct pci_function *pci = host->function[i];

        pci->intx = false;
        if (pci->config[PCI_INTERRUPT_PIN])
            update_intx_locked(host, pci);
        pci_function_reset(pci);
    }
    dev->deferred = true;
}

/* The rest of a reset: functions may take their own locks. */
static void ecam_deferred(struct device *dev)
{
    struct pcie_host *host = host_of(dev);

    for (u32 i = 0; i < host->function_count; i++) {
        struct pci_function *pci = host->function[i];

        if (pci->cls && pci->cls->reset)
            pci->cls->reset(pci);
    }
}

static const struct device_class ecam_class = {
    .name = "pcie-host",
    .mmio_size = PCIE_HOST_ECAM_SIZE,
    .reset = ecam_reset,
    .read = ecam_read,
    .write = ecam_write,
    .deferred = ecam_deferred,
    .unlocked = true,
    .compatible = "pci-host-ecam-generic",
};

/* The BAR that holds all of [address, address + size) in this kind of window. */
static struct pci_function *bar_find_locked(const struct pcie_host *host, bool io, u64 address,
                                            u32 size, u32 *bar, u64 *offset)
{
    u64 base;

    for (u32 i = 0; i < host->function_count; i++) {
        struct pci_function *pci = host->function[i];

        for (u32 b = 0; b < PCI_BARS; b++) {
            if ((pci->bar[b].kind == PCI_BAR_IO) != io || !pci_bar_address(pci, b, &base))
                continue;
            if (!range_within(address, size, base, pci->bar[b].size))
                continue;
            *bar = b;
            *offset = address - base;
            return pci;
        }
    }
    return NULL;
}

static struct pci_function *window_find(struct device *dev, u64 offset, u32 size, u32 *bar,
                                        u64 *bar_offset)
{
    struct pcie_window *window = CONTAINER_OF(dev, struct pcie_window, dev);
    struct pcie_host *host = window->host;
    bool io = window->kind == PCIE_WINDOW_PIO;
    struct pci_function *pci;

    device_lock(&host->dev);
    pci = bar_find_locked(host, io, io ? offset : dev->base + offset, size, bar, bar_offset);
    device_unlock(&host->dev);
    return pci;
}

static bool window_read(struct device *dev, u64 offset, u32 size, u64 *value)
{
    u32 bar;
    u64 bar_offset;
    struct pci_function *pci = window_find(dev, offset, size, &bar, &bar_offset);

    if (!pci || !pci->cls || !pci->cls->read || !pci->cls->read(pci, bar, bar_offset, size, value))
        *value = UINT64_MAX;
    return true;
}

static bool window_write(struct device *dev, u64 offset, u32 size, u64 value)
{
    u32 bar;
    u64 bar_offset;
    struct pci_function *pci = window_find(dev, offset, size, &bar, &bar_offset);

    if (pci && pci->cls && pci->cls->write)
        (void)pci->cls->write(pci, bar, bar_offset, size, value);
    return true;
}

#define WINDOW_CLASS(label, bytes)                                                     \
    {                                                                                  \
        .name = label, .mmio_size = bytes, .read = window_read, .write = window_write, \
        .unlocked = true                                                               \
    }

static const struct device_class window_class[PCIE_WINDOWS] = {
    [PCIE_WINDOW_PIO] = WINDOW_CLASS("pcie-pio", PCIE_HOST_PIO_SIZE),
    [PCIE_WINDOW_MEM32] = WINDOW_CLASS("pcie-mem32", PCIE_HOST_MEM32_SIZE),
    [PCIE_WINDOW_MEM64] = WINDOW_CLASS("pcie-mem64", PCIE_HOST_MEM64_SIZE),
};

void pcie_host_init(struct pcie_host *host, const struct pcie_host_config *config)
{
    static const struct pci_ids bridge = {
        .vendor = BRIDGE_VENDOR,
        .device = BRIDGE_DEVICE,
        .subsystem_vendor = SUBSYSTEM_VENDOR,
        .subsystem = SUBSYSTEM,
        .class_code = BRIDGE_CLASS,
    };

    memset(host, 0, sizeof(*host));
    device_init(&host->dev, &ecam_class, config->id, config->base, config->log);
    for (u32 i = 0; i < PCIE_WINDOWS; i++) {
        struct pcie_window *window = &host->window[i];

        device_init(&window->dev, &window_class[i], window_class[i].name, config->window[i],
                    config->log);
        window->host = host;
        window->kind = (enum pcie_window_kind)i;
    }
    for (u32 i = 0; i < ARRAY_SIZE(host->intx); i++)
        host->intx[i] = config->intx[i];
    pci_function_init(&host->bridge, NULL, &bridge);
    host->bridge.host = host;
    host->function[host->function_count++] = &host->bridge;
    device_reset(&host->dev);
}

bool pcie_host_map(struct pcie_host *host, struct device_map *map)
{
    if (!device_map_add(map, &host->dev))
        return false;
    for (u32 i = 0; i < PCIE_WINDOWS; i++) {
        if (!device_map_add(map, &host->window[i].dev))
            return false;
    }
    return true;
}

bool pcie_host_add(struct pcie_host *host, struct pci_function *pci, u32 slot)
{
    if (slot == 0 || slot > 31 || host->function_count == PCIE_HOST_FUNCTIONS ||
        function_find(host, slot * 8))
        return false;
    pci->devfn = (u8)(slot * 8);
    pci->host = host;
    host->function[host->function_count++] = pci;
    return true;
}
