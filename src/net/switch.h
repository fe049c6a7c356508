/* SPDX-License-Identifier: BSD-2-Clause */
/* The switch of a network, for its files: its ports, and who asks something of it. */
#ifndef COSM_NET_SWITCH_H
#define COSM_NET_SWITCH_H

#include "net/cable.h"
#include "net/capture.h"
#include "net/lab_wire.h"
#include "net/queue.h"
#include "net/service.h"

#include <poll.h>

#define SWITCH_CLIENTS 16 /* that have not said yet what they want */

enum { SWITCH_IN, SWITCH_OUT }; /* of the switch */
enum { SWITCH_LISTEN = BRIDGE_PORTS, SWITCH_FDS = SWITCH_LISTEN + 1 + SWITCH_CLIENTS };

struct switch_port {
    int fd; /* -1: nobody */
    s32 pid;
    struct net_queue queue; /* out */
    struct cable cable[2];
    struct capture *capture; /* NULL: none */
};

struct lab_switch {
    struct lab_settings settings;
    struct bridge bridge;
    struct service service;
    struct switch_port port[BRIDGE_PORTS];
    struct capture *capture; /* of the whole network; NULL: none */
    int client[SWITCH_CLIENTS];
    uid_t uid;
    u32 can, ports; /* of VMs */
    u64 empty_ns;   /* without ports it ends then */
    bool over;
    struct pollfd fds[SWITCH_FDS];
    u8 message[BRIDGE_TAG + LINK_MESSAGE_MAX];
    u8 scratch[BRIDGE_TAG + LINK_MESSAGE_MAX];
};

/* CLOCK_MONOTONIC, ns. */
u64 switch_now(void);

/* A VM's port; takes fd, and capture, which may be NULL. -EEXIST, -ENOSPC as bridge_join. */
MUST_CHECK int switch_join(struct lab_switch *s, int fd, const struct lab_port *config, s32 pid,
                           struct capture *capture);
void switch_leave(struct lab_switch *s, u32 port);

/* Takes fd; NULL: there is none, or no memory. */
struct capture *switch_capture(int fd, bool goes_on);

/* Who has connected, and what is asked: after poll; in switch_clients.c. */
void switch_clients(struct lab_switch *s);

#endif
