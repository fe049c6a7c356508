/* SPDX-License-Identifier: BSD-2-Clause */
/* The virt board's addresses and interrupt lines, as QEMU's machine of that name has them. */
#ifndef COSM_MACHINE_VIRT_MAP_H
#define COSM_MACHINE_VIRT_MAP_H

#include "base/bits.h"

#define VIRT_ROM_BASE    UINT64_C(0x1000)
#define VIRT_ROM_SIZE    UINT64_C(0xf000)
#define VIRT_TEST_BASE   UINT64_C(0x100000)
#define VIRT_TEST_SIZE   UINT64_C(0x1000)
#define VIRT_RTC_BASE    UINT64_C(0x101000)
#define VIRT_RTC_SIZE    UINT64_C(0x1000)
#define VIRT_CLINT_BASE  UINT64_C(0x2000000)
#define VIRT_CLINT_SIZE  UINT64_C(0x10000)
#define VIRT_SSWI_BASE   UINT64_C(0x2f00000)
#define VIRT_SSWI_SIZE   UINT64_C(0x4000)
#define VIRT_PIO_BASE    UINT64_C(0x3000000)
#define VIRT_PIO_SIZE    UINT64_C(0x10000)
#define VIRT_PLIC_BASE   UINT64_C(0xc000000)
#define VIRT_PLIC_SIZE   UINT64_C(0x600000)
#define VIRT_UART_BASE   UINT64_C(0x10000000)
#define VIRT_UART_SIZE   UINT64_C(0x100)
#define VIRT_VIRTIO_BASE UINT64_C(0x10001000)
#define VIRT_VIRTIO_SIZE UINT64_C(0x1000) /* each slot */
#define VIRT_VIRTIO_QEMU 8                /* slots of QEMU's board; we add some behind them */
#define VIRT_FW_CFG_BASE UINT64_C(0x10100000)
#define VIRT_FW_CFG_SIZE UINT64_C(0x18)
#define VIRT_FLASH_BASE  UINT64_C(0x20000000)
#define VIRT_ECAM_BASE   UINT64_C(0x30000000)
#define VIRT_ECAM_SIZE   UINT64_C(0x10000000)
#define VIRT_MMIO32_BASE UINT64_C(0x40000000)
#define VIRT_MMIO32_SIZE UINT64_C(0x40000000)
#define VIRT_MMIO64_SIZE UINT64_C(0x400000000)
#define VIRT_RAM_MAX     UINT64_C(0x10000000000) /* what we offer; nothing depends on it */
#define VIRT_RAM_BASE    UINT64_C(0x80000000)

#define VIRT_UART_CLOCK 3686400u

/* PLIC sources; 0 is none. */
enum virt_irq {
    VIRT_IRQ_VIRTIO = 1, /* slots 0..7: 1..8; the others: virt_irq_virtio */
    VIRT_IRQ_UART = 10,
    VIRT_IRQ_RTC = 11,
    VIRT_IRQ_PCIE = 32, /* INTA..INTD: 32..35 */
    VIRT_IRQ_VIRTIO_MORE = 36,
    VIRT_IRQ_LAST = 95, /* riscv,ndev */
};

/* Values that the test finisher takes, told to the guest by the syscon nodes. */
enum virt_finisher { VIRT_FINISHER_PASS = 0x5555, VIRT_FINISHER_RESET = 0x7777 };

/* The source of a virtio-mmio slot. */
static inline u32 virt_irq_virtio(u32 slot)
{
    return slot < VIRT_VIRTIO_QEMU ? VIRT_IRQ_VIRTIO + slot
                                   : VIRT_IRQ_VIRTIO_MORE + slot - VIRT_VIRTIO_QEMU;
}

/* The 64-bit PCIe window follows RAM, at a multiple of its size. */
static inline gpa_t virt_mmio64_base(u64 ram_size)
{
    return align_up(VIRT_RAM_BASE + ram_size, VIRT_MMIO64_SIZE);
}

#endif
