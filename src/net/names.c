/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of a network's VMs: a DNS server (RFC 1035) for web, web.NETWORK and addresses of the
 * network; what else is asked goes to the uplink's name server, if there is one.
 */
#include "net/service.h"

#include "base/endian.h"

#include <string.h>
#include <strings.h>

enum { HEADER = 12, UDP_HEADER = 8, PORT_NAMES = 53, NAME_MAX_LEN = 255 };
enum { TYPE_A = 1, TYPE_PTR = 12, TYPE_AAAA = 28, TYPE_ANY = 255, CLASS_IN = 1 };
enum { RCODE_OK = 0, RCODE_FORMAT = 1, RCODE_NO_NAME = 3, RCODE_REFUSED = 5 };
enum { FLAG_ANSWER = 0x8000, FLAG_AUTHORITY = 0x0400, FLAG_WANTED = 0x0100, FLAG_CAN = 0x0080 };
enum { TTL_S = 10, FIRST_PORT = 20000 };
#define QUERY_NS (UINT64_C(10) * 1000000000) /* how long an answer is awaited */

struct question {
    char name[NAME_MAX_LEN + 1]; /* lower case, labels with dots between */
    u16 type, class;
    size_t end; /* of the question in the message */
};

/* A name without pointers, as questions have it. False: it is none. */
static bool question_parse(struct question *q, const u8 *m, size_t len)
{
    size_t at = HEADER, out = 0;

    while (at < len && m[at]) {
        size_t label = m[at++];

        if (label > 63 || at + label > len || out + label + 1 > NAME_MAX_LEN)
            return false;
        if (out)
            q->name[out++] = '.';
        for (; label; label--, at++)
            q->name[out++] = (char)(m[at] >= 'A' && m[at] <= 'Z' ? m[at] | 0x20 : m[at]);
    }
    if (at + 5 > len)
        return false;
    q->name[out] = '\0';
    q->type = be16_load(m + at + 1);
    q->class = be16_load(m + at + 3);
    q->end = at + 5;
    return true;
}

/* The port of the VM with that name, its network behind it or not; -1: there is none. */
static int vm_find(const struct service *s, const char *name)
{
    const char *domain = s->bridge->settings->name;
    size_t len = strlen(name), tail = strlen(domain);

    if (len > tail + 1 && name[len - tail - 1] == '.' && !strcasecmp(name + len - tail, domain))
        len -= tail + 1;
    for (u32 i = BRIDGE_VM; i < BRIDGE_PORTS; i++) {
        const struct lab_port *port = &s->bridge->port[i].config;

        if (s->bridge->port[i].used && port->vlan == LAB_VLAN && len && strlen(port->vm) == len &&
            !strncasecmp(port->vm, name, len))
            return (int)i;
    }
    return -1;
}

/* Nobody outside knows of it: a single word, or a name of this network. */
static bool is_ours(const struct service *s, const char *name)
{
    const char *domain = s->bridge->settings->name;
    size_t len = strlen(name), tail = strlen(domain);

    return !strchr(name, '.') ||
           (len > tail && name[len - tail - 1] == '.' && !strcasecmp(name + len - tail, domain));
}

static u8 *record(u8 *o, u16 type, const void *data, size_t len)
{
    be16_store(o, 0xc000 | HEADER); /* the question's name */
    be16_store(o + 2, type);
    be16_store(o + 4, CLASS_IN);
    be32_store(o + 6, TTL_S);
    be16_store(o + 10, (u16)len);
    memcpy(o + 12, data, len);
    return o + 12 + len;
}

/* Addresses that a port is known by; link-local ones are of no use to others without a zone. */
static u8 *addresses(const struct service *s, u32 port, u16 type, u8 *o, u16 *count)
{
    const struct bridge_port *p = &s->bridge->port[port];

    for (u32 i = 0; i < BRIDGE_CLAIMS; i++) {
        const struct bridge_claim *c = &p->claim[i];
        u16 has = c->address.family == 4 ? TYPE_A : TYPE_AAAA;

        if (!c->address.family || c->vlan != LAB_VLAN || (type != has && type != TYPE_ANY) ||
            be16_load(c->address.bytes) == (has == TYPE_A ? 0xa9fe : 0xfe80))
            continue;
        o = record(o, has, c->address.bytes, has == TYPE_A ? 4 : 16);
        ++*count;
    }
    return o;
}

static bool hex_digit(char c, u8 *value)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c) : NULL;

    *value = at ? (u8)(at - digits) : 0;
    return at;
}

/* "9.0.7.10.in-addr.arpa" */
static bool reverse4_parse(const char *name, struct net_address *a)
{
    *a = (struct net_address){.family = 4};
    for (int i = 3; i >= 0; i--) {
        u32 v = 0, digits = 0;

        for (; *name >= '0' && *name <= '9' && digits < 3; digits++)
            v = v * 10 + (u32)(*name++ - '0');
        if (!digits || v > 255 || *name++ != '.')
            return false;
        a->bytes[i] = (u8)v;
    }
    return !strcmp(name, "in-addr.arpa");
}

/* 32 digits with dots between, and "ip6.arpa". */
static bool reverse6_parse(const char *name, struct net_address *a)
{
    *a = (struct net_address){.family = 6};
    for (int i = 31; i >= 0; i--) {
        u8 v;

        if (!hex_digit(name[0], &v) || name[1] != '.')
            return false;
        a->bytes[i / 2] |= (u8)(i % 2 ? v : v << 4);
        name += 2;
    }
    return !strcmp(name, "ip6.arpa");
}

/* web.NETWORK. as labels; its length. */
static size_t name_put(const struct service *s, const char *vm, u8 *o)
{
    const char *domain = s->bridge->settings->name;
    size_t a = strlen(vm), b = strlen(domain);

    o[0] = (u8)a;
    memcpy(o + 1, vm, a);
    o[1 + a] = (u8)b;
    memcpy(o + 2 + a, domain, b);
    o[2 + a + b] = 0;
    return 3 + a + b;
}

static u8 *name_of_address(const struct service *s, const struct net_address *a, u8 *o, u16 *count)
{
    u8 name[LAB_VM_MAX + LAB_NAME_MAX + 3];
    int port = bridge_owner(s->bridge, a);

    if (port < BRIDGE_VM || !*s->bridge->port[port].config.vm)
        return o;
    ++*count;
    return record(o, TYPE_PTR, name, name_put(s, s->bridge->port[port].config.vm, name));
}

/* The answer behind the question, which is in place. Returns false if it is not for us to give. */
static bool resolve(const struct service *s, const struct question *q, u8 **o, u16 *count,
                    u16 *rcode)
{
    struct net_address a;
    bool is_reverse = reverse4_parse(q->name, &a) || reverse6_parse(q->name, &a);
    int port = is_reverse ? -1 : vm_find(s, q->name);

    *rcode = RCODE_OK;
    if (port >= 0) {
        *o = addresses(s, (u32)port, q->type, *o, count);
        return true;
    }
    if (is_reverse) {
        *o = name_of_address(s, &a, *o, count);
        if (!*count)
            *rcode = RCODE_NO_NAME;
        return *count || !s->bridge->settings->nat;
    }
    *rcode = RCODE_NO_NAME;
    return is_ours(s, q->name);
}

/* Takes the place of the oldest query. */
static void ask_uplink(struct service *s, const struct bridge_frame *f, const struct packet *p,
                       u64 now_ns)
{
    struct service_query *q = s->query;
    const u8 *m = p->bytes + p->payload + UDP_HEADER;
    size_t len = p->len - p->payload - UDP_HEADER, room;
    struct service_packet out = {.from = bridge_address4(s->bridge, SERVICE_HOST),
                                 .to = bridge_address4(s->bridge, SERVICE_NAMES),
                                 .protocol = PACKET_UDP,
                                 .to_port = PORT_NAMES};
    u8 *o = service_payload(s, &out, &room);

    for (u32 i = 1; i < SERVICE_QUERIES; i++) {
        if (s->query[i].asked_ns < q->asked_ns)
            q = &s->query[i];
    }
    if (len > room)
        return;
    *q = (struct service_query){.asked_ns = now_ns,
                                .client = p->from,
                                .asked = p->to,
                                .client_port = (u16)p->from_port,
                                .client_id = be16_load(m),
                                .id = (u16)service_random(s)};
    memcpy(q->client_mac, f->bytes + 6, 6);
    out.from_port = (u16)(FIRST_PORT + (q - s->query));
    memcpy(out.to_mac, s->bridge->port[BRIDGE_UPLINK].config.mac, 6);
    memcpy(o, m, len);
    be16_store(o, q->id);
    service_send(s, &out, len, now_ns);
}

void names_answer(struct service *s, const struct packet *p, u64 now_ns)
{
    const u8 *m = p->bytes + p->payload + UDP_HEADER;
    size_t len = p->len - p->payload - UDP_HEADER, room;
    struct net_address server = bridge_address4(s->bridge, SERVICE_NAMES);
    u32 slot = (u32)p->to_port - FIRST_PORT;
    struct service_query *q = &s->query[slot % SERVICE_QUERIES];
    struct service_packet out = {.protocol = PACKET_UDP, .from_port = PORT_NAMES};
    u8 *o;

    if (slot >= SERVICE_QUERIES || len < HEADER || p->from_port != PORT_NAMES ||
        memcmp(&p->from, &server, sizeof(server)) || !q->asked_ns ||
        now_ns - q->asked_ns > QUERY_NS || be16_load(m) != q->id)
        return;
    out.to = q->client;
    out.to_port = q->client_port;
    out.from = q->asked;
    memcpy(out.to_mac, q->client_mac, 6);
    o = service_payload(s, &out, &room);
    if (len <= room) {
        memcpy(o, m, len);
        be16_store(o, q->client_id);
        service_send(s, &out, len, now_ns);
    }
    *q = (struct service_query){0};
}

void names_query(struct service *s, const struct bridge_frame *f, const struct packet *p,
                 u64 now_ns)
{
    const u8 *m = p->bytes + p->payload + UDP_HEADER;
    size_t len = p->len - p->payload - UDP_HEADER, room;
    struct service_packet out = {.from = p->to,
                                 .to = p->from,
                                 .protocol = PACKET_UDP,
                                 .from_port = PORT_NAMES,
                                 .to_port = (u16)p->from_port};
    u8 *o = service_payload(s, &out, &room), *end;
    u16 count = 0, rcode = RCODE_FORMAT, flags;
    struct question q = {.end = HEADER};
    bool good;

    if (len < HEADER || be16_load(m + 2) & 0xf800) /* an answer, or no plain query */
        return;
    good = be16_load(m + 4) == 1 && question_parse(&q, m, len);
    memcpy(out.to_mac, f->bytes + 6, 6);
    memcpy(o, m, good ? q.end : HEADER);
    end = o + (good ? q.end : HEADER);
    if (good && (q.class != CLASS_IN || !resolve(s, &q, &end, &count, &rcode))) {
        if (s->bridge->settings->nat) {
            ask_uplink(s, f, p, now_ns);
            return;
        }
        rcode = RCODE_REFUSED;
    }
    flags = FLAG_ANSWER | FLAG_AUTHORITY | FLAG_CAN | rcode;
    be16_store(o + 2, (u16)(flags | (be16_load(m + 2) & FLAG_WANTED)));
    be16_store(o + 4, good);
    be16_store(o + 6, count);
    be32_store(o + 8, 0);
    service_send(s, &out, (size_t)(end - o), now_ns);
}
