/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtio over MMIO, register layout version 2 (VIRTIO 1.2, 4.2). QEMU's virt board has the same
 * windows (0x10001000 + n * 0x1000, wire 1 + n) but defaults to the legacy version 1.
 */
#ifndef COSM_DEVICE_VIRTIO_MMIO_H
#define COSM_DEVICE_VIRTIO_MMIO_H

#include "device/device.h"
#include "device/virtio/virtio.h"
#include "port/gmem.h"
#include "port/irq.h"

#define VIRTIO_MMIO_SIZE 0x200 /* bytes of a window */

struct virtio_mmio {
    struct device device;
    struct virtio_dev *dev; /* NULL: an empty slot, DeviceID reads 0 */
    struct irq_line irq;
    u32 device_features_sel;
    u32 driver_features_sel;
    u32 queue_sel;
    _Atomic u32 kicks; /* queues to notify once the lock is released, bit 31: configuration */
};

struct virtio_mmio_config {
    const char *id; /* "virtio0"; static */
    gpa_t base;
    const struct log *log; /* may be NULL */
    struct irq_line irq;
    const struct gmem *gmem; /* outlives the device */
    struct virtio_dev *dev;  /* outlives the transport; NULL: empty slot */
};

/* Leaves the device in power-on state. */
void virtio_mmio_init(struct virtio_mmio *mmio, const struct virtio_mmio_config *config);

/* Goes on with what VIRTIO_BUDGET left over, which otherwise waits for the driver's next access.
 * True: there is still more. */
bool virtio_mmio_go_on(struct virtio_mmio *mmio);

#endif
