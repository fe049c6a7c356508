/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtqueues behind the entropy, console, input, balloon and network devices: hostile rings and
 * registers. */
#include "device/virtio/balloon.h"
#include "device/virtio/console.h"
#include "device/virtio/input.h"
#include "device/virtio/net.h"
#include "device/virtio/rng.h"
#include "fuzz/virtio_script.h"

static struct virtio_rng rng;
static struct virtio_input input;
static struct virtio_console console;
static struct virtio_net net;
static struct virtio_balloon balloon;

static void entropy_bytes(void *ctx, void *buf, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((u8 *)buf)[i] = (u8)i;
}

static void nothing(u8 arg)
{
}

static void console_bytes(u8 arg)
{
    static u8 bytes[255];

    for (u32 i = 0; i < sizeof(bytes); i++)
        bytes[i] = (u8)(arg + i % 4);
    (void)virtio_console_receive(&console, bytes, arg);
}

static struct net_device net_end;

/* Now and then there is no room; a frame comes back as it was sent. */
static bool frame_back(void *ctx, const struct net_frame *frame)
{
    if (frame->len % 7 == 3)
        return false;
    (void)net_end.receive(net_end.ctx, frame);
    return true;
}

static void frame_attach(void *ctx, const struct net_device *device)
{
    net_end = *device;
}

static void frame_in(u8 arg)
{
    static u8 bytes[2048];
    struct net_frame frame = {bytes, arg * 8u, {.flags = arg & 3, .gso = arg % 8}};

    (void)net_end.receive(net_end.ctx, &frame);
    if (arg % 16 == 5)
        net_end.ready(net_end.ctx);
    if (arg == 77)
        virtio_net_set_link(&net, false);
}

static void key(u8 arg)
{
    (void)virtio_input_press(&input, arg);
}

static void squeeze(u8 arg)
{
    struct balloon_state state;

    virtio_balloon_set_target(&balloon, arg * BALLOON_PAGE);
    if (arg % 2)
        (void)virtio_balloon_ask(&balloon);
    virtio_balloon_read(&balloon, &state);
}

static const struct balloon_port balloon_port;
static const u8 power = INPUT_KEY_POWER;
static const struct chardev chardev;
static const struct net link = {
    .send = frame_back, .attach = frame_attach, .can = NET_CAN_CSUM | NET_CAN_TSO, .mtu = 9000};

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct virtio_rng_config rng_config = {.entropy = {entropy_bytes, NULL}};
    struct virtio_console_config console_config = {&chardev, 80, 25};
    struct virtio_net_config net_config = {.net = &link};
    struct virtio_input_config input_config = {"Button", &power, 1};

    switch (size ? data[0] >> 5 : 0) {
    case 0:
        virtio_rng_init(&rng, &rng_config);
        script_run(virtio_rng_dev(&rng), nothing, data, size);
        break;
    case 1:
        virtio_input_init(&input, &input_config);
        script_run(virtio_input_dev(&input), key, data, size);
        break;
    case 3:
        virtio_balloon_init(&balloon, &balloon_port);
        script_run(virtio_balloon_dev(&balloon), squeeze, data, size);
        break;
    case 2:
        virtio_console_init(&console, &console_config);
        script_run(virtio_console_dev(&console), console_bytes, data, size);
        break;
    default:
        virtio_net_init(&net, &net_config);
        script_run(virtio_net_dev(&net), frame_in, data, size);
    }
    return 0;
}
