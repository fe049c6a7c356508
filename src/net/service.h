/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a network gives its VMs: addresses (DHCP of RFC 2131, router advertisements of RFC 4861 with
 * RFC 8106), the names of VMs (DNS of RFC 1035), and a host, .1 and ::1, that answers pings.
 *
 * Frames come from the bridge and answers go back into it, so that neither sockets nor files are
 * needed. Names of elsewhere are asked of the uplink's name server, .3.
 */
#ifndef COSM_NET_SERVICE_H
#define COSM_NET_SERVICE_H

#include "net/bridge.h"
#include "net/packet.h"

#define SERVICE_OUT     2048
#define SERVICE_LEASES  256
#define SERVICE_QUERIES 64
#define SERVICE_RA_NS   (UINT64_C(120) * 1000000000) /* between advertisements to all */

enum { SERVICE_HOST = 1, SERVICE_ROUTER = 2, SERVICE_NAMES = 3 }; /* in the network */

struct service_lease {
    u32 host; /* in the network; 0: free */
    u32 port;
    u8 mac[6];
};

/* A query that the uplink was asked. */
struct service_query {
    u64 asked_ns; /* 0: free */
    struct net_address client, asked;
    u8 client_mac[6];
    u16 client_port, client_id, id;
};

struct service {
    struct bridge *bridge;
    u64 random; /* not 0; secret, as the uplink's answers are known by it */
    u64 advertised_ns;
    struct service_lease lease[SERVICE_LEASES];
    struct service_query query[SERVICE_QUERIES];
    u8 out[BRIDGE_TAG + SERVICE_OUT];
};

/* Sets up the service's port of the bridge. */
void service_init(struct service *service, struct bridge *bridge, u64 random);

/* A frame that the bridge delivers to BRIDGE_SERVICE. */
void service_input(struct service *service, const struct bridge_frame *frame, u64 now_ns);

/* What is to be done from time to time. */
void service_tick(struct service *service, u64 now_ns);

/* The port has gone: its leases are free. */
void service_leave(struct service *service, u32 port);

/* For service's files. */
struct service_packet {
    u8 to_mac[6];
    struct net_address from, to;
    u8 protocol;
    u16 from_port, to_port; /* UDP */
};

/* Where the payload is to be put before service_send, with room for *room bytes. */
u8 *service_payload(struct service *service, const struct service_packet *packet, size_t *room);
void service_send(struct service *service, const struct service_packet *packet, size_t len,
                  u64 now_ns);
u32 service_random(struct service *service);

/* A UDP packet to port 67; payload of the packet's bytes. */
void dhcp_input(struct service *service, const struct bridge_frame *frame, const u8 *payload,
                size_t len, u64 now_ns);
/* A UDP packet to port 53, and one from the uplink's name server. */
void names_query(struct service *service, const struct bridge_frame *frame,
                 const struct packet *packet, u64 now_ns);
void names_answer(struct service *service, const struct packet *packet, u64 now_ns);

#endif
