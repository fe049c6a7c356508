/* SPDX-License-Identifier: BSD-2-Clause */
/* What a user's network is to be: port forwards and the rules for what the guest may reach. */
#ifndef COSM_NET_SETTINGS_H
#define COSM_NET_SETTINGS_H

#include "base/err.h"
#include "host/sandbox.h"

#define NET_FORWARDS_MAX 64
#define NET_RULES_MAX    64
#define NET_MTU_MIN      1280 /* IPv6 needs it */
#define NET_MTU_MAX      65520
#define NET_MTU_DEFAULT  65520

struct net_address {
    u8 family; /* 4, 6; 0: none */
    u8 bytes[16];
};

/* A port of the host at which connections go to the guest. */
struct net_forward {
    bool udp;
    struct net_address host;
    u16 host_port;
    struct net_address guest; /* none: the guest's own by DHCP */
    u16 guest_port;
};

/* The first rule that fits decides; where none fits the guest may. */
struct net_rule {
    bool allow;
    struct net_address base;   /* none: everything */
    u8 bits;                   /* of base that must agree */
    u16 port_first, port_last; /* 0, 65535: any, also what has no ports */
};

/* What the cable does to frames, each way. */
struct net_impairment {
    u32 delay_us;
    u32 loss_ppm;   /* frames lost in a million */
    u64 rate_bytes; /* a second; 0: any */
};

/* The guests' network: /64 for IPv6. */
struct net_subnet {
    u32 base4; /* 0: the default, 10.0.2.0/24 and fec0::/64 */
    u8 bits4;
    u8 prefix6[8];
};

struct net_settings {
    struct net_subnet subnet;
    u32 forward_count, rule_count;
    struct net_forward forward[NET_FORWARDS_MAX];
    struct net_rule rule[NET_RULES_MAX];
    u16 mtu; /* 0: the default */
    struct net_impairment impairment;
    enum sandbox_mode sandbox; /* of the process that does it */
};

/* [HOST-ADDRESS:]PORT:GUEST-PORT[/udp]; an IPv6 address stands in brackets. */
MUST_CHECK int net_settings_forward(struct net_settings *settings, const char *text,
                                    struct err *err);

/* ADDRESS[/BITS][:PORT[-PORT]] or "all"; an IPv6 address stands in brackets if a port follows. */
MUST_CHECK int net_settings_rule(struct net_settings *settings, bool allow, const char *text,
                                 struct err *err);

/* [ADDRESS:]PORT[:GUEST-PORT][/udp]: a forward that is to go, its guest port meaning nothing. */
MUST_CHECK int net_settings_unforward(struct net_settings *settings, const char *text,
                                      struct err *err);

/* Removes the forward from its host address and port; false: there is none. */
bool net_settings_drop_forward(struct net_settings *settings, const struct net_forward *forward);

MUST_CHECK int net_settings_mtu(struct net_settings *settings, const char *text, struct err *err);

/* delay=, loss= and rate= of a cable: "20ms", "0.5%", "10M" (bits a second). */
MUST_CHECK int net_settings_delay(struct net_settings *settings, const char *text, struct err *err);
MUST_CHECK int net_settings_loss(struct net_settings *settings, const char *text, struct err *err);
MUST_CHECK int net_settings_rate(struct net_settings *settings, const char *text, struct err *err);

/*
 * May the guest send to this address? It has one or two names, and a rule fits either. Where the
 * port is not known, as of fragments, rules for ports deny and do not allow; what has no ports, as
 * ICMP, they do not concern.
 */
enum { NET_PORT_UNKNOWN = -1, NET_PORT_NONE = -2 };
bool net_settings_allow(const struct net_settings *settings, const struct net_address *to,
                        u32 names, int port);

/* "127.0.0.1:8080" or "[::1]:8080". */
#define NET_PLACE_MAX 64
const char *net_place_text(const struct net_address *address, u16 port, char text[NET_PLACE_MAX]);
/* "allow 10.0.0.0/8:80-90", as the options have it. */
void net_rule_text(const struct net_rule *rule, char *text, size_t size);

/* The subnet, or the default. */
struct net_subnet net_settings_subnet(const struct net_settings *settings);

#endif
