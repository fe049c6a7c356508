/* SPDX-License-Identifier: BSD-2-Clause */
/* Which frames a driver wants; see net_filter.h. */
#include "device/virtio/net_filter.h"

#include "base/bits.h"
#include "base/endian.h"
#include "base/mem.h"

enum { MAC = 6, TYPE_AT = 12, TAG_AT = 14, TYPE_VLAN = 0x8100, VLAN_MASK = 0xfff };

void net_filter_reset(struct net_filter *f)
{
    memset(f, 0, sizeof(*f));
    net_filter_switch(f, NET_FILTER_PROMISC, true);
}

void net_filter_switch(struct net_filter *f, enum net_filter_mode mode, bool on)
{
    u32 bit = 1u << mode;

    f->modes = on ? f->modes | bit : f->modes & ~bit;
}

void net_filter_set_vlan(struct net_filter *f, u16 id, bool on)
{
    u8 bit = (u8)(1u << id % 8);

    f->vlan[id / 8] = (u8)(on ? f->vlan[id / 8] | bit : f->vlan[id / 8] & ~bit);
}

static bool is(const struct net_filter *f, enum net_filter_mode mode)
{
    return f->modes >> mode & 1;
}

static bool table_has(const struct net_filter_table *t, const u8 *mac)
{
    for (u32 i = 0; i < t->count; i++) {
        if (!memcmp(t->mac[i], mac, MAC))
            return true;
    }
    return t->all;
}

/* A tag of VLAN 0 has only a priority (IEEE 802.1Q, 9.6), and such frames belong to no VLAN. */
static bool vlan_wanted(const struct net_filter *f, const u8 *frame, size_t len)
{
    u16 id;

    if (len < TAG_AT + 2 || be16_load(frame + TYPE_AT) != TYPE_VLAN)
        return true;
    id = be16_load(frame + TAG_AT) & VLAN_MASK;
    return !id || f->vlan[id / 8] >> id % 8 & 1;
}

/* What forbids goes before what allows. */
bool net_filter_wants(const struct net_filter *f, const u8 *own, bool vlans, const u8 *frame,
                      size_t len)
{
    static const u8 broadcast[MAC] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

    if (is(f, NET_FILTER_PROMISC) || len < MAC)
        return true;
    if (vlans && !vlan_wanted(f, frame, len))
        return false;
    if (!memcmp(frame, broadcast, MAC))
        return !is(f, NET_FILTER_NOBCAST);
    if (frame[0] & 1)
        return !is(f, NET_FILTER_NOMULTI) &&
               (is(f, NET_FILTER_ALLMULTI) || table_has(&f->multicast, frame));
    if (is(f, NET_FILTER_NOUNI))
        return false;
    return is(f, NET_FILTER_ALLUNI) || !own || !memcmp(frame, own, MAC) ||
           table_has(&f->unicast, frame);
}
