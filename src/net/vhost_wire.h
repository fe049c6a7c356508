/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages of the vhost-user protocol, the front end's side (QEMU, docs/interop/vhost-user). What
 * comes back is checked; no call takes longer than VHOST_PATIENCE_MS.
 */
#ifndef COSM_NET_VHOST_WIRE_H
#define COSM_NET_VHOST_WIRE_H

#include "base/err.h"

#define VHOST_PATIENCE_MS 3000
#define VHOST_REGIONS_MAX 2

/* Bits of features, and of protocol features. */
#define VHOST_F_PROTOCOL         BIT(30)
#define VHOST_PROTOCOL_MQ        BIT(0)
#define VHOST_PROTOCOL_REPLY_ACK BIT(3)

enum vhost_request {
    VHOST_GET_FEATURES = 1,
    VHOST_SET_FEATURES = 2,
    VHOST_SET_OWNER = 3,
    VHOST_SET_MEM_TABLE = 5,
    VHOST_SET_VRING_NUM = 8,
    VHOST_SET_VRING_ADDR = 9,
    VHOST_SET_VRING_BASE = 10,
    VHOST_GET_VRING_BASE = 11,
    VHOST_SET_VRING_KICK = 12,
    VHOST_SET_VRING_CALL = 13,
    VHOST_SET_VRING_ERR = 14,
    VHOST_GET_PROTOCOL_FEATURES = 15,
    VHOST_SET_PROTOCOL_FEATURES = 16,
    VHOST_GET_QUEUE_NUM = 17,
    VHOST_SET_VRING_ENABLE = 18,
};

/* Memory that is shared: fd from its beginning on. */
struct vhost_region {
    gpa_t gpa;
    u64 size;
    u64 user; /* where we say that we have it: queues are told by such addresses */
    int fd;
};

struct vhost_wire {
    int fd;    /* a stream socket; -1: none */
    bool acks; /* VHOST_PROTOCOL_REPLY_ACK */
};

/* The socket is prepared; it is closed by its owner. */
MUST_CHECK int vhost_wire_init(struct vhost_wire *wire, int fd, struct err *err);

/* Each returns 0, or -errno and a phrase: "it does not answer GET_FEATURES". Afterwards the
 * connection is of no use any more. */
MUST_CHECK int vhost_order(const struct vhost_wire *wire, enum vhost_request request,
                           struct err *err);
MUST_CHECK int vhost_set(const struct vhost_wire *wire, enum vhost_request request, u64 value,
                         struct err *err);
MUST_CHECK int vhost_get(const struct vhost_wire *wire, enum vhost_request request, u64 *value,
                         struct err *err);
MUST_CHECK int vhost_set_ring(const struct vhost_wire *wire, enum vhost_request request, u32 queue,
                              u32 number, struct err *err);
MUST_CHECK int vhost_get_ring(const struct vhost_wire *wire, enum vhost_request request, u32 queue,
                              u32 *number, struct err *err);
/* Addresses of the ring's parts in a region's user addresses. */
MUST_CHECK int vhost_set_ring_addresses(const struct vhost_wire *wire, u32 queue, u64 desc,
                                        u64 used, u64 avail, struct err *err);
MUST_CHECK int vhost_set_ring_fd(const struct vhost_wire *wire, enum vhost_request request,
                                 u32 queue, int fd, struct err *err);
MUST_CHECK int vhost_set_memory(const struct vhost_wire *wire, const struct vhost_region *region,
                                u32 count, struct err *err);

#endif
