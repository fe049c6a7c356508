/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device's back end over a descriptor that keeps message boundaries: a socket to another process
 * or a tap interface. A message is struct net_offload, then the frame; the struct has the layout of
 * VIRTIO 1.2's 5.1.6 without num_buffers, in the host's byte order, as taps have it.
 */
#ifndef COSM_NET_LINK_H
#define COSM_NET_LINK_H

#include "host/loop.h"
#include "net/announcer.h"
#include "port/lock.h"
#include "port/net.h"

#define LINK_MESSAGE_MAX (sizeof(struct net_offload) + NET_FRAME_MAX)

struct link_config {
    u32 can;
    u16 mtu;
    /* On the loop: the other end is gone, and the guest has seen its cable pulled. */
    void (*lost)(void *ctx);
    void *ctx;
};

/* Embedded; its fields are its own. */
struct link {
    struct net net; /* hand &net to the device */
    struct link_config config;
    struct loop *loop;
    struct loop_fd *handler;
    struct net_device device;
    struct announcer announcer;
    int fd; /* the same number whatever lies behind it, as harts send while it is exchanged */
    bool is_socket;
    _Atomic u64 dropped; /* frames of the guest that could not go out */
    struct lock lock;    /* of what follows, and of what the handler watches for */
    bool dead;
    bool cut;     /* the user pulled the cable */
    bool full;    /* the device waits for room */
    bool holding; /* message is a frame that the device had no room for */
    bool posted;
    size_t len;
    u8 message[LINK_MESSAGE_MAX];
};

void link_init(struct link *link, struct loop *loop, const struct link_config *config);

/*
 * Takes fd, which it closes; on the loop, or before it runs. Again after lost: the guest sees its
 * cable plugged.
 */
MUST_CHECK int link_plug(struct link *link, int fd, struct err *err);

/* The user pulls the cable or plugs it; on the loop. */
void link_cut(struct link *link, bool cut);

/* Nothing is handed to the device any more. The loop does not run; it may still have calls posted
 * to the link, which stays until the loop is destroyed. */
void link_close(struct link *link);

#endif
