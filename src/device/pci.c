/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PCI function's configuration space (PCI Local Bus Specification 3.0, chapter 6).
 *
 * Every byte has three masks made at setup: its power-on value, the bits that a write sets and the
 * bits that a written 1 clears. BAR sizing needs no more: size bits are simply not writable.
 */
#include "device/pci.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/checked.h"
#include "base/endian.h"
#include "base/mem.h"

enum { BAR_IO = 0x1, BAR_MEM64 = 0x4, BAR_PREFETCH = 0x8 };
enum { STATUS_CAPABILITIES = 0x10, STATUS_ERRORS = 0xf900 };
enum { COMMAND_SERR = 0x100 };
enum { FIRST_CAPABILITY = 0x40 };

void pci_config_set(struct pci_function *pci, u32 offset, const void *bytes, const void *mask,
                    u32 len)
{
    ASSERT(range_within(offset, len, 0, PCI_CONFIG_SIZE));
    memcpy(pci->initial + offset, bytes, len);
    memcpy(pci->config + offset, bytes, len);
    if (mask)
        memcpy(pci->mask + offset, mask, len);
}

static void config_set16(struct pci_function *pci, u32 offset, u16 value, u16 mask)
{
    u8 bytes[2], mask_bytes[2];

    le16_store(bytes, value);
    le16_store(mask_bytes, mask);
    pci_config_set(pci, offset, bytes, mask_bytes, 2);
}

static void config_set8(struct pci_function *pci, u32 offset, u8 value, u8 mask)
{
    pci_config_set(pci, offset, &value, &mask, 1);
}

void pci_function_init(struct pci_function *pci, const struct pci_function_class *cls,
                       const struct pci_ids *ids)
{
    ASSERT(ids->pin <= 4);
    memset(pci, 0, sizeof(*pci));
    pci->cls = cls;
    pci->cap_free = FIRST_CAPABILITY;
    config_set16(pci, PCI_VENDOR_ID, ids->vendor, 0);
    config_set16(pci, PCI_DEVICE_ID, ids->device, 0);
    config_set16(pci, PCI_COMMAND, 0,
                 PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | COMMAND_SERR |
                     PCI_COMMAND_INTX_DISABLE);
    le16_store(pci->w1c + PCI_STATUS, STATUS_ERRORS);
    config_set8(pci, PCI_REVISION_ID, ids->revision, 0);
    config_set8(pci, PCI_CLASS_PROG, (u8)ids->class_code, 0);
    config_set16(pci, PCI_CLASS_DEVICE, (u16)(ids->class_code >> 8), 0);
    config_set8(pci, PCI_CACHE_LINE, 0, 0xff);
    config_set16(pci, PCI_SUBSYSTEM_VENDOR_ID, ids->subsystem_vendor, 0);
    config_set16(pci, PCI_SUBSYSTEM_ID, ids->subsystem, 0);
    config_set8(pci, PCI_INTERRUPT_LINE, 0, 0xff);
    config_set8(pci, PCI_INTERRUPT_PIN, ids->pin, 0);
}

void pci_bar_set(struct pci_function *pci, u32 index, enum pci_bar_kind kind, bool prefetchable,
                 u64 size)
{
    u32 bytes = kind == PCI_BAR_MEM64 ? 8 : 4;
    u64 flags = prefetchable ? BAR_PREFETCH : 0;
    u8 value[8], mask[8];

    ASSERT(index < PCI_BARS && index * 4 + bytes <= PCI_BARS * 4);
    ASSERT(is_pow2(size) && size >= 16 && (kind == PCI_BAR_MEM64 || size <= 2 * GIB));
    ASSERT(pci->bar[index].kind == PCI_BAR_NONE);
    if (kind == PCI_BAR_IO)
        flags = BAR_IO;
    else if (kind == PCI_BAR_MEM64)
        flags |= BAR_MEM64;
    pci->bar[index] = (struct pci_bar){kind, prefetchable, size};
    le64_store(value, flags);
    le64_store(mask, ~(size - 1));
    pci_config_set(pci, PCI_BAR0 + index * 4, value, mask, bytes);
}

u8 pci_capability_add(struct pci_function *pci, u8 id, u8 len)
{
    u8 at = pci->cap_free;

    ASSERT(len >= 2 && at + (u32)align_up(len, 4) <= PCI_CONFIG_SIZE - 4);
    config_set8(pci, pci->cap_last ? pci->cap_last + 1u : PCI_CAPABILITIES, at, 0);
    config_set8(pci, at, id, 0);
    config_set16(pci, PCI_STATUS, STATUS_CAPABILITIES, 0);
    pci->cap_last = at;
    pci->cap_free = (u8)(at + align_up(len, 4));
    return at;
}

void pci_function_reset(struct pci_function *pci)
{
    memcpy(pci->config, pci->initial, PCI_CONFIG_SIZE);
}

u32 pci_config_read(const struct pci_function *pci, u32 offset, u32 size)
{
    u32 value = 0;

    if (!range_within(offset, size, 0, PCI_CONFIG_SIZE))
        return UINT32_MAX;
    for (u32 i = 0; i < size; i++)
        value |= (u32)pci->config[offset + i] << (8 * i);
    return value;
}

void pci_config_write(struct pci_function *pci, u32 offset, u32 size, u32 value)
{
    if (!range_within(offset, size, 0, PCI_CONFIG_SIZE))
        return;
    for (u32 i = 0; i < size; i++) {
        u8 byte = (u8)(value >> (8 * i)), mask = pci->mask[offset + i];
        u8 *config = &pci->config[offset + i];

        *config = (u8)((*config & ~mask) | (byte & mask));
        *config &= (u8) ~(pci->w1c[offset + i] & byte);
    }
}

bool pci_bar_address(const struct pci_function *pci, u32 index, u64 *address)
{
    const struct pci_bar *bar = &pci->bar[index];
    u16 command = le16_load(pci->config + PCI_COMMAND);
    const u8 *reg = pci->config + PCI_BAR0 + index * 4;
    u64 value;

    if (bar->kind == PCI_BAR_NONE)
        return false;
    if (!(command & (bar->kind == PCI_BAR_IO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)))
        return false;
    value = bar->kind == PCI_BAR_MEM64 ? le64_load(reg) : le32_load(reg);
    *address = align_down(value, bar->size);
    return *address != 0;
}
