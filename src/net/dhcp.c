/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses of a network for its VMs: the server of RFC 2131. */
#include "net/service.h"

#include "base/endian.h"

#include <string.h>

enum { PORT_SERVER = 67, PORT_CLIENT = 68 };
enum { DISCOVER = 1, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM };
enum {
    OPT_MASK = 1,
    OPT_ROUTER = 3,
    OPT_NAMES = 6,
    OPT_HOSTNAME = 12,
    OPT_DOMAIN = 15,
    OPT_MTU = 26,
    OPT_REQUESTED = 50,
    OPT_LEASE = 51,
    OPT_TYPE = 53,
    OPT_SERVER = 54,
    OPT_END = 255,
};
/* Offsets in a message (section 2). */
enum { AT_OP = 0, AT_XID = 4, AT_FLAGS = 10, AT_CIADDR = 12, AT_YIADDR = 16, AT_SIADDR = 20 };
enum { AT_CHADDR = 28, AT_COOKIE = 236, AT_OPTIONS = 240 };
enum { SHORTEST = 300, LEASE_S = 3600 };
#define COOKIE 0x63825363u

struct dhcp_request {
    u8 type;
    u32 wanted; /* an IPv4 address, 0: none */
    u32 server;
};

/* False: it is no request. */
static bool request_parse(struct dhcp_request *r, const u8 *bytes, size_t len)
{
    size_t at = AT_OPTIONS;

    *r = (struct dhcp_request){0};
    if (len < AT_OPTIONS || bytes[AT_OP] != 1 || bytes[1] != 1 || bytes[2] != 6 ||
        be32_load(bytes + AT_COOKIE) != COOKIE)
        return false;
    while (at < len && bytes[at] != OPT_END) {
        u8 size;

        if (!bytes[at]) {
            at++;
            continue;
        }
        if (at + 2 > len || at + 2 + bytes[at + 1] > len)
            return false;
        size = bytes[at + 1];
        if (bytes[at] == OPT_TYPE && size == 1)
            r->type = bytes[at + 2];
        else if (bytes[at] == OPT_REQUESTED && size == 4)
            r->wanted = be32_load(bytes + at + 2);
        else if (bytes[at] == OPT_SERVER && size == 4)
            r->server = be32_load(bytes + at + 2);
        at += 2u + size;
    }
    if (!r->wanted)
        r->wanted = be32_load(bytes + AT_CIADDR);
    return true;
}

static struct service_lease *lease_find(struct service *s, u32 port, const u8 *mac)
{
    for (u32 i = 0; i < SERVICE_LEASES; i++) {
        if (s->lease[i].host && s->lease[i].port == port && !memcmp(s->lease[i].mac, mac, 6))
            return &s->lease[i];
    }
    return NULL;
}

static bool is_given(const struct service *s, u32 host)
{
    for (u32 i = 0; i < SERVICE_LEASES; i++) {
        if (s->lease[i].host == host)
            return true;
    }
    return false;
}

/* Binds the address to the port; false: it is not ours to give, or not free. */
static bool host_take(struct service *s, u32 port, u32 host, u64 now_ns)
{
    const struct lab_settings *settings = s->bridge->settings;
    struct net_address a = bridge_address4(s->bridge, host);

    return host && host >= settings->dhcp_first && host <= settings->dhcp_last &&
           !is_given(s, host) && bridge_claim(s->bridge, port, &a, now_ns);
}

/* What was asked for if it is free, else as the MAC address has it, so that it is the same again.
 */
static u32 host_choose(struct service *s, u32 port, const u8 *mac, u32 wanted, u64 now_ns)
{
    const struct lab_settings *settings = s->bridge->settings;
    u32 count = settings->dhcp_last - settings->dhcp_first + 1;
    u32 hash = (be32_load(mac + 2) ^ be16_load(mac)) * 0x9e3779b1u >> 8;

    if (!settings->dhcp_first)
        return 0;
    if (host_take(s, port, wanted - settings->subnet.base4, now_ns))
        return wanted - settings->subnet.base4;
    for (u32 i = 0; i < count && i < 2 * SERVICE_LEASES; i++) {
        u32 host = settings->dhcp_first + (hash + i) % count;

        if (host_take(s, port, host, now_ns))
            return host;
    }
    return 0;
}

static struct service_lease *lease_get(struct service *s, u32 port, const u8 *mac, u32 wanted,
                                       u64 now_ns)
{
    struct service_lease *lease = lease_find(s, port, mac);

    for (u32 i = 0; !lease && i < SERVICE_LEASES; i++) {
        if (s->lease[i].host)
            continue;
        lease = &s->lease[i];
        *lease = (struct service_lease){host_choose(s, port, mac, wanted, now_ns), port, {0}};
        memcpy(lease->mac, mac, 6);
    }
    return lease && lease->host ? lease : NULL;
}

static u8 *put(u8 *o, u8 code, const void *bytes, size_t len)
{
    *o++ = code;
    *o++ = (u8)len;
    memcpy(o, bytes, len);
    return o + len;
}

static u8 *put32(u8 *o, u8 code, u32 value)
{
    u8 bytes[4];

    be32_store(bytes, value);
    return put(o, code, bytes, 4);
}

/* What there is to know of the network. */
static u8 *put_network(const struct service *s, u32 port, u8 *o)
{
    const struct lab_settings *settings = s->bridge->settings;
    const char *vm = s->bridge->port[port].config.vm;
    u8 mtu[2];

    be16_store(mtu, settings->mtu);
    o = put32(o, OPT_MASK, ~(UINT32_MAX >> settings->subnet.bits4));
    if (settings->nat)
        o = put32(o, OPT_ROUTER, settings->subnet.base4 + SERVICE_ROUTER);
    o = put32(o, OPT_NAMES, settings->subnet.base4 + SERVICE_HOST);
    o = put(o, OPT_DOMAIN, settings->name, strlen(settings->name));
    o = put(o, OPT_MTU, mtu, 2);
    return *vm ? put(o, OPT_HOSTNAME, vm, strlen(vm)) : o;
}

/* host 0: none is given. */
static void answer(struct service *s, const struct bridge_frame *f, const u8 *request, u8 type,
                   u32 host, u64 now_ns)
{
    bool broadcast = request[AT_FLAGS] & 0x80 || type == NAK;
    u32 client = be32_load(request + AT_CIADDR), mine = s->bridge->settings->subnet.base4;
    u32 to = broadcast ? UINT32_MAX : client ? client : mine + host;
    struct service_packet p = {.from = bridge_address4(s->bridge, SERVICE_HOST),
                               .to = {.family = 4},
                               .protocol = PACKET_UDP,
                               .from_port = PORT_SERVER,
                               .to_port = PORT_CLIENT};
    size_t room;
    u8 *m = service_payload(s, &p, &room), *o = m + AT_OPTIONS;

    be32_store(p.to.bytes, to);
    memcpy(p.to_mac, f->bytes + 6, 6);
    if (broadcast)
        memset(p.to_mac, 0xff, 6);
    memset(m, 0, SHORTEST);
    memcpy(m, request, 12);
    m[AT_OP] = 2;
    m[3] = 0;
    be16_store(m + 8, 0);
    if (type != NAK)
        memcpy(m + AT_CIADDR, request + AT_CIADDR, 4);
    be32_store(m + AT_YIADDR, host ? mine + host : 0);
    memcpy(m + AT_CHADDR, request + AT_CHADDR, 16);
    be32_store(m + AT_COOKIE, COOKIE);
    o = put(o, OPT_TYPE, &type, 1);
    o = put32(o, OPT_SERVER, mine + SERVICE_HOST);
    if (host)
        o = put32(o, OPT_LEASE, LEASE_S);
    if (type != NAK)
        o = put_network(s, f->from, o);
    *o++ = OPT_END;
    service_send(s, &p, (size_t)(o - m) > SHORTEST ? (size_t)(o - m) : SHORTEST, now_ns);
}

void dhcp_input(struct service *s, const struct bridge_frame *f, const u8 *bytes, size_t len,
                u64 now_ns)
{
    struct dhcp_request r;
    struct service_lease *lease;
    const u8 *mac = bytes + AT_CHADDR;
    u32 mine = s->bridge->settings->subnet.base4;

    if (!request_parse(&r, bytes, len) || f->from < BRIDGE_VM ||
        (!s->bridge->port[f->from].config.trusted && memcmp(mac, f->bytes + 6, 6)))
        return;
    if (r.type == INFORM) {
        answer(s, f, bytes, ACK, 0, now_ns);
        return;
    }
    if ((r.type != DISCOVER && r.type != REQUEST) || (r.server && r.server != mine + SERVICE_HOST))
        return;
    lease = lease_get(s, f->from, mac, r.wanted, now_ns);
    if (!lease)
        return;
    if (r.type == DISCOVER)
        answer(s, f, bytes, OFFER, lease->host, now_ns);
    else if (r.wanted == mine + lease->host)
        answer(s, f, bytes, ACK, lease->host, now_ns);
    else
        answer(s, f, bytes, NAK, 0, now_ns);
}
