/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtio socket device (VIRTIO 1.2, 5.10): streams between the guest and its host. */
#ifndef COSM_DEVICE_VIRTIO_VSOCK_H
#define COSM_DEVICE_VIRTIO_VSOCK_H

#include "device/virtio/virtio.h"
#include "port/vsock.h"

#define VIRTIO_VSOCK_CONFIG_SIZE 8
#define VIRTIO_VSOCK_HEADER      44
#define VIRTIO_VSOCK_RESETS_MAX  64 /* answers to packets of no stream that wait for buffers */
#define VIRTIO_VSOCK_HOST_CID    2
#define VIRTIO_VSOCK_CID_MIN     3
#define VIRTIO_VSOCK_CID_MAX     (UINT32_MAX - 1)

struct virtio_vsock_stream {
    u8 state;     /* of vsock.c; 0: free */
    u8 guest_end; /* VSOCK_NO_...: what the guest does no more */
    u8 host_end;
    u32 pending; /* packets that wait for a buffer: bits of the operations */
    bool wants;  /* ready is due when there is room */
    u32 guest_port, host_port;
    u32 guest_alloc, guest_taken; /* the guest's buffer and how far it has read (fwd_cnt) */
    u32 sent;
    u32 received, taken, told; /* told: the last value of taken that the guest got */
};

struct virtio_vsock_reset {
    u64 cid; /* whom the guest spoke to */
    u32 guest_port, host_port;
    u16 type;
};

struct virtio_vsock {
    struct virtio_dev dev;
    const struct vsock *vsock;
    u8 config[VIRTIO_VSOCK_CONFIG_SIZE];
    u64 cid;
    u32 next_port;
    u32 top;           /* streams from here on are free */
    bool starved;      /* a packet found no receive buffer */
    bool room_changed; /* streams that want to send may try */
    u32 reset_count;
    struct virtio_vsock_reset reset[VIRTIO_VSOCK_RESETS_MAX];
    struct virtio_vsock_stream stream[VSOCK_STREAMS_MAX];
    struct virtq_chain rx, tx;
    u8 bytes[64 * KIB]; /* on their way to the back end */
};

struct virtio_vsock_config {
    const struct vsock *vsock; /* outlives the device */
    u64 cid;                   /* VIRTIO_VSOCK_CID_MIN..VIRTIO_VSOCK_CID_MAX */
};

/* Attaches itself to the back end. */
void virtio_vsock_init(struct virtio_vsock *vsock, const struct virtio_vsock_config *config);

/* For transports: &vsock->dev. */
static inline struct virtio_dev *virtio_vsock_dev(struct virtio_vsock *vsock)
{
    return &vsock->dev;
}

#endif
