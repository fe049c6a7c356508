/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtio entropy device (VIRTIO 1.2, 5.4): fills every buffer on its one queue. */
#include "device/virtio/rng.h"

#include "base/mem.h"

/* More than this a buffer does not get at a time: a request must not hold a hart for long. */
enum { FILL_MAX = 4096, BURST = 256 };

static u32 chain_fill_locked(struct virtio_rng *rng)
{
    u32 len = rng->chain.writable_len < FILL_MAX ? rng->chain.writable_len : FILL_MAX;
    u8 bytes[BURST];

    for (u32 at = 0; at < len; at += BURST) {
        u32 n = len - at < BURST ? len - at : BURST;

        entropy_fill(&rng->entropy, bytes, n);
        if (virtq_chain_write(&rng->dev.queue[0], &rng->chain, at, bytes, n) != n)
            return at;
    }
    return len;
}

static bool notify(struct virtio_dev *dev, u32 queue)
{
    struct virtio_rng *rng = CONTAINER_OF(dev, struct virtio_rng, dev);
    u32 budget = VIRTIO_BUDGET;

    lock_acquire(&dev->lock);
    while (budget && virtio_pop_locked(dev, 0, &rng->chain)) {
        virtio_push_locked(dev, 0, rng->chain.token, chain_fill_locked(rng));
        budget--;
    }
    virtio_signal_locked(dev, 0);
    lock_release(&dev->lock);
    return !budget;
}

static const struct virtio_class virtio_rng_class = {
    .name = "virtio-rng",
    .id = VIRTIO_ID_RNG,
    .queue_count = 1,
    .queue_size = {64},
    .notify = notify,
};

void virtio_rng_init(struct virtio_rng *rng, const struct virtio_rng_config *config)
{
    memset(rng, 0, sizeof(*rng));
    rng->entropy = config->entropy;
    virtio_init(&rng->dev, &virtio_rng_class, 0, NULL, 0);
}
