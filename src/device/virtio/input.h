/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtio input device (VIRTIO 1.2, 5.8) with keys: buttons of a board. */
#ifndef COSM_DEVICE_VIRTIO_INPUT_H
#define COSM_DEVICE_VIRTIO_INPUT_H

#include "device/virtio/virtio.h"

/* Key codes are Linux' (input-event-codes.h), as the specification has it. */
enum { INPUT_KEY_POWER = 116, INPUT_KEYS_MAX = 256 };

enum { VIRTIO_INPUT_CONFIG_SIZE = 136 };

struct virtio_input {
    struct virtio_dev dev;
    const char *name;
    u8 keys[INPUT_KEYS_MAX / 8]; /* a bit for each that there is */
    u8 config[VIRTIO_INPUT_CONFIG_SIZE];
    struct virtq_chain chain;
};

struct virtio_input_config {
    const char *name; /* at most 127 characters; outlives the device */
    const u8 *key;    /* codes of the keys that there are */
    u32 key_count;
};

void virtio_input_init(struct virtio_input *input, const struct virtio_input_config *config);

/* A key goes down and up again. False: no driver listens, or not to so much at once. */
bool virtio_input_press(struct virtio_input *input, u8 key);

/* For transports: &input->dev. */
static inline struct virtio_dev *virtio_input_dev(struct virtio_input *input)
{
    return &input->dev;
}

#endif
