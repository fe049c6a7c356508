/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio service of cosm-metal: a partition that answers the registers of others' virtio-mmio
 * devices with the models of src/device. One hart, one thread; nobody else has to trust it but the
 * partitions whose memory it sees.
 */
#ifndef COSM_APPS_METAL_SERVICE_H
#define COSM_APPS_METAL_SERVICE_H

#include "device/virtio/virtio.h"

#define SERVICE_DEVICES 16 /* METAL_VDEVS_MAX */
#define SERVICE_NODE    "cosm,virtio-service"

/* A device as its node of the tree has it. Texts lie in the tree. */
struct node {
    const void *tree;
    u32 number;        /* of the node */
    const char *label; /* the driver's partition */
    const char *join;  /* who has the same is at the other end; NULL: none */
};

/* The bytes of a property, if it has that many, else NULL. */
const u8 *node_bytes(const struct node *node, const char *name, u32 bytes);
/* False: the property is not there. */
bool node_u64s(const struct node *node, const char *name, u64 *value, u32 count);
bool joined(const char *a, const char *b);

/* Each makes the device of a node; NULL: the node does not say enough, or all are in use. */
struct virtio_dev *console_make(const struct node *node);
struct virtio_dev *net_make(const struct node *node);
struct virtio_dev *disk_make(const struct node *node);

/* Passes on what was typed at the service's own console; true: it may go on, so look again soon. */
bool console_poll(void);

#endif
