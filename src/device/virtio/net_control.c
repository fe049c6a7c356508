/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control queue of a virtio-net device (VIRTIO 1.2, 5.1.6.5): a command is a class, a number
 * and data; the answer is one byte.
 */
#include "device/virtio/net_control.h"

#include "base/endian.h"
#include "base/mem.h"

enum { CLASS_RX = 0, CLASS_MAC = 1, CLASS_VLAN = 2, CLASS_ANNOUNCE = 3, CLASS_MQ = 4 };
enum { MAC_TABLE_SET = 0, MAC_ADDR_SET = 1 };
enum { VLAN_ADD = 0, VLAN_DEL = 1 };
enum { ANNOUNCE_ACK = 0, MQ_PAIRS_SET = 0 };
enum { HEAD = 2, COMMAND_MAX = 9 }; /* but for tables of addresses; one byte more than any has */

static bool has_locked(const struct virtio_net *net, u64 feature)
{
    return virtio_has_locked(&net->dev, feature);
}

static bool pairs_set_locked(struct virtio_net *net, u16 pairs)
{
    if (!has_locked(net, VIRTIO_NET_F_MQ) || !pairs || pairs > net->pairs)
        return false;
    net->active = pairs;
    memset(net->flow, 0, sizeof(net->flow));
    if (net->server)
        net->server->enable(net->server->ctx, 2 * pairs);
    return true;
}

static bool mode_set_locked(struct virtio_net *net, u8 mode, u8 on)
{
    u64 feature = mode <= NET_FILTER_ALLMULTI ? VIRTIO_NET_F_CTRL_RX : VIRTIO_NET_F_CTRL_RX_EXTRA;

    if (mode > NET_FILTER_NOBCAST || on > 1 || !has_locked(net, feature))
        return false;
    net_filter_switch(&net->filter, (enum net_filter_mode)mode, on);
    return true;
}

/* Reads one of the two tables of a command, at *at, which it moves on. */
static bool table_read_locked(const struct virtio_net *net, u32 queue, u32 *at,
                              struct net_filter_table *table)
{
    const struct virtq *q = &net->dev.queue[queue];
    const struct virtq_chain *chain = &net->ctrl;
    u8 raw[4];
    u64 size;

    if (virtq_chain_read(q, chain, *at, raw, sizeof(raw)) != sizeof(raw))
        return false;
    *at += sizeof(raw);
    size = (u64)le32_load(raw) * 6;
    if (size > chain->readable_len - *at)
        return false;
    table->all = size > sizeof(table->mac);
    table->count = table->all ? 0 : (u32)size / 6;
    if (!table->all && virtq_chain_read(q, chain, *at, table->mac, size) != size)
        return false;
    *at += (u32)size;
    return true;
}

/* Both tables or none. */
static bool tables_set_locked(struct virtio_net *net, u32 queue)
{
    struct net_filter_table unicast, multicast;
    u32 at = HEAD;

    if (!has_locked(net, VIRTIO_NET_F_CTRL_RX) || !table_read_locked(net, queue, &at, &unicast) ||
        !table_read_locked(net, queue, &at, &multicast) || at != net->ctrl.readable_len)
        return false;
    net->filter.unicast = unicast;
    net->filter.multicast = multicast;
    return true;
}

static bool vlan_set_locked(struct virtio_net *net, u8 command, u16 id)
{
    if (command > VLAN_DEL || id >= NET_FILTER_VLANS || !has_locked(net, VIRTIO_NET_F_CTRL_VLAN))
        return false;
    net_filter_set_vlan(&net->filter, id, command == VLAN_ADD);
    return true;
}

static bool mac_set_locked(struct virtio_net *net, const u8 *mac)
{
    if (!has_locked(net, VIRTIO_NET_F_CTRL_MAC_ADDR))
        return false;
    memcpy(net->config + NET_CONFIG_MAC, mac, 6);
    return true;
}

static bool announced_locked(struct virtio_net *net)
{
    net->config[NET_CONFIG_STATUS] &= (u8)~NET_STATUS_ANNOUNCE;
    return has_locked(net, VIRTIO_NET_F_GUEST_ANNOUNCE);
}

static bool command_locked(struct virtio_net *net, u32 queue, const u8 *command, size_t len)
{
    const u8 *data = command + HEAD;

    if (len < HEAD || !has_locked(net, VIRTIO_NET_F_CTRL_VQ))
        return false;
    switch (command[0]) {
    case CLASS_RX:
        return len == HEAD + 1 && mode_set_locked(net, command[1], data[0]);
    case CLASS_MAC:
        if (command[1] == MAC_TABLE_SET)
            return tables_set_locked(net, queue);
        return command[1] == MAC_ADDR_SET && len == HEAD + 6 && mac_set_locked(net, data);
    case CLASS_VLAN:
        return len == HEAD + 2 && vlan_set_locked(net, command[1], le16_load(data));
    case CLASS_ANNOUNCE:
        return len == HEAD && command[1] == ANNOUNCE_ACK && announced_locked(net);
    case CLASS_MQ:
        return len == HEAD + 2 && command[1] == MQ_PAIRS_SET &&
               pairs_set_locked(net, le16_load(data));
    default:
        return false;
    }
}

bool virtio_net_control(struct virtio_net *net, u32 queue)
{
    enum { OK = 0, ERR = 1 };
    struct virtio_dev *dev = &net->dev;
    struct virtq *q = &dev->queue[queue];
    u32 budget = VIRTIO_BUDGET;
    u8 command[COMMAND_MAX], answer;

    lock_acquire(&dev->lock);
    while (budget && virtio_pop_locked(dev, queue, &net->ctrl)) {
        size_t len = virtq_chain_read(q, &net->ctrl, 0, command, sizeof(command));

        answer = command_locked(net, queue, command, len) ? OK : ERR;
        len = virtq_chain_write(q, &net->ctrl, 0, &answer, 1);
        virtio_push_locked(dev, queue, net->ctrl.token, (u32)len);
        budget--;
    }
    virtio_signal_locked(dev, queue);
    lock_release(&dev->lock);
    return !budget;
}
