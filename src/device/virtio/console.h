/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtio console (VIRTIO 1.2, 5.3) with one port. */
#ifndef COSM_DEVICE_VIRTIO_CONSOLE_H
#define COSM_DEVICE_VIRTIO_CONSOLE_H

#include "device/virtio/virtio.h"
#include "port/chardev.h"

#define VIRTIO_CONSOLE_CONFIG_SIZE 12
#define VIRTIO_CONSOLE_BURST       512 /* bytes handed to the back end at a time */
#define VIRTIO_CONSOLE_EMERGENCY   16

struct virtio_console {
    struct virtio_dev dev;
    const struct chardev *chardev;
    u8 config[VIRTIO_CONSOLE_CONFIG_SIZE];
    bool refused;             /* receive has said no since the driver last gave buffers */
    bool sending, send_again; /* one thread at a time empties the transmit queue, in order */
    u8 emergency[VIRTIO_CONSOLE_EMERGENCY]; /* written to emerg_wr, not yet handed on */
    u32 emergency_count;
    struct virtq_chain rx;
    struct virtq_chain chain; /* being sent */
};

struct virtio_console_config {
    const struct chardev *chardev; /* outlives the device */
    u16 cols, rows;                /* 0: unknown, the size is not offered */
};

void virtio_console_init(struct virtio_console *console,
                         const struct virtio_console_config *config);

/*
 * Host to guest, any thread. Returns how many bytes the guest's buffers took; chardev.room is
 * called when there are buffers again after it took fewer than len.
 */
size_t virtio_console_receive(struct virtio_console *console, const u8 *bytes, size_t len);

/* The host's window has changed its size. Does nothing if the size was not offered. */
void virtio_console_resize(struct virtio_console *console, u16 cols, u16 rows);

/* For transports: &console->dev. */
static inline struct virtio_dev *virtio_console_dev(struct virtio_console *console)
{
    return &console->dev;
}

#endif
