/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtio network device (VIRTIO 1.2, 5.1): of a pair, queue 2i receives and 2i + 1 transmits; the
 * queue behind the last pair that the driver may use controls.
 *
 * Frames are bytes here: what is in them is the back end's affair. Only the offload header before a
 * frame is looked at; one that breaks the rules drops the frame, which is counted. With several
 * pairs addresses and ports choose one, and any choice is a right one.
 */
#include "device/virtio/net.h"

#include "base/assert.h"
#include "base/endian.h"
#include "base/mem.h"
#include "device/virtio/net_control.h"
#include "device/virtio/net_served.h"

enum { RX = 0, TX = 1 }; /* of a pair */

#define QUEUES (2 * VIRTIO_NET_PAIRS_MAX + 1)
_Static_assert(QUEUES <= VIRTIO_QUEUES_MAX, "pairs and the control queue");

/* Offsets in the header before each frame (5.1.6). */
enum {
    HEADER_FLAGS = 0,
    HEADER_GSO = 1,
    HEADER_LEN = 2,
    HEADER_GSO_SIZE = 4,
    HEADER_CSUM_START = 6,
    HEADER_CSUM_OFFSET = 8,
    HEADER_NUM_BUFFERS = 10,
};

static struct virtio_net *net_of(struct virtio_dev *dev)
{
    return CONTAINER_OF(dev, struct virtio_net, dev);
}

static u32 ctrl_queue_locked(const struct virtio_net *net)
{
    return 2 * (virtio_has_locked(&net->dev, VIRTIO_NET_F_MQ) ? net->pairs : 1);
}

/* Where the IP header lies, its tag skipped; 0: there is none within len. */
static u32 ip_offset(const u8 *frame, size_t len)
{
    u32 at = 14;

    if (len < 38)
        return 0;
    if (be16_load(frame + 12) == 0x8100)
        at = 18;
    return be16_load(frame + at - 2) == 0x0800 || len >= at + 44 ? at : 0;
}

/* The same for both directions of a flow. */
static u32 flow_hash(const u8 *frame, size_t len)
{
    u32 at = ip_offset(frame, len), hash = 0;
    const u8 *ip = frame + at;
    u8 protocol;

    if (!at)
        return 0;
    if (be16_load(ip - 2) == 0x0800) {
        hash = be32_load(ip + 12) ^ be32_load(ip + 16);
        protocol = ip[9];
        /* Parts of a packet have no ports, so that all go one way. */
        at = be16_load(ip + 6) & 0x3fff ? (u32)len : at + (ip[0] & 15) * 4;
    } else if (be16_load(ip - 2) == 0x86dd) {
        for (u32 i = 8; i < 40; i += 4)
            hash ^= be32_load(ip + i);
        protocol = ip[6];
        at += 40;
    } else {
        return 0;
    }
    if ((protocol == 6 || protocol == 17) && at + 4 <= len)
        hash ^= (u32)be16_load(frame + at) ^ be16_load(frame + at + 2);
    return (hash * 0x9e3779b1u) >> 24;
}

/* The pair that a frame is to come in at. */
static u32 pair_choose_locked(const struct virtio_net *net, const struct net_frame *frame)
{
    u32 hash, pair;

    if (net->active < 2)
        return 0;
    hash = flow_hash(frame->bytes, frame->len) % VIRTIO_NET_FLOWS;
    pair = net->flow[hash] ? net->flow[hash] - 1u : hash;
    return pair % net->active;
}

bool virtio_net_is_up_locked(const struct virtio_net *net)
{
    return (net->net || net->server) && (net->config[NET_CONFIG_STATUS] & NET_STATUS_LINK_UP);
}

/* Segmentation as negotiated, with what goes with it. */
static bool gso_is_valid_locked(const struct virtio_net *net, const struct net_offload *o)
{
    u64 feature = o->gso == NET_GSO_TCP4   ? VIRTIO_NET_F_HOST_TSO4
                  : o->gso == NET_GSO_TCP6 ? VIRTIO_NET_F_HOST_TSO6
                                           : 0;

    return feature && virtio_has_locked(&net->dev, feature) && o->gso_size &&
           (o->flags & NET_NEEDS_CSUM);
}

/* What the driver says of a frame of len bytes. False: it breaks the rules. */
static bool offload_take_locked(const struct virtio_net *net, const u8 *header, u32 len,
                                struct net_offload *o)
{
    *o = (struct net_offload){
        .flags = header[HEADER_FLAGS] & NET_NEEDS_CSUM, /* other flags are to be ignored */
        .gso = header[HEADER_GSO],
    };
    if (o->gso != NET_GSO_NONE) {
        u16 hint = le16_load(header + HEADER_LEN);

        o->gso_size = le16_load(header + HEADER_GSO_SIZE);
        o->header_len = hint < len ? hint : (u16)len;
        if (!gso_is_valid_locked(net, o))
            return false;
    }
    if (!o->flags)
        return true;
    o->csum_start = le16_load(header + HEADER_CSUM_START);
    o->csum_offset = le16_load(header + HEADER_CSUM_OFFSET);
    return virtio_has_locked(&net->dev, VIRTIO_NET_F_CSUM) &&
           (u32)o->csum_start + o->csum_offset + 2 <= len;
}

/* Reads the frame of a pair's chain and what is said of it. False: there is nothing to send. */
static bool frame_take_locked(struct virtio_net *net, u32 pair, struct net_frame *frame)
{
    const struct virtq *q = &net->dev.queue[2 * pair + TX];
    const struct virtq_chain *chain = &net->tx[pair].chain;
    u32 len = chain->readable_len;
    u8 header[VIRTIO_NET_HEADER];

    if (!virtio_net_is_up_locked(net) || !net->net->send)
        return false;
    if (len <= VIRTIO_NET_HEADER || len - VIRTIO_NET_HEADER > NET_FRAME_MAX) {
        net->malformed++;
        return false;
    }
    len -= VIRTIO_NET_HEADER;
    if (virtq_chain_read(q, chain, 0, header, sizeof(header)) != sizeof(header) ||
        virtq_chain_read(q, chain, VIRTIO_NET_HEADER, net->frame[pair], len) != len ||
        !offload_take_locked(net, header, len, &frame->offload)) {
        net->malformed++;
        return false;
    }
    frame->bytes = net->frame[pair];
    frame->len = len;
    frame->pair = pair;
    if (net->active > 1)
        net->flow[flow_hash(frame->bytes, len) % VIRTIO_NET_FLOWS] = (u8)(1 + pair);
    return true;
}

/*
 * Sends a pair's chain. The lock is released meanwhile: a loopback delivers from within send.
 * False: the back end has no room.
 */
static bool chain_send_locked(struct virtio_net *net, u32 pair)
{
    struct net_frame frame;
    bool sent;

    if (!frame_take_locked(net, pair, &frame))
        return true;
    lock_release(&net->dev.lock);
    sent = net->net->send(net->net->ctx, &frame);
    lock_acquire(&net->dev.lock);
    return sent;
}

/* Until the queue is empty, the budget spent or the back end full. */
static void queue_send_locked(struct virtio_net *net, u32 pair, u32 *budget)
{
    struct virtio_dev *dev = &net->dev;
    struct virtq_chain *chain = &net->tx[pair].chain;
    u32 queue = 2 * pair + TX;

    for (; *budget && virtio_pop_locked(dev, queue, chain); --*budget) {
        if (!chain_send_locked(net, pair)) {
            virtq_unpop(&dev->queue[queue], chain->token);
            break;
        }
        virtio_push_locked(dev, queue, chain->token, 0);
    }
    virtio_signal_locked(dev, queue);
}

static bool send(struct virtio_net *net, u32 pair)
{
    struct virtio_dev *dev = &net->dev;
    struct virtio_net_tx *tx = &net->tx[pair];
    u32 budget = VIRTIO_BUDGET;

    lock_acquire(&dev->lock);
    tx->again = pair < net->active;
    if (tx->sending) {
        lock_release(&dev->lock);
        return false;
    }
    tx->sending = true;
    while (tx->again && budget) {
        tx->again = false;
        queue_send_locked(net, pair, &budget);
    }
    tx->sending = false;
    lock_release(&dev->lock);
    return !budget;
}

/* The back end has room again. What VIRTIO_BUDGET leaves over waits for the driver's next kick. */
static void ready(void *ctx)
{
    struct virtio_net *net = ctx;

    for (u32 pair = 0; pair < net->pairs; pair++)
        (void)send(net, pair);
}

static bool notify(struct virtio_dev *dev, u32 queue)
{
    struct virtio_net *net = net_of(dev);
    bool refused;
    u32 ctrl;

    lock_acquire(&dev->lock);
    ctrl = ctrl_queue_locked(net);
    refused = queue % 2 == RX && queue < ctrl && net->refused;
    if (refused)
        net->refused = false;
    lock_release(&dev->lock);
    if (queue == ctrl)
        return virtio_net_control(net, queue);
    if (queue > ctrl)
        return false;
    if (net->server)
        return virtio_net_serve(net, queue);
    if (queue % 2 == TX)
        return send(net, queue / 2);
    if (refused && net->net && net->net->room)
        net->net->room(net->net->ctx);
    return false;
}

/* Can the driver take the frame as it is? */
static bool offload_fits_locked(const struct virtio_net *net, const struct net_offload *o)
{
    if ((o->flags & NET_NEEDS_CSUM) && !virtio_has_locked(&net->dev, VIRTIO_NET_F_GUEST_CSUM))
        return false;
    switch (o->gso) {
    case NET_GSO_NONE:
        return true;
    case NET_GSO_TCP4:
        return virtio_has_locked(&net->dev, VIRTIO_NET_F_GUEST_TSO4);
    case NET_GSO_TCP6:
        return virtio_has_locked(&net->dev, VIRTIO_NET_F_GUEST_TSO6);
    default:
        return false;
    }
}

static void header_make_locked(const struct virtio_net *net, const struct net_offload *o,
                               u8 header[VIRTIO_NET_HEADER])
{
    memset(header, 0, VIRTIO_NET_HEADER);
    if (virtio_has_locked(&net->dev, VIRTIO_NET_F_GUEST_CSUM))
        header[HEADER_FLAGS] = o->flags;
    header[HEADER_GSO] = o->gso;
    le16_store(header + HEADER_LEN, o->header_len);
    le16_store(header + HEADER_GSO_SIZE, o->gso_size);
    le16_store(header + HEADER_CSUM_START, o->csum_start);
    le16_store(header + HEADER_CSUM_OFFSET, o->csum_offset);
}

/* The buffers net->merged[0 .. count) go back to the driver's side of the queue. */
static void merged_unpop_locked(struct virtio_net *net, u32 queue, u32 count)
{
    while (count)
        virtq_unpop(&net->dev.queue[queue], net->merged[--count].token);
}

enum put { PUT_DONE, PUT_NO_ROOM, PUT_NEVER };

/* Fills as many buffers as the frame needs; the header, in the first, is written last. */
static enum put frame_put_locked(struct virtio_net *net, const struct net_frame *frame)
{
    struct virtio_dev *dev = &net->dev;
    u32 queue = 2 * pair_choose_locked(net, frame) + RX;
    struct virtq *q = &dev->queue[queue];
    u32 most = virtio_has_locked(dev, VIRTIO_NET_F_MRG_RXBUF) ? VIRTIO_NET_MERGE_MAX : 1;
    u8 header[VIRTIO_NET_HEADER];
    size_t done = 0;
    u32 count = 0;

    while (done < frame->len || !count) {
        struct virtq_chain *chain = count ? &net->rx : &net->first;
        u32 at = count ? 0 : VIRTIO_NET_HEADER;
        size_t n;

        if (count == most || !virtio_pop_locked(dev, queue, chain)) {
            merged_unpop_locked(net, queue, count);
            return count == most ? PUT_NEVER : PUT_NO_ROOM;
        }
        net->merged[count++].token = chain->token;
        if (chain->writable_len <= at) {
            merged_unpop_locked(net, queue, count);
            return PUT_NEVER;
        }
        n = virtq_chain_write(q, chain, at, frame->bytes + done, frame->len - done);
        net->merged[count - 1].written = (u32)n + at;
        done += n;
    }
    header_make_locked(net, &frame->offload, header);
    le16_store(header + HEADER_NUM_BUFFERS, (u16)count);
    (void)virtq_chain_write(q, &net->first, 0, header, sizeof(header));
    virtio_push_all_locked(dev, queue, net->merged, count);
    virtio_signal_locked(dev, queue);
    return PUT_DONE;
}

/* A server of the queues delivers what it likes: there the driver's filters are advice. */
static bool is_wanted_locked(const struct virtio_net *net, const struct net_frame *frame)
{
    const struct virtio_dev *dev = &net->dev;
    const u8 *own = virtio_has_locked(dev, VIRTIO_NET_F_MAC) ? net->config + NET_CONFIG_MAC : NULL;

    return net_filter_wants(&net->filter, own, virtio_has_locked(dev, VIRTIO_NET_F_CTRL_VLAN),
                            frame->bytes, frame->len);
}

/* True: the frame is dealt with, if only by dropping what is not wanted or can never fit. */
static bool receive(void *ctx, const struct net_frame *frame)
{
    struct virtio_net *net = ctx;
    enum put put = PUT_DONE;

    lock_acquire(&net->dev.lock);
    if (virtio_net_is_up_locked(net) && frame->len && frame->len <= NET_FRAME_MAX &&
        is_wanted_locked(net, frame))
        put = offload_fits_locked(net, &frame->offload) ? frame_put_locked(net, frame) : PUT_NEVER;
    if (put == PUT_NO_ROOM)
        net->refused = true;
    if (put == PUT_NEVER)
        net->dropped++;
    lock_release(&net->dev.lock);
    return put != PUT_NO_ROOM;
}

void virtio_net_set_link(struct virtio_net *net, bool up)
{
    lock_acquire(&net->dev.lock);
    net->config[NET_CONFIG_STATUS] = up ? NET_STATUS_LINK_UP : 0;
    virtio_config_changed_locked(&net->dev);
    lock_release(&net->dev.lock);
}

void virtio_net_announce(struct virtio_net *net)
{
    lock_acquire(&net->dev.lock);
    if (virtio_has_locked(&net->dev, VIRTIO_NET_F_GUEST_ANNOUNCE) && virtio_net_is_up_locked(net)) {
        net->config[NET_CONFIG_STATUS] |= NET_STATUS_ANNOUNCE;
        virtio_config_changed_locked(&net->dev);
    }
    lock_release(&net->dev.lock);
}

static void link_changed(void *ctx, bool up)
{
    virtio_net_set_link(ctx, up);
}

static void announce(void *ctx)
{
    virtio_net_announce(ctx);
}

static void reset_locked(struct virtio_dev *dev)
{
    struct virtio_net *net = net_of(dev);

    /* refused stays: a frame may wait for a driver to come. */
    net->active = 1;
    memset(net->flow, 0, sizeof(net->flow));
    net_filter_reset(&net->filter);
    net->config[NET_CONFIG_STATUS] &= (u8)~NET_STATUS_ANNOUNCE;
    if (net->server)
        net->server->stop(net->server->ctx);
}

/* A queue went down by itself; the others go on with the next kick. */
static void drain(struct virtio_dev *dev)
{
    struct virtio_net *net = net_of(dev);

    lock_acquire(&dev->lock);
    if (net->server)
        net->server->stop(net->server->ctx);
    lock_release(&dev->lock);
}

static const struct virtio_class virtio_net_class = {
    .name = "virtio-net",
    .id = VIRTIO_ID_NET,
    .queue_count = QUEUES,
    .queue_size = {[0 ... QUEUES - 1] = 256},
    .notify = notify,
    .reset_locked = reset_locked,
    .drain = drain,
};

static u64 net_features(const struct virtio_net_config *config)
{
    static const u8 no_mac[6];
    u64 f = VIRTIO_NET_F_STATUS | VIRTIO_NET_F_MRG_RXBUF | VIRTIO_NET_F_CTRL_VQ |
            VIRTIO_NET_F_CTRL_RX | VIRTIO_NET_F_GUEST_ANNOUNCE;
    u32 can = config->net ? config->net->can : 0;

    if (memcmp(config->mac, no_mac, sizeof(no_mac)))
        f |= VIRTIO_NET_F_MAC | VIRTIO_NET_F_CTRL_MAC_ADDR;
    if (can & NET_CAN_CSUM)
        f |= VIRTIO_NET_F_CSUM | VIRTIO_NET_F_GUEST_CSUM;
    if (can & NET_CAN_TSO)
        f |= VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6 | VIRTIO_NET_F_GUEST_TSO4 |
             VIRTIO_NET_F_GUEST_TSO6;
    if (config->net && config->net->mtu)
        f |= VIRTIO_NET_F_MTU;
    if (config->server)
        f = (f & ~VIRTIO_NET_F_MRG_RXBUF) | (config->server->features & VIRTIO_NET_SERVED_FEATURES);
    else
        f |= VIRTIO_NET_F_CTRL_RX_EXTRA | VIRTIO_NET_F_CTRL_VLAN;
    if (config->pairs > 1)
        f |= VIRTIO_NET_F_MQ;
    return f;
}

void virtio_net_init(struct virtio_net *net, const struct virtio_net_config *config)
{
    struct net_device device = {receive, ready, link_changed, announce, net};

    memset(net, 0, offsetof(struct virtio_net, frame));
    net->net = config->net;
    memcpy(net->config + NET_CONFIG_MAC, config->mac, sizeof(config->mac));
    net->server = config->server;
    net->config[NET_CONFIG_STATUS] = config->net || config->server ? NET_STATUS_LINK_UP : 0;
    net->pairs = config->pairs ? config->pairs : 1;
    net->active = 1;
    net_filter_reset(&net->filter);
    ASSERT(net->pairs <= VIRTIO_NET_PAIRS_MAX);
    le16_store(net->config + NET_CONFIG_PAIRS, (u16)net->pairs);
    if (config->net)
        le16_store(net->config + NET_CONFIG_MTU, config->net->mtu);
    virtio_init(&net->dev, &virtio_net_class, net_features(config), net->config,
                sizeof(net->config));
    virtio_limit_queues(&net->dev, 2 * net->pairs + 1);
    if (net->net && net->net->attach)
        net->net->attach(net->net->ctx, &device);
    if (net->server)
        virtio_net_served_init(net);
}
