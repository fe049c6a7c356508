/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtio entropy device (VIRTIO 1.2, 5.4). */
#ifndef COSM_DEVICE_VIRTIO_RNG_H
#define COSM_DEVICE_VIRTIO_RNG_H

#include "device/virtio/virtio.h"
#include "port/entropy.h"

struct virtio_rng {
    struct virtio_dev dev;
    struct entropy entropy;
    struct virtq_chain chain;
};

struct virtio_rng_config {
    struct entropy entropy;
};

void virtio_rng_init(struct virtio_rng *rng, const struct virtio_rng_config *config);

/* For transports: &rng->dev. */
static inline struct virtio_dev *virtio_rng_dev(struct virtio_rng *rng)
{
    return &rng->dev;
}

#endif
