/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a VM's process and its network process say to each other, over two socket pairs that keep
 * message boundaries: frames on one, requests with their answers on the other. Both ends are the
 * same program, so structs go as they are.
 */
#ifndef COSM_NET_WIRE_H
#define COSM_NET_WIRE_H

#include "host/helper.h"
#include "net/settings.h"
#include "port/net.h"

#define WIRE_COMMAND "net-process" /* argv[1] of the process */

/* Descriptors that the process is started with. */
enum { WIRE_DATA_FD = HELPER_FD, WIRE_CONTROL_FD, WIRE_CAPTURE_FD };

/* A message of the data socket: struct net_offload, then the frame. */
#define WIRE_MESSAGE_MAX (sizeof(struct net_offload) + NET_FRAME_MAX)

enum wire_kind { WIRE_START = 1, WIRE_FORWARD, WIRE_UNFORWARD };

struct wire_request {
    u32 kind;
    struct net_forward forward;   /* of WIRE_FORWARD, WIRE_UNFORWARD */
    struct net_settings settings; /* of WIRE_START */
    bool capture;                 /* WIRE_CAPTURE_FD is open */
    bool capture_goes_on;         /* and has its beginning */
};

struct wire_answer {
    s32 code;       /* 0 or -errno */
    char text[256]; /* why not; with code 0 a warning or "" */
};

#endif
