/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of a guest's frames may go on into the user-mode network.
 *
 * The network behind opens a TCP connection on a SYN without ACK alone, so these are judged and the
 * rest of a connection passes; UDP and ICMP are judged packet by packet. Addresses that would mean
 * the host itself (127.0.0.0/8, ::ffff:0:0/96, ...) never pass: the host is reached by its own name
 * in the guest's network, 10.0.2.2 or fec0::2, which the rules for 127.0.0.1 and ::1 fit as well.
 */
#include "net/policy.h"

#include "base/endian.h"

#include <string.h>

enum { PORT_DHCP = 67, PORT_DHCP6 = 547 };

void policy_init(struct policy *policy, const struct net_settings *settings)
{
    memset(policy, 0, sizeof(*policy));
    policy->settings = settings;
    policy->subnet = net_settings_subnet(settings);
}

static bool is_multicast(const struct net_address *a)
{
    return a->family == 4 ? a->bytes[0] >> 4 == 14 : a->bytes[0] == 0xff;
}

/* Names of the host as the host itself uses them, and what no packet may be sent to. */
static bool is_unspeakable(const struct net_address *a)
{
    static const u8 zero[10];

    if (a->family == 4)
        return a->bytes[0] == 0 || a->bytes[0] == 127 || a->bytes[0] >= 240;
    return !memcmp(a->bytes, zero, sizeof(zero)) &&
           ((a->bytes[10] == 0xff && a->bytes[11] == 0xff) ||
            (a->bytes[10] == 0 && a->bytes[11] == 0));
}

/* In the guest's own network; its last part, or -1. */
static s64 local_host(const struct policy *policy, const struct net_address *a)
{
    static const u8 link6[8] = {0xfe, 0x80};
    const struct net_subnet *s = &policy->subnet;

    if (a->family == 4) {
        u32 host = be32_load(a->bytes) - s->base4;

        return host >> (32 - s->bits4) ? -1 : (s64)host;
    }
    if (memcmp(a->bytes, s->prefix6, sizeof(s->prefix6)) && memcmp(a->bytes, link6, sizeof(link6)))
        return -1;
    return be64_load(a->bytes + 8) == POLICY_NAMES ? POLICY_NAMES : POLICY_HOST;
}

static bool is_broadcast(const struct policy *policy, const struct net_address *a)
{
    return a->family == 4 && local_host(policy, a) == UINT32_MAX >> policy->subnet.bits4;
}

/* What keeps the guest's network itself going: DHCP, neighbours, routers. */
static bool is_housekeeping(const struct policy *policy, const struct packet *p)
{
    bool to_all = p->to.family == 4 && be32_load(p->to.bytes) == UINT32_MAX;

    if (p->protocol == PACKET_UDP && p->to.family == 4)
        return p->to_port == PORT_DHCP && (to_all || local_host(policy, &p->to) == POLICY_HOST);
    if (p->to.family == 4)
        return false;
    if (p->protocol == PACKET_UDP)
        return p->to_port == PORT_DHCP6 && is_multicast(&p->to);
    return p->protocol == PACKET_ICMP6 && p->payload < p->len && p->bytes[p->payload] >= 133 &&
           p->bytes[p->payload] <= 136;
}

static u32 flow_slot(const struct net_address *peer, u16 peer_port, u16 guest_port)
{
    u32 hash = packet_sum(0, peer->bytes, sizeof(peer->bytes));

    return (hash + peer_port * 31u + guest_port * 17u) % POLICY_FLOWS;
}

static bool flow_is_known(const struct policy *policy, const struct packet *p)
{
    const struct policy_flow *f =
        &policy->flow[flow_slot(&p->to, (u16)p->to_port, (u16)p->from_port)];

    return f->guest_port && f->guest_port == p->from_port && f->peer_port == p->to_port &&
           !memcmp(&f->peer, &p->to, sizeof(f->peer));
}

static bool rules_allow(const struct policy *policy, const struct packet *p)
{
    struct net_address names[2] = {p->to, {.family = p->to.family}};
    s64 host = local_host(policy, &p->to);
    bool is_gateway = host >= 0 && host != POLICY_NAMES;
    int port = p->to_port;

    if (!policy->settings->rule_count)
        return true;
    if (is_gateway && p->to.family == 4)
        be32_store(names[1].bytes, 0x7f000001);
    else if (is_gateway)
        names[1].bytes[15] = 1;
    if (p->protocol == PACKET_ICMP || p->protocol == PACKET_ICMP6)
        port = NET_PORT_NONE;
    if (net_settings_allow(policy->settings, names, is_gateway ? 2 : 1, port))
        return true;
    return p->protocol == PACKET_UDP && p->to_port >= 0 && flow_is_known(policy, p);
}

enum verdict policy_judge(struct policy *policy, struct packet *packet, const u8 *bytes, size_t len)
{
    enum packet_kind kind = packet_parse(packet, bytes, len);

    if (kind == PACKET_ARP)
        return VERDICT_PASS;
    if (kind == PACKET_IP && is_housekeeping(policy, packet))
        return VERDICT_PASS;
    if (kind != PACKET_IP || is_multicast(&packet->to) || is_unspeakable(&packet->to) ||
        is_broadcast(policy, &packet->to)) {
        policy->dropped++;
        return VERDICT_DROP;
    }
    if (packet->protocol == PACKET_TCP && !packet->tcp_opens && packet->to_port >= 0)
        return VERDICT_PASS;
    if (rules_allow(policy, packet))
        return VERDICT_PASS;
    policy->refused++;
    return VERDICT_REFUSE;
}

static bool is_forwarded(const struct net_settings *settings, int port)
{
    for (u32 i = 0; i < settings->forward_count; i++) {
        if (settings->forward[i].udp && settings->forward[i].guest_port == port)
            return true;
    }
    return false;
}

void policy_note(struct policy *policy, const u8 *bytes, size_t len)
{
    struct packet p;
    struct policy_flow *f;

    if (!policy->settings->rule_count || packet_parse(&p, bytes, len) != PACKET_IP ||
        p.protocol != PACKET_UDP || p.to_port < 0 || !is_forwarded(policy->settings, p.to_port))
        return;
    f = &policy->flow[flow_slot(&p.from, (u16)p.from_port, (u16)p.to_port)];
    *f = (struct policy_flow){p.from, (u16)p.from_port, (u16)p.to_port};
}
