/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtio file system device (VIRTIO 1.2, 5.11): carries requests of FUSE to a back end. */
#ifndef COSM_DEVICE_VIRTIO_FS_H
#define COSM_DEVICE_VIRTIO_FS_H

#include "device/virtio/virtio.h"
#include "port/fs.h"

#define VIRTIO_FS_CONFIG_SIZE (FS_TAG_SIZE + 4)

struct virtio_fs_slot {
    bool busy;
    u32 queue;
    struct virtq_chain chain;
};

struct virtio_fs {
    struct virtio_dev dev;
    const struct fs *fs;
    u8 config[VIRTIO_FS_CONFIG_SIZE];
    bool pumping, pump_again; /* one thread at a time takes requests */
    struct virtio_fs_slot slot[FS_SLOTS];
};

struct virtio_fs_config {
    const struct fs *fs; /* outlives the device */
    const char *tag;     /* 1 to FS_TAG_SIZE bytes: how the guest mounts it */
};

/* Attaches itself to the back end. */
void virtio_fs_init(struct virtio_fs *fs, const struct virtio_fs_config *config);

/* For transports: &fs->dev. */
static inline struct virtio_dev *virtio_fs_dev(struct virtio_fs *fs)
{
    return &fs->dev;
}

#endif
