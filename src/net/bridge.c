/* SPDX-License-Identifier: BSD-2-Clause */
/* What a switch knows: its ports, who is where, and what a port may send. */
#include "net/bridge.h"

#include "base/endian.h"
#include "net/packet.h"

#include <errno.h>
#include <string.h>

enum { TYPE_IP4 = 0x0800, TYPE_ARP = 0x0806, TYPE_VLAN = 0x8100, TYPE_IP6 = 0x86dd };
enum { PORT_DHCP_SERVER = 67, PORT_DHCP_CLIENT = 68 };
enum { ICMP6_RA = 134, ICMP6_NS = 135, ICMP6_NA = 136, ICMP6_REDIRECT = 137 };
enum { IP6_HOP_OPTIONS = 0, IP6_ROUTING = 43, IP6_FRAGMENT = 44, IP6_OPTIONS = 60 };
enum { WAYS = 4 }; /* places that a MAC address may take in the table */

void bridge_init(struct bridge *b, const struct lab_settings *settings)
{
    memset(b, 0, sizeof(*b));
    b->settings = settings;
    for (u32 i = 0; i < BRIDGE_VM; i++) {
        b->port[i].config.trusted = true;
        b->port[i].config.vlan = LAB_VLAN;
    }
}

struct net_address bridge_address4(const struct bridge *b, u32 host)
{
    struct net_address a = {.family = 4};

    be32_store(a.bytes, b->settings->subnet.base4 + host);
    return a;
}

struct net_address bridge_address6(const struct bridge *b, u64 host)
{
    struct net_address a = {.family = 6};

    memcpy(a.bytes, b->settings->subnet.prefix6, 8);
    be64_store(a.bytes + 8, host);
    return a;
}

int bridge_join(struct bridge *b, const struct lab_port *config)
{
    int free_port = -ENOSPC;

    for (u32 i = BRIDGE_PORTS; i-- > BRIDGE_VM;) {
        if (!b->port[i].used)
            free_port = (int)i;
        else if (!memcmp(b->port[i].config.mac, config->mac, 6) &&
                 b->port[i].config.vlan == config->vlan)
            return -EEXIST;
    }
    if (free_port < 0)
        return free_port;
    b->port[free_port] = (struct bridge_port){.used = true, .config = *config};
    return free_port;
}

void bridge_leave(struct bridge *b, u32 port)
{
    memset(&b->port[port], 0, sizeof(b->port[port]));
    for (u32 i = 0; i < BRIDGE_MACS; i++) {
        if (b->mac[i].port == port)
            b->mac[i].used_ns = 0;
    }
}

static bool claim_fits(const struct bridge_claim *c, const struct net_address *address, u16 vlan)
{
    return c->address.family == address->family && c->vlan == vlan &&
           !memcmp(c->address.bytes, address->bytes, sizeof(c->address.bytes));
}

static struct bridge_claim *claim_find(struct bridge_port *p, const struct net_address *address,
                                       u16 vlan)
{
    for (u32 i = 0; i < BRIDGE_CLAIMS; i++) {
        if (claim_fits(&p->claim[i], address, vlan))
            return &p->claim[i];
    }
    return NULL;
}

static int owner(const struct bridge *b, const struct net_address *address, u16 vlan)
{
    for (u32 i = 0; i < BRIDGE_PORTS; i++) {
        const struct bridge_port *p = &b->port[i];

        if (p->used && claim_find((struct bridge_port *)(uintptr_t)p, address, vlan))
            return (int)i;
    }
    return -1;
}

int bridge_owner(const struct bridge *b, const struct net_address *address)
{
    return owner(b, address, LAB_VLAN);
}

/* Of a port that uses many addresses in turn, as IPv6 hosts do, the oldest is forgotten. */
static bool claim(struct bridge *b, u32 port, const struct net_address *address, u16 vlan,
                  u64 now_ns)
{
    struct bridge_port *p = &b->port[port];
    struct bridge_claim *c = claim_find(p, address, vlan);

    if (!c) {
        if (owner(b, address, vlan) >= 0)
            return false;
        c = p->claim;
        for (u32 i = 1; i < BRIDGE_CLAIMS && c->address.family; i++) {
            if (!p->claim[i].address.family || p->claim[i].used_ns < c->used_ns)
                c = &p->claim[i];
        }
    }
    *c = (struct bridge_claim){*address, vlan, now_ns};
    return true;
}

bool bridge_claim(struct bridge *b, u32 port, const struct net_address *address, u64 now_ns)
{
    return claim(b, port, address, LAB_VLAN, now_ns);
}

/* Of the network, or of the link alone. */
static bool is_of_network(const struct bridge *b, const struct net_address *a)
{
    static const u8 link6[8] = {0xfe, 0x80};
    const struct net_subnet *s = &b->settings->subnet;
    u32 host;

    if (a->family == 6)
        return !memcmp(a->bytes, link6, 8) || !memcmp(a->bytes, s->prefix6, 8);
    host = be32_load(a->bytes) - s->base4;
    return be16_load(a->bytes) == 0xa9fe || (host && host < UINT32_MAX >> s->bits4);
}

static bool may_use(struct bridge *b, u32 port, u8 family, const u8 *bytes, u16 vlan, u64 now_ns)
{
    struct net_address a = {.family = family};

    memcpy(a.bytes, bytes, family == 4 ? 4 : 16);
    if (vlan == LAB_VLAN && !is_of_network(b, &a))
        return false;
    return claim(b, port, &a, vlan, now_ns);
}

static bool is_zero(const u8 *bytes, size_t len)
{
    while (len && !bytes[len - 1])
        len--;
    return !len;
}

static bool arp_is_honest(struct bridge *b, u32 port, const struct bridge_frame *f, u64 now_ns)
{
    const u8 *arp = f->bytes + PACKET_ETHERNET;

    if (f->len < PACKET_ETHERNET + 28 || be32_load(arp) != 0x00010800 ||
        be16_load(arp + 4) != 0x0604)
        return false;
    if (memcmp(arp + 8, b->port[port].config.mac, 6))
        return false;
    return is_zero(arp + 14, 4) || may_use(b, port, 4, arp + 14, f->vlan, now_ns);
}

static bool ip4_is_honest(struct bridge *b, u32 port, const struct bridge_frame *f, u64 now_ns)
{
    struct packet p;

    if (packet_parse(&p, f->bytes, f->len) != PACKET_IP || p.from.family != 4)
        return false;
    if (p.protocol == PACKET_UDP && p.from_port == PORT_DHCP_SERVER)
        return false;
    if (is_zero(p.from.bytes, 4))
        return p.protocol == PACKET_UDP && p.from_port == PORT_DHCP_CLIENT;
    return may_use(b, port, 4, p.from.bytes, f->vlan, now_ns);
}

/* Behind the extension headers; 255: it cannot be told, or is a part of a packet. */
static u8 ip6_upper(const u8 *ip, size_t len, size_t *at)
{
    u8 next = ip[6];

    *at = 40;
    while (next == IP6_HOP_OPTIONS || next == IP6_ROUTING || next == IP6_OPTIONS) {
        if (*at + 8 > len)
            return 255;
        next = ip[*at];
        *at += 8 + ip[*at + 1] * 8u;
    }
    if (next != IP6_FRAGMENT)
        return next;
    /* Neighbours and routers do not speak in fragments (RFC 6980). */
    return *at + 8 > len || ip[*at] == PACKET_ICMP6 ? 255 : IP6_FRAGMENT;
}

static bool icmp6_is_honest(struct bridge *b, u32 port, const struct bridge_frame *f,
                            const u8 *icmp, size_t len, u64 now_ns)
{
    if (!len)
        return false;
    if (icmp[0] == ICMP6_RA || icmp[0] == ICMP6_REDIRECT)
        return false;
    if (icmp[0] == ICMP6_NA)
        return len >= 24 && may_use(b, port, 6, icmp + 8, f->vlan, now_ns);
    return true;
}

static bool ip6_is_honest(struct bridge *b, u32 port, const struct bridge_frame *f, u64 now_ns)
{
    const u8 *ip = f->bytes + PACKET_ETHERNET;
    size_t len = f->len - PACKET_ETHERNET, at;
    u8 upper;

    if (len < 40 || ip[0] >> 4 != 6)
        return false;
    upper = ip6_upper(ip, len, &at);
    if (upper == 255 || (upper == PACKET_ICMP6 &&
                         (at > len || !icmp6_is_honest(b, port, f, ip + at, len - at, now_ns))))
        return false;
    if (!is_zero(ip + 8, 16))
        return may_use(b, port, 6, ip + 8, f->vlan, now_ns);
    /* Whoever has no address asks whether one is free, and so comes to it. */
    if (upper == PACKET_ICMP6 && ip[at] == ICMP6_NS && len - at >= 24)
        (void)may_use(b, port, 6, ip + at + 8, f->vlan, now_ns);
    return ip[24] == 0xff;
}

static bool is_honest(struct bridge *b, u32 port, const struct bridge_frame *f, u64 now_ns)
{
    if (memcmp(f->bytes + 6, b->port[port].config.mac, 6))
        return false;
    switch (be16_load(f->bytes + 12)) {
    case TYPE_ARP:
        return arp_is_honest(b, port, f, now_ns);
    case TYPE_IP4:
        return ip4_is_honest(b, port, f, now_ns);
    case TYPE_IP6:
        return ip6_is_honest(b, port, f, now_ns);
    default:
        return false;
    }
}

static bool in_vlan(const struct bridge_port *p, u16 vlan)
{
    return p->used &&
           (p->config.vlan == vlan || (p->config.trunk && lab_trunk_has(&p->config, vlan)));
}

/* Takes the tag off; offsets that the offload counts move along. */
static bool tag_take(const struct bridge_port *p, struct bridge_frame *f)
{
    u16 tag;

    f->vlan = p->config.vlan;
    if (f->len < PACKET_ETHERNET || be16_load(f->bytes + 12) != TYPE_VLAN)
        return f->len >= PACKET_ETHERNET;
    if (!p->config.trunk || f->len < PACKET_ETHERNET + BRIDGE_TAG)
        return false;
    tag = be16_load(f->bytes + 14) & 0xfff;
    f->vlan = tag ? tag : f->vlan;
    memmove(f->bytes + BRIDGE_TAG, f->bytes, 12);
    f->bytes += BRIDGE_TAG;
    f->len -= BRIDGE_TAG;
    if (f->offload.flags & NET_NEEDS_CSUM) {
        if (f->offload.csum_start < PACKET_ETHERNET + BRIDGE_TAG)
            return false;
        f->offload.csum_start -= BRIDGE_TAG;
    }
    if (f->offload.header_len >= BRIDGE_TAG)
        f->offload.header_len -= BRIDGE_TAG;
    return true;
}

static void tag_put(struct bridge_frame *f)
{
    f->bytes -= BRIDGE_TAG;
    f->len += BRIDGE_TAG;
    memmove(f->bytes, f->bytes + BRIDGE_TAG, 12);
    be16_store(f->bytes + 12, TYPE_VLAN);
    be16_store(f->bytes + 14, f->vlan);
    if (f->offload.flags & NET_NEEDS_CSUM)
        f->offload.csum_start += BRIDGE_TAG;
    if (f->offload.header_len)
        f->offload.header_len += BRIDGE_TAG;
}

static void hand_out(struct bridge *b, u32 port, const struct bridge_frame *f)
{
    struct bridge_port *p = &b->port[port];
    struct bridge_frame out = *f;
    u8 macs[12];

    p->count.out_frames++;
    p->count.out_bytes += f->len;
    if (p->config.vlan == f->vlan) {
        b->deliver(b->ctx, port, &out);
        return;
    }
    memcpy(macs, f->bytes, sizeof(macs));
    tag_put(&out);
    b->deliver(b->ctx, port, &out);
    memcpy(f->bytes, macs, sizeof(macs)); /* where the tag was */
}

static struct bridge_mac *mac_set(struct bridge *b, const u8 *mac, u16 vlan)
{
    u32 hash = (be32_load(mac + 2) ^ vlan ^ be16_load(mac)) * 0x9e3779b1u;

    return &b->mac[(hash >> 16) % (BRIDGE_MACS / WAYS) * WAYS];
}

static void mac_learn(struct bridge *b, u32 port, const u8 *mac, u16 vlan, u64 now_ns)
{
    struct bridge_mac *set = mac_set(b, mac, vlan), *place = set;

    for (u32 i = 0; i < WAYS; i++) {
        if (!memcmp(set[i].mac, mac, 6) && set[i].vlan == vlan) {
            place = &set[i];
            break;
        }
        if (set[i].used_ns < place->used_ns)
            place = &set[i];
    }
    *place = (struct bridge_mac){.vlan = vlan, .port = (u8)port, .used_ns = now_ns};
    memcpy(place->mac, mac, 6);
}

/* -1: not known. A VM's own address is never somewhere else. */
static int mac_find(struct bridge *b, const u8 *mac, u16 vlan, u64 now_ns)
{
    const struct bridge_mac *set = mac_set(b, mac, vlan);

    for (u32 i = 0; i < BRIDGE_PORTS; i++) {
        if (in_vlan(&b->port[i], vlan) && !memcmp(b->port[i].config.mac, mac, 6))
            return (int)i;
    }
    for (u32 i = 0; i < WAYS; i++) {
        if (set[i].used_ns && now_ns - set[i].used_ns < BRIDGE_AGE_NS && set[i].vlan == vlan &&
            !memcmp(set[i].mac, mac, 6))
            return set[i].port;
    }
    return -1;
}

/* What belongs to this host alone does not meet what comes through the tunnel. */
static bool may_meet(u32 from, u32 to)
{
    return from != to && !(from == BRIDGE_TUNNEL && to < BRIDGE_TUNNEL) &&
           !(to == BRIDGE_TUNNEL && from < BRIDGE_TUNNEL);
}

static void forward(struct bridge *b, u32 from, const struct bridge_frame *f, u64 now_ns)
{
    int to = f->bytes[0] & 1 ? -1 : mac_find(b, f->bytes, f->vlan, now_ns);

    if (to >= 0) {
        if (may_meet(from, (u32)to) && in_vlan(&b->port[to], f->vlan))
            hand_out(b, (u32)to, f);
        return;
    }
    for (u32 i = 0; i < BRIDGE_PORTS; i++) {
        /* The service has but one address, which is known. */
        if ((i == BRIDGE_SERVICE && !(f->bytes[0] & 1)) || !may_meet(from, i))
            continue;
        if (in_vlan(&b->port[i], f->vlan))
            hand_out(b, i, f);
    }
}

/* The services of this network are ours: what the uplink says of routers and leases is not. */
static bool uplink_is_quiet(const struct bridge_frame *f)
{
    const u8 *ip = f->bytes + PACKET_ETHERNET;
    struct packet p;

    if (packet_parse(&p, f->bytes, f->len) != PACKET_IP)
        return true;
    if (p.protocol == PACKET_ICMP6 && p.payload < p.len)
        return f->bytes[p.payload] != ICMP6_RA;
    return ip[0] >> 4 != 4 || p.from_port != PORT_DHCP_SERVER;
}

/* Addresses that others use beyond the tunnel are not given away here. */
static void tunnel_note(struct bridge *b, const struct bridge_frame *f, u64 now_ns)
{
    const u8 *arp = f->bytes + PACKET_ETHERNET;

    if (f->vlan == LAB_VLAN && f->len >= PACKET_ETHERNET + 28 &&
        be16_load(f->bytes + 12) == TYPE_ARP && !is_zero(arp + 14, 4))
        (void)may_use(b, BRIDGE_TUNNEL, 4, arp + 14, f->vlan, now_ns);
}

void bridge_input(struct bridge *b, u32 port, struct bridge_frame *f, u64 now_ns)
{
    struct bridge_port *p = &b->port[port];

    f->from = port;
    p->count.in_frames++;
    p->count.in_bytes += f->len;
    if (!tag_take(p, f) || !in_vlan(p, f->vlan) || f->bytes[6] & 1 ||
        (!p->config.trusted && !is_honest(b, port, f, now_ns)) ||
        (port == BRIDGE_UPLINK && !uplink_is_quiet(f))) {
        p->count.refused++;
        return;
    }
    b->note(b->ctx, f);
    if (port == BRIDGE_TUNNEL)
        tunnel_note(b, f, now_ns);
    if (p->config.trusted)
        mac_learn(b, port, f->bytes + 6, f->vlan, now_ns);
    forward(b, port, f, now_ns);
}
