/* SPDX-License-Identifier: BSD-2-Clause */
/* Headers of a guest's frames: read within bounds, checksums, and the answers that refuse one. */
#ifndef COSM_NET_PACKET_H
#define COSM_NET_PACKET_H

#include "net/settings.h"
#include "port/net.h"

enum { PACKET_ETHERNET = 14 };
enum { PACKET_ICMP = 1, PACKET_TCP = 6, PACKET_UDP = 17, PACKET_ICMP6 = 58 };
enum packet_kind {
    PACKET_BROKEN,  /* lengths do not fit */
    PACKET_FOREIGN, /* neither ARP nor IP, or an IPv6 packet with extension headers */
    PACKET_ARP,
    PACKET_IP,
};

/* Of PACKET_IP; offsets count from the frame's first byte. */
struct packet {
    const u8 *bytes;
    u32 len; /* up to the end of the IP packet: padding does not count */
    struct net_address from, to;
    u8 protocol;
    bool fragment;          /* a part of a packet: ports are not known */
    u32 payload;            /* where the IP header ends */
    int from_port, to_port; /* -1: there are none */
    bool tcp_opens;         /* TCP: SYN without ACK */
};

enum packet_kind packet_parse(struct packet *packet, const u8 *bytes, size_t len);

/* The checksum of RFC 1071 over len bytes, begun with what start says; not inverted. */
u16 packet_sum(u32 start, const u8 *bytes, size_t len);

/* The sum over addresses, protocol and length that TCP, UDP and ICMPv6 begin with: a start. */
u32 packet_pseudo_sum(const u8 *ip, u8 protocol, u32 len);

/* Does what offload left to do. False: it asks for what lies outside the frame. */
MUST_CHECK bool packet_checksum(u8 *bytes, size_t len, const struct net_offload *offload);

#define PACKET_ANSWER_MAX 256

/*
 * The answer that tells the sender at once: a reset for a TCP connection, else ICMP's
 * "administratively prohibited". Returns its length, 0 if there is none to give.
 */
size_t packet_refuse(const struct packet *packet, u8 answer[PACKET_ANSWER_MAX]);

#endif
