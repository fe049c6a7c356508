/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtio sockets: hostile packets, a back end that connects, sends and closes at any time. */
#include "device/virtio/vsock.h"
#include "fuzz/virtio_script.h"

enum { UNUSED, ASKED, LIVE, ENDED };

static struct vsock_device device;
static struct virtio_vsock vsock;
static u8 state[VSOCK_STREAMS_MAX];
static u32 held[VSOCK_STREAMS_MAX]; /* bytes that the back end has not taken */

static void kick(void *ctx)
{
}

static void attach(void *ctx, const struct vsock_device *d)
{
    device = *d;
}

static bool incoming(void *ctx, u32 stream, u32 host_port)
{
    ASSERT(stream < VSOCK_STREAMS_MAX && state[stream] == UNUSED);
    if (host_port % 4 == 3)
        return false;
    state[stream] = LIVE;
    held[stream] = 0;
    return true;
}

static void opened(void *ctx, u32 stream)
{
    ASSERT(stream < VSOCK_STREAMS_MAX && state[stream] == ASKED);
    state[stream] = LIVE;
}

static void received(void *ctx, u32 stream, const u8 *bytes, size_t len)
{
    u8 sum = 0;

    ASSERT(stream < VSOCK_STREAMS_MAX && state[stream] == LIVE);
    for (size_t i = 0; i < len; i++)
        sum ^= bytes[i];
    held[stream] += (u32)len;
    ASSERT(held[stream] <= VSOCK_BUFFER);
    if (sum & 1) {
        device.taken(device.ctx, stream, held[stream]);
        held[stream] = 0;
    }
}

static void ready(void *ctx, u32 stream)
{
    ASSERT(stream < VSOCK_STREAMS_MAX && state[stream] != UNUSED && state[stream] != ENDED);
    (void)device.send(device.ctx, stream, (const u8 *)"ready", 5);
}

static void ended(void *ctx, u32 stream, u32 no_more)
{
    ASSERT(stream < VSOCK_STREAMS_MAX && state[stream] != UNUSED && state[stream] != ENDED);
    ASSERT(no_more <= VSOCK_CLOSED);
    if (no_more == VSOCK_CLOSED) {
        state[stream] = ENDED;
        if (stream % 2) {
            device.close(device.ctx, stream);
            state[stream] = UNUSED;
        }
    }
}

static void act(u8 arg)
{
    static const u8 bytes[1000];
    u32 stream = arg >> 3 & 7, port;
    s32 made;

    switch (arg & 7) {
    case 0:
    case 1:
        (void)!device.work(device.ctx);
        return;
    case 2:
        made = device.connect(device.ctx, arg >> 3, &port);
        if (made >= 0) {
            ASSERT(state[made] == UNUSED);
            state[made] = ASKED;
            held[made] = 0;
        }
        return;
    default:
        break;
    }
    if (state[stream] == UNUSED)
        return;
    if ((arg & 7) == 3) {
        device.close(device.ctx, stream);
        state[stream] = UNUSED;
    } else if ((arg & 7) == 4) {
        device.shutdown(device.ctx, stream, 1 + (arg >> 6));
    } else if ((arg & 7) == 5) {
        device.taken(device.ctx, stream, held[stream]);
        held[stream] = 0;
    } else {
        (void)device.send(device.ctx, stream, bytes, arg & 0x40 ? sizeof(bytes) : 1);
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static const struct vsock back = {attach, kick, incoming, opened, received, ready, ended, NULL};
    struct virtio_vsock_config config = {.vsock = &back, .cid = 3};

    memset(state, 0, sizeof(state));
    virtio_vsock_init(&vsock, &config);
    script_run(virtio_vsock_dev(&vsock), act, data, size);
    return 0;
}
