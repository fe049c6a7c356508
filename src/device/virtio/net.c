/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtio network device (VIRTIO 1.2, 5.1): queue 0 receives, queue 1 transmits. Without offloads
 * each frame takes one chain and its header says nothing.
 */
#include "device/virtio/net.h"

#include "base/mem.h"

enum { RX = 0, TX = 1 };

#define F_MAC    BIT(5)
#define F_STATUS BIT(16)

/* Offsets in the configuration space (5.1.4). */
enum { CONFIG_MAC = 0, CONFIG_STATUS = 6, CONFIG_PAIRS = 8 };
enum { STATUS_LINK_UP = 1 };

enum { HEADER_NUM_BUFFERS = 10 };

static struct virtio_net *net_of(struct virtio_dev *dev)
{
    return CONTAINER_OF(dev, struct virtio_net, dev);
}

static bool link_is_up_locked(const struct virtio_net *net)
{
    return net->net && (net->config[CONFIG_STATUS] & STATUS_LINK_UP);
}

/* Sends net->tx. The lock is released meanwhile: a loopback delivers from within send. */
static void chain_send_locked(struct virtio_net *net)
{
    struct virtio_dev *dev = &net->dev;
    u32 len = net->tx.readable_len;

    if (len <= VIRTIO_NET_HEADER || len - VIRTIO_NET_HEADER > NET_FRAME_MAX ||
        !link_is_up_locked(net) || !net->net->send)
        return;
    len -= VIRTIO_NET_HEADER;
    if (virtq_chain_read(&dev->queue[TX], &net->tx, VIRTIO_NET_HEADER, net->frame, len) != len)
        return;
    lock_release(&dev->lock);
    net->net->send(net->net->ctx, net->frame, len);
    lock_acquire(&dev->lock);
}

static bool send(struct virtio_net *net)
{
    struct virtio_dev *dev = &net->dev;
    u32 budget = VIRTIO_BUDGET;

    lock_acquire(&dev->lock);
    net->send_again = true;
    if (net->sending) {
        lock_release(&dev->lock);
        return false;
    }
    net->sending = true;
    while (net->send_again && budget) {
        net->send_again = false;
        while (budget && virtio_pop_locked(dev, TX, &net->tx)) {
            chain_send_locked(net);
            virtio_push_locked(dev, TX, net->tx.token, 0);
            budget--;
        }
        virtio_signal_locked(dev, TX);
    }
    net->sending = false;
    lock_release(&dev->lock);
    return !budget;
}

static bool notify(struct virtio_dev *dev, u32 queue)
{
    struct virtio_net *net = net_of(dev);
    bool refused;

    if (queue == TX)
        return send(net);
    lock_acquire(&dev->lock);
    refused = net->refused;
    net->refused = false;
    lock_release(&dev->lock);
    if (refused && net->net && net->net->room)
        net->net->room(net->net->ctx);
    return false;
}

/* True: the frame is dealt with, if only by dropping what can never fit. */
static bool frame_put_locked(struct virtio_net *net, const u8 *frame, size_t len)
{
    struct virtio_dev *dev = &net->dev;
    struct virtq *q = &dev->queue[RX];
    u8 header[VIRTIO_NET_HEADER] = {0};

    if (!virtio_pop_locked(dev, RX, &net->rx))
        return false;
    if (len > net->rx.writable_len || net->rx.writable_len - len < VIRTIO_NET_HEADER) {
        virtq_unpop(q, net->rx.token); /* the next frame may fit */
        net->dropped++;
        return true;
    }
    le16_store(header + HEADER_NUM_BUFFERS, 1);
    if (virtq_chain_write(q, &net->rx, 0, header, sizeof(header)) == sizeof(header))
        len = virtq_chain_write(q, &net->rx, VIRTIO_NET_HEADER, frame, len);
    virtio_push_locked(dev, RX, net->rx.token, (u32)len + VIRTIO_NET_HEADER);
    virtio_signal_locked(dev, RX);
    return true;
}

static bool receive(void *device, const u8 *frame, size_t len)
{
    struct virtio_net *net = device;
    bool taken = true;

    lock_acquire(&net->dev.lock);
    if (link_is_up_locked(net) && len && len <= NET_FRAME_MAX)
        taken = frame_put_locked(net, frame, len);
    if (!taken) {
        net->refused = true;
        net->dropped++;
    }
    lock_release(&net->dev.lock);
    return taken;
}

void virtio_net_set_link(struct virtio_net *net, bool up)
{
    lock_acquire(&net->dev.lock);
    net->config[CONFIG_STATUS] = up ? STATUS_LINK_UP : 0;
    virtio_config_changed_locked(&net->dev);
    lock_release(&net->dev.lock);
}

static const struct virtio_class virtio_net_class = {
    .name = "virtio-net",
    .id = VIRTIO_ID_NET,
    .queue_count = 2,
    .queue_size = {256, 256},
    .notify = notify,
};

void virtio_net_init(struct virtio_net *net, const struct virtio_net_config *config)
{
    static const u8 no_mac[6];
    bool mac = memcmp(config->mac, no_mac, sizeof(no_mac)) != 0;

    memset(net, 0, offsetof(struct virtio_net, frame));
    net->net = config->net;
    memcpy(net->config + CONFIG_MAC, config->mac, sizeof(config->mac));
    net->config[CONFIG_STATUS] = config->net ? STATUS_LINK_UP : 0;
    le16_store(net->config + CONFIG_PAIRS, 1);
    virtio_init(&net->dev, &virtio_net_class, F_STATUS | (mac ? F_MAC : 0), net->config,
                sizeof(net->config));
    if (net->net && net->net->attach)
        net->net->attach(net->net->ctx, receive, net);
}
