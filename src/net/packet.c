/* SPDX-License-Identifier: BSD-2-Clause */
/* Headers of a guest's frames: read within bounds, checksums, and the answers that refuse one. */
#include "net/packet.h"

#include "base/endian.h"

#include <string.h>

enum { TYPE_IP4 = 0x0800, TYPE_ARP = 0x0806, TYPE_IP6 = 0x86dd };
enum { IP4_HEADER = 20, IP6_HEADER = 40, TCP_HEADER = 20, UDP_HEADER = 8 };
enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_ACK = 16 };

static void ports_parse(struct packet *p)
{
    u32 room = p->len - p->payload;
    u32 header = p->protocol == PACKET_TCP   ? TCP_HEADER
                 : p->protocol == PACKET_UDP ? UDP_HEADER
                                             : UINT32_MAX;

    if (p->fragment || room < header)
        return;
    p->from_port = be16_load(p->bytes + p->payload);
    p->to_port = be16_load(p->bytes + p->payload + 2);
    if (p->protocol == PACKET_TCP)
        p->tcp_opens = (p->bytes[p->payload + 13] & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

static enum packet_kind ip4_parse(struct packet *p, size_t len)
{
    const u8 *ip = p->bytes + PACKET_ETHERNET;
    u32 header, total;

    if (len < PACKET_ETHERNET + IP4_HEADER || ip[0] >> 4 != 4)
        return PACKET_BROKEN;
    header = (ip[0] & 15) * 4u;
    total = be16_load(ip + 2);
    if (header < IP4_HEADER || total < header || total > len - PACKET_ETHERNET)
        return PACKET_BROKEN;
    p->len = PACKET_ETHERNET + total;
    p->payload = PACKET_ETHERNET + header;
    p->protocol = ip[9];
    p->fragment = (be16_load(ip + 6) & 0x3fff) != 0; /* more follow, or some came before */
    p->from.family = p->to.family = 4;
    memcpy(p->from.bytes, ip + 12, 4);
    memcpy(p->to.bytes, ip + 16, 4);
    ports_parse(p);
    return PACKET_IP;
}

static enum packet_kind ip6_parse(struct packet *p, size_t len)
{
    const u8 *ip = p->bytes + PACKET_ETHERNET;
    u32 total;

    if (len < PACKET_ETHERNET + IP6_HEADER || ip[0] >> 4 != 6)
        return PACKET_BROKEN;
    total = IP6_HEADER + be16_load(ip + 4);
    if (total > len - PACKET_ETHERNET)
        return PACKET_BROKEN;
    p->len = PACKET_ETHERNET + total;
    p->payload = PACKET_ETHERNET + IP6_HEADER;
    p->protocol = ip[6];
    p->from.family = p->to.family = 6;
    memcpy(p->from.bytes, ip + 8, 16);
    memcpy(p->to.bytes, ip + 24, 16);
    if (p->protocol != PACKET_TCP && p->protocol != PACKET_UDP && p->protocol != PACKET_ICMP6)
        return PACKET_FOREIGN;
    ports_parse(p);
    return PACKET_IP;
}

enum packet_kind packet_parse(struct packet *packet, const u8 *bytes, size_t len)
{
    *packet = (struct packet){.bytes = bytes, .from_port = -1, .to_port = -1};
    if (len < PACKET_ETHERNET || len > NET_FRAME_MAX)
        return PACKET_BROKEN;
    switch (be16_load(bytes + 12)) {
    case TYPE_IP4:
        return ip4_parse(packet, len);
    case TYPE_IP6:
        return ip6_parse(packet, len);
    case TYPE_ARP:
        return PACKET_ARP;
    default:
        return PACKET_FOREIGN;
    }
}

u16 packet_sum(u32 start, const u8 *bytes, size_t len)
{
    u64 sum = start;
    size_t at = 0;

    /* Big-endian words of 16 bits add up the same whichever way they are gathered. */
    for (; at + 4 <= len; at += 4)
        sum += be32_load(bytes + at);
    if (at + 2 <= len) {
        sum += be16_load(bytes + at);
        at += 2;
    }
    if (at < len)
        sum += (u32)bytes[at] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (u16)sum;
}

bool packet_checksum(u8 *bytes, size_t len, const struct net_offload *offload)
{
    u32 at = (u32)offload->csum_start + offload->csum_offset;
    u16 sum;

    if (!(offload->flags & NET_NEEDS_CSUM))
        return true;
    if (at + 2 > len)
        return false;
    sum = (u16)~packet_sum(0, bytes + offload->csum_start, len - offload->csum_start);
    be16_store(bytes + at, sum ? sum : 0xffff); /* UDP's 0 says that there is none */
    return true;
}

u32 packet_pseudo_sum(const u8 *ip, u8 protocol, u32 len)
{
    bool v6 = ip[0] >> 4 == 6;

    return (u32)packet_sum(0, ip + (v6 ? 8 : 12), v6 ? 32 : 8) + protocol + len;
}

/* The headers of an answer whose payload has len bytes: all goes back where it came from. */
static u8 *answer_head(const struct packet *p, u8 *answer, u8 protocol, u32 len)
{
    u8 *ip = answer + PACKET_ETHERNET;

    memcpy(answer, p->bytes + 6, 6);
    memcpy(answer + 6, p->bytes, 6);
    memcpy(answer + 12, p->bytes + 12, 2);
    if (p->to.family == 4) {
        memset(ip, 0, IP4_HEADER);
        ip[0] = 0x45;
        be16_store(ip + 2, (u16)(IP4_HEADER + len));
        ip[8] = 64;
        ip[9] = protocol;
        memcpy(ip + 12, p->to.bytes, 4);
        memcpy(ip + 16, p->from.bytes, 4);
        be16_store(ip + 10, (u16)~packet_sum(0, ip, IP4_HEADER));
        return ip + IP4_HEADER;
    }
    memset(ip, 0, IP6_HEADER);
    ip[0] = 0x60;
    be16_store(ip + 4, (u16)len);
    ip[6] = protocol;
    ip[7] = 255;
    memcpy(ip + 8, p->to.bytes, 16);
    memcpy(ip + 24, p->from.bytes, 16);
    return ip + IP6_HEADER;
}

static size_t refuse_tcp(const struct packet *p, u8 *answer)
{
    const u8 *tcp = p->bytes + p->payload;
    u8 *reset = answer_head(p, answer, PACKET_TCP, TCP_HEADER);

    memset(reset, 0, TCP_HEADER);
    memcpy(reset, tcp + 2, 2);
    memcpy(reset + 2, tcp, 2);
    be32_store(reset + 8, be32_load(tcp + 4) + 1);
    reset[12] = TCP_HEADER / 4 << 4;
    reset[13] = TCP_RST | TCP_ACK;
    be16_store(reset + 16,
               (u16)~packet_sum(packet_pseudo_sum(answer + PACKET_ETHERNET, PACKET_TCP, TCP_HEADER),
                                reset, TCP_HEADER));
    return (size_t)(reset - answer) + TCP_HEADER;
}

/* Destination unreachable: administratively prohibited, with the beginning of what was refused. */
static size_t refuse_icmp(const struct packet *p, u8 *answer)
{
    bool v4 = p->to.family == 4;
    u32 quote = p->len - PACKET_ETHERNET, len;
    u8 *icmp;

    if (quote > 128)
        quote = 128;
    len = 8 + quote;
    icmp = answer_head(p, answer, v4 ? PACKET_ICMP : PACKET_ICMP6, len);
    memset(icmp, 0, 8);
    icmp[0] = v4 ? 3 : 1;
    icmp[1] = v4 ? 13 : 1;
    memcpy(icmp + 8, p->bytes + PACKET_ETHERNET, quote);
    be16_store(
        icmp + 2,
        (u16)~packet_sum(v4 ? 0 : packet_pseudo_sum(answer + PACKET_ETHERNET, PACKET_ICMP6, len),
                         icmp, len));
    return (size_t)(icmp - answer) + len;
}

size_t packet_refuse(const struct packet *packet, u8 answer[PACKET_ANSWER_MAX])
{
    u8 type = packet->payload < packet->len ? packet->bytes[packet->payload] : 0;

    if (packet->protocol == PACKET_TCP)
        return packet->tcp_opens ? refuse_tcp(packet, answer) : 0;
    /* Errors are not answered with errors; of ICMP only echo requests are answered. */
    if ((packet->protocol == PACKET_ICMP && type != 8) ||
        (packet->protocol == PACKET_ICMP6 && type != 128))
        return 0;
    return refuse_icmp(packet, answer);
}
