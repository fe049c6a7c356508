/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Networks between the VMs of a host: what one is to be, and the VM's end of its switch.
 *
 * Each network has a switch, a process of its own with a socket in the runtime folder. Who finds
 * nobody at the socket starts it; it ends with its last port. ADR 0033.
 */
#ifndef COSM_NET_LAB_H
#define COSM_NET_LAB_H

#include "base/log.h"
#include "host/attendant.h"
#include "net/link.h"
#include "net/settings.h"

#define LAB_NAME_MAX  32 /* with the NUL */
#define LAB_VM_MAX    64
#define LAB_PATH_MAX  4096
#define LAB_PORTS_MAX 64
#define LAB_VLAN      1 /* of what has no tag, unless told otherwise */
#define LAB_VLAN_MAX  4094
#define LAB_MTU       1500
#define LAB_VXLAN     4789 /* UDP port */

/* A tunnel to another host, RFC 7348. */
struct lab_tunnel {
    struct net_address remote; /* none: no tunnel */
    struct net_address local;  /* none: any */
    u16 port;
    u32 vni; /* 24 bits */
};

struct lab_settings {
    char name[LAB_NAME_MAX];
    struct net_subnet subnet;
    u32 dhcp_first, dhcp_last; /* hosts of the subnet that DHCP gives away; 0: none */
    u16 mtu;
    bool nat;
    struct net_settings uplink; /* with nat: the rules; the rest is made of what is above */
    struct lab_tunnel tunnel;
    enum sandbox_mode sandbox; /* of the switch's process, and of the way out's */
};

/* What a VM's interface is to its network. */
struct lab_port {
    char vm[LAB_VM_MAX]; /* its name in the network; "": none */
    u8 mac[6];
    bool trusted; /* may send what it likes, and be a router */
    bool trunk;
    u16 vlan;                   /* of frames without a tag */
    u64 trunk_vlans[4096 / 64]; /* of frames with one */
    struct net_impairment impairment;
};

struct lab_counts {
    u64 in_frames, in_bytes, out_frames, out_bytes;
    u64 refused; /* came in and was not let on */
    u64 dropped; /* could not go out */
};

/* A port as it is now. */
#define LAB_ADDRESSES_MAX 16
struct lab_port_info {
    struct lab_port config;
    struct lab_counts count;
    s32 pid;
    u32 address_count;
    struct net_address address[LAB_ADDRESSES_MAX];
};

static inline bool lab_trunk_has(const struct lab_port *port, u16 vlan)
{
    return port->trunk_vlans[vlan / 64] >> vlan % 64 & 1;
}

/* "web", "10.7.0.0/24,fd00:1::/64", "10+20-30" or "all",
 * "remote=192.0.2.7,vni=42[,local=][,port=]", "16-99" or "off"; the sentences name the value. */
MUST_CHECK int lab_check_name(const char *name, struct err *err);
MUST_CHECK int lab_parse_subnet(struct lab_settings *settings, const char *text, struct err *err);
MUST_CHECK int lab_parse_trunk(struct lab_port *port, const char *text, struct err *err);
MUST_CHECK int lab_parse_vlan(struct lab_port *port, const char *text, struct err *err);
MUST_CHECK int lab_parse_tunnel(struct lab_settings *settings, const char *text, struct err *err);
MUST_CHECK int lab_parse_dhcp(struct lab_settings *settings, const char *text, struct err *err);
/* What was not said gets a value: a subnet of the network's own, DHCP for all of it. */
void lab_settings_complete(struct lab_settings *settings);

/* A network that is there: its settings, and the folder of its socket. */
struct lab_place {
    struct lab_settings settings;
    char runtime[LAB_PATH_MAX];
};

struct lab;

/*
 * A back end for a device: connects to the network's switch, which is started if it does not run,
 * and again if it dies. capture: an open empty file for a record of what the port sends and gets,
 * the caller's, or -1.
 */
MUST_CHECK int lab_create(struct lab **lab, struct loop *loop, const struct log *log,
                          const struct lab_place *place, const struct lab_port *port, int capture,
                          struct err *err);
/* The attendant is to connect again, as this process will not be able to. Before it starts; it
 * outlives the lab's end. */
MUST_CHECK int lab_attend(struct lab *lab, struct attendant *attendant, struct err *err);
/* Nothing is handed to the device any more. The loop does not run. NULL is allowed. */
void lab_close(struct lab *lab);
/* Once the loop is destroyed. NULL is allowed. */
void lab_destroy(struct lab *lab);
struct link *lab_link(struct lab *lab);

/* Of a switch that runs; -ENOTCONN: none does. Ports are at most LAB_PORTS_MAX. */
MUST_CHECK int lab_ask_ports(const struct lab_place *place, struct lab_port_info *info, u32 *count,
                             struct err *err);
/* Records all frames of the network into a regular file from now on; -1: no more. */
MUST_CHECK int lab_ask_capture(const struct lab_place *place, int fd, struct err *err);
/* The port of that VM loses and delays frames from now on. */
MUST_CHECK int lab_ask_impair(const struct lab_place *place, const char *vm,
                              const struct net_impairment *impairment, struct err *err);
/* The switch ends; VMs see their cables pulled, and do not start it again. */
MUST_CHECK int lab_ask_end(const struct lab_place *place, struct err *err);

#endif
