/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which frames a driver wants (VIRTIO 1.2, 5.1.6.5.1 to 5.1.6.5.3). After a reset these are all, as
 * a driver need not know of filters; it begins to choose when it puts promiscuous mode off.
 */
#ifndef COSM_DEVICE_VIRTIO_NET_FILTER_H
#define COSM_DEVICE_VIRTIO_NET_FILTER_H

#include "base/types.h"

#define NET_FILTER_MACS  64 /* of each kind; more of them stand for all */
#define NET_FILTER_VLANS 4096

/* Commands of the class RX, which are switches. */
enum net_filter_mode {
    NET_FILTER_PROMISC,
    NET_FILTER_ALLMULTI,
    NET_FILTER_ALLUNI,
    NET_FILTER_NOMULTI,
    NET_FILTER_NOUNI,
    NET_FILTER_NOBCAST,
};

struct net_filter_table {
    u32 count;
    bool all; /* they were too many */
    u8 mac[NET_FILTER_MACS][6];
};

struct net_filter {
    u32 modes; /* a bit each */
    struct net_filter_table unicast, multicast;
    u8 vlan[NET_FILTER_VLANS / 8];
};

void net_filter_reset(struct net_filter *filter);

void net_filter_switch(struct net_filter *filter, enum net_filter_mode mode, bool on);

/* id: 0..NET_FILTER_VLANS - 1. */
void net_filter_set_vlan(struct net_filter *filter, u16 id, bool on);

/* own: the device's address, NULL: only the driver knows it. vlans: tags count, too. */
bool net_filter_wants(const struct net_filter *filter, const u8 *own, bool vlans, const u8 *frame,
                      size_t len);

#endif
