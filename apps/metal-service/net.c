/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-net: a switch for each join. Addresses are the configuration's: a frame goes to the one
 * whose address it has, or to all if it is for many, and only if it comes from the sender's own
 * address. Whoever has no buffers for it loses it.
 */
#include "service.h"

#include "base/mem.h"
#include "device/virtio/net.h"

#define MAC    6
#define HEADER 14 /* bytes of an Ethernet header */

struct nic {
    struct virtio_net net;
    struct net back;
    struct net_device device;
    const char *join;
    u8 mac[MAC];
};

static struct nic nics[SERVICE_DEVICES];
static u32 nic_count;

static bool nic_send(void *ctx, const struct net_frame *frame)
{
    const struct nic *from = ctx;
    const u8 *to = frame->bytes;

    if (frame->len < HEADER || memcmp(to + MAC, from->mac, MAC))
        return true;
    for (u32 i = 0; i < nic_count; i++) {
        const struct nic *nic = &nics[i];

        if (nic != from && joined(nic->join, from->join) &&
            (to[0] & 1 || !memcmp(to, nic->mac, MAC)))
            (void)nic->device.receive(nic->device.ctx, frame);
    }
    return true;
}

static void nic_attach(void *ctx, const struct net_device *device)
{
    struct nic *nic = ctx;

    nic->device = *device;
}

struct virtio_dev *net_make(const struct node *node)
{
    struct nic *nic = &nics[nic_count];
    const u8 *mac = node_bytes(node, "local-mac-address", MAC);
    struct virtio_net_config config = {.net = &nic->back};

    if (nic_count == SERVICE_DEVICES || !mac)
        return NULL;
    nic->back = (struct net){.send = nic_send, .attach = nic_attach, .ctx = nic};
    nic->join = node->join;
    memcpy(nic->mac, mac, MAC);
    memcpy(config.mac, mac, MAC);
    virtio_net_init(&nic->net, &config);
    nic_count++;
    return virtio_net_dev(&nic->net);
}
