/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtio memory balloon (VIRTIO 1.2, 5.5): the guest does without memory that the host wants back,
 * tells which of its pages are free, and how its memory is used.
 *
 * Pages that it gives up are discarded (gmem_discard): they hold zeros when they are used again, of
 * which the device need not be told. Offered are statistics, free page reporting, deflation when
 * the guest is out of memory, and the value that free pages hold.
 */
#ifndef COSM_DEVICE_VIRTIO_BALLOON_H
#define COSM_DEVICE_VIRTIO_BALLOON_H

#include "device/virtio/virtio.h"
#include "port/balloon.h"

enum { VIRTIO_BALLOON_CONFIG_SIZE = 16 };

struct virtio_balloon {
    struct virtio_dev dev;
    struct balloon_port port;
    u8 config[VIRTIO_BALLOON_CONFIG_SIZE];
    struct virtq_chain chain;
    struct virtq_token asked; /* the statistics' buffer, which goes back to ask for new ones */
    bool can_ask;
    u64 returned, told, stat[BALLOON_STATS];
    u32 known;
};

void virtio_balloon_init(struct virtio_balloon *balloon, const struct balloon_port *port);

/* The guest is to do without so many bytes, rounded to whole pages; it may take its time. */
void virtio_balloon_set_target(struct virtio_balloon *balloon, u64 bytes);

/* Asks for new statistics; they come later. False: no driver answers, or it has not yet. */
bool virtio_balloon_ask(struct virtio_balloon *balloon);

void virtio_balloon_read(struct virtio_balloon *balloon, struct balloon_state *state);

/* For transports: &balloon->dev. */
static inline struct virtio_dev *virtio_balloon_dev(struct virtio_balloon *balloon)
{
    return &balloon->dev;
}

#endif
