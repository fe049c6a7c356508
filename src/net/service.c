/* SPDX-License-Identifier: BSD-2-Clause */
/* What a network gives its VMs: who is who (ARP, neighbours), echo, router advertisements. */
#include "net/service.h"

#include "base/bits.h"
#include "base/endian.h"

#include <string.h>

enum { TYPE_IP4 = 0x0800, TYPE_ARP = 0x0806, TYPE_IP6 = 0x86dd };
enum { IP4_HEADER = 20, IP6_HEADER = 40, UDP_HEADER = 8 };
enum { PORT_NAMES = 53, PORT_DHCP = 67 };
enum { ICMP_ECHO_REPLY = 0, ICMP_ECHO = 8 };
enum { ICMP6_ECHO = 128, ICMP6_ECHO_REPLY = 129, ICMP6_RS = 133, ICMP6_RA = 134 };
enum { ICMP6_NS = 135, ICMP6_NA = 136 };

static const u8 service_mac[6] = {0x52, 0x57, 0x63, 0x6f, 0x73, 0x01};
static const u8 all_nodes[16] = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

static struct net_address link_local(u8 host)
{
    return (struct net_address){6, {0xfe, 0x80, [15] = host}};
}

void service_init(struct service *s, struct bridge *bridge, u64 random)
{
    memset(s, 0, sizeof(*s));
    s->bridge = bridge;
    s->random = random | 1;
    bridge->port[BRIDGE_SERVICE].used = true;
    memcpy(bridge->port[BRIDGE_SERVICE].config.mac, service_mac, 6);
    /* Nobody else may have these, whether there is an uplink or not. */
    for (u32 host = SERVICE_HOST; host <= SERVICE_NAMES; host++) {
        u32 port = host == SERVICE_HOST ? BRIDGE_SERVICE : BRIDGE_UPLINK;
        struct net_address a[3] = {bridge_address4(bridge, host), bridge_address6(bridge, host),
                                   link_local((u8)host)};

        bridge->port[port].used = true;
        for (u32 i = 0; i < 3; i++)
            (void)bridge_claim(bridge, port, &a[i], 1);
    }
    bridge->port[BRIDGE_UPLINK].used = bridge->settings->nat;
}

u32 service_random(struct service *s)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return (u32)(s->random >> 24);
}

static size_t heads(const struct service_packet *p)
{
    return PACKET_ETHERNET + (p->to.family == 4 ? IP4_HEADER : IP6_HEADER) +
           (p->protocol == PACKET_UDP ? UDP_HEADER : 0);
}

u8 *service_payload(struct service *s, const struct service_packet *p, size_t *room)
{
    *room = SERVICE_OUT - heads(p);
    return s->out + BRIDGE_TAG + heads(p);
}

static void send_frame(struct service *s, size_t len, u64 now_ns)
{
    struct bridge_frame f = {.bytes = s->out + BRIDGE_TAG, .len = len};

    bridge_input(s->bridge, BRIDGE_SERVICE, &f, now_ns);
}

static void ip_head(u8 *ip, const struct service_packet *p, size_t len)
{
    if (p->to.family == 4) {
        memset(ip, 0, IP4_HEADER);
        ip[0] = 0x45;
        be16_store(ip + 2, (u16)(IP4_HEADER + len));
        ip[8] = 64;
        ip[9] = p->protocol;
        memcpy(ip + 12, p->from.bytes, 4);
        memcpy(ip + 16, p->to.bytes, 4);
        be16_store(ip + 10, (u16)~packet_sum(0, ip, IP4_HEADER));
        return;
    }
    memset(ip, 0, IP6_HEADER);
    ip[0] = 0x60;
    be16_store(ip + 4, (u16)len);
    ip[6] = p->protocol;
    ip[7] = 255;
    memcpy(ip + 8, p->from.bytes, 16);
    memcpy(ip + 24, p->to.bytes, 16);
}

void service_send(struct service *s, const struct service_packet *p, size_t len, u64 now_ns)
{
    u8 *frame = s->out + BRIDGE_TAG, *ip = frame + PACKET_ETHERNET;
    u8 *upper = ip + (p->to.family == 4 ? IP4_HEADER : IP6_HEADER);
    u8 *sum = upper + (p->protocol == PACKET_UDP ? 6 : 2);
    u32 start = 0;

    memcpy(frame, p->to_mac, 6);
    memcpy(frame + 6, service_mac, 6);
    be16_store(frame + 12, p->to.family == 4 ? TYPE_IP4 : TYPE_IP6);
    if (p->protocol == PACKET_UDP) {
        len += UDP_HEADER;
        be16_store(upper, p->from_port);
        be16_store(upper + 2, p->to_port);
        be16_store(upper + 4, (u16)len);
    }
    ip_head(ip, p, len);
    if (p->protocol != PACKET_ICMP)
        start = packet_pseudo_sum(ip, p->protocol, (u32)len);
    be16_store(sum, 0);
    be16_store(sum, (u16)~packet_sum(start, upper, len));
    send_frame(s, (size_t)(upper - frame) + len, now_ns);
}

static bool is_mine(const struct service *s, const struct net_address *a)
{
    return bridge_owner(s->bridge, a) == BRIDGE_SERVICE;
}

static void arp_input(struct service *s, const struct bridge_frame *f, u64 now_ns)
{
    const u8 *arp = f->bytes + PACKET_ETHERNET;
    struct net_address wanted = {.family = 4};
    u8 *out = s->out + BRIDGE_TAG, *answer = out + PACKET_ETHERNET;

    if (f->len < PACKET_ETHERNET + 28 || be16_load(arp + 6) != 1)
        return;
    memcpy(wanted.bytes, arp + 24, 4);
    if (!is_mine(s, &wanted))
        return;
    memcpy(out, f->bytes + 6, 6);
    memcpy(out + 6, service_mac, 6);
    be16_store(out + 12, TYPE_ARP);
    memcpy(answer, arp, 6);
    be16_store(answer + 6, 2);
    memcpy(answer + 8, service_mac, 6);
    memcpy(answer + 14, wanted.bytes, 4);
    memcpy(answer + 18, arp + 8, 10);
    send_frame(s, PACKET_ETHERNET + 28, now_ns);
}

/* The answer to what came in packet: back to where it came from. */
static struct service_packet answer_to(const struct bridge_frame *f, const struct packet *p)
{
    struct service_packet a = {.from = p->to, .to = p->from, .protocol = p->protocol};

    memcpy(a.to_mac, f->bytes + 6, 6);
    return a;
}

static void echo(struct service *s, const struct bridge_frame *f, const struct packet *p, u8 type,
                 u64 now_ns)
{
    struct service_packet a = answer_to(f, p);
    size_t room, len = p->len - p->payload;
    u8 *out = service_payload(s, &a, &room);

    if (len < 8 || len > room || !is_mine(s, &p->to))
        return;
    memcpy(out, p->bytes + p->payload, len);
    out[0] = type;
    service_send(s, &a, len, now_ns);
}

static void solicited(struct service *s, const struct bridge_frame *f, const struct packet *p,
                      u64 now_ns)
{
    struct service_packet a = answer_to(f, p);
    const u8 *icmp = p->bytes + p->payload;
    struct net_address wanted = {.family = 6};
    bool dad;
    size_t room;
    u8 *out = service_payload(s, &a, &room);

    if (p->len - p->payload < 24)
        return;
    memcpy(wanted.bytes, icmp + 8, 16);
    if (!is_mine(s, &wanted))
        return;
    dad = !be64_load(a.to.bytes) && !be64_load(a.to.bytes + 8);
    a.from = wanted;
    if (dad) /* somebody else wants the address: all may hear that it is taken */
        memcpy(a.to.bytes, all_nodes, 16);
    memset(out, 0, 32);
    out[0] = ICMP6_NA;
    out[4] = dad ? 0x20 : 0x60;
    memcpy(out + 8, wanted.bytes, 16);
    out[24] = 2;
    out[25] = 1;
    memcpy(out + 26, service_mac, 6);
    service_send(s, &a, 32, now_ns);
}

/* A prefix for addresses of one's own making, without an end (RFC 4861, 4.6.2). */
static u8 *option_prefix(const struct service *s, u8 *o)
{
    memset(o, 0, 32);
    o[0] = 3;
    o[1] = 4;
    o[2] = 64;
    o[3] = 0xc0;
    be32_store(o + 4, UINT32_MAX);
    be32_store(o + 8, UINT32_MAX);
    memcpy(o + 16, s->bridge->settings->subnet.prefix6, 8);
    return o + 32;
}

/* The name server and the domain (RFC 8106, 5). */
static u8 *option_names(const struct service *s, u8 *o)
{
    struct net_address host = bridge_address6(s->bridge, SERVICE_HOST);
    const char *domain = s->bridge->settings->name;
    size_t len = strlen(domain), whole = align_up(8 + len + 2, 8);

    memset(o, 0, 24 + whole);
    o[0] = 25;
    o[1] = 3;
    be32_store(o + 4, UINT32_MAX);
    memcpy(o + 8, host.bytes, 16);
    o += 24;
    o[0] = 31;
    o[1] = (u8)(whole / 8);
    be32_store(o + 4, UINT32_MAX);
    o[8] = (u8)len;
    memcpy(o + 9, domain, len);
    return o + whole;
}

static void advertise(struct service *s, u64 now_ns)
{
    const struct lab_settings *settings = s->bridge->settings;
    struct service_packet a = {.to_mac = {0x33, 0x33, 0, 0, 0, 1},
                               /* The router is whom the advertisement comes from. */
                               .from = link_local(settings->nat ? SERVICE_ROUTER : SERVICE_HOST),
                               .to = {.family = 6},
                               .protocol = PACKET_ICMP6};
    size_t room;
    u8 *out = service_payload(s, &a, &room), *o = out + 16;

    memcpy(a.to.bytes, all_nodes, 16);
    memset(out, 0, 16);
    out[0] = ICMP6_RA;
    out[4] = 64;
    be16_store(out + 6, settings->nat ? 1800 : 0);
    memset(o, 0, 8);
    o[0] = 5;
    o[1] = 1;
    be32_store(o + 4, settings->mtu);
    o = option_names(s, option_prefix(s, o + 8));
    service_send(s, &a, (size_t)(o - out), now_ns);
    s->advertised_ns = now_ns;
}

void service_tick(struct service *s, u64 now_ns)
{
    if (now_ns - s->advertised_ns >= SERVICE_RA_NS)
        advertise(s, now_ns);
}

void service_leave(struct service *s, u32 port)
{
    for (u32 i = 0; i < SERVICE_LEASES; i++) {
        if (s->lease[i].port == port)
            s->lease[i] = (struct service_lease){0};
    }
}

static void udp_input(struct service *s, const struct bridge_frame *f, const struct packet *p,
                      u64 now_ns)
{
    if (p->fragment || p->to_port < 0)
        return;
    if (p->to_port == PORT_DHCP && p->to.family == 4)
        dhcp_input(s, f, p->bytes + p->payload + UDP_HEADER, p->len - p->payload - UDP_HEADER,
                   now_ns);
    else if (!is_mine(s, &p->to))
        return;
    else if (f->from == BRIDGE_UPLINK)
        names_answer(s, p, now_ns);
    else if (p->to_port == PORT_NAMES)
        names_query(s, f, p, now_ns);
}

static void icmp6_input(struct service *s, const struct bridge_frame *f, const struct packet *p,
                        u64 now_ns)
{
    switch (p->payload < p->len ? p->bytes[p->payload] : 0) {
    case ICMP6_ECHO:
        echo(s, f, p, ICMP6_ECHO_REPLY, now_ns);
        break;
    case ICMP6_NS:
        solicited(s, f, p, now_ns);
        break;
    case ICMP6_RS:
        advertise(s, now_ns);
        break;
    }
}

void service_input(struct service *s, const struct bridge_frame *f, u64 now_ns)
{
    struct packet p;

    if (f->vlan != LAB_VLAN || f->from == BRIDGE_TUNNEL)
        return;
    switch (packet_parse(&p, f->bytes, f->len)) {
    case PACKET_ARP:
        arp_input(s, f, now_ns);
        break;
    case PACKET_IP:
        if (p.protocol == PACKET_UDP)
            udp_input(s, f, &p, now_ns);
        else if (p.protocol == PACKET_ICMP && p.to.family == 4 && !p.fragment &&
                 p.payload < p.len && p.bytes[p.payload] == ICMP_ECHO)
            echo(s, f, &p, ICMP_ECHO_REPLY, now_ns);
        else if (p.protocol == PACKET_ICMP6 && p.to.family == 6)
            icmp6_input(s, f, &p, now_ns);
        break;
    default:
        break;
    }
}
