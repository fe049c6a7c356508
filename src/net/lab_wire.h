/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is said at a switch's socket, which keeps message boundaries. The first message is a request
 * and is answered; behind LAB_JOIN frames follow, as net/link.h has them. Both ends are the same
 * program, so structs go as they are: magic says whether they are.
 */
#ifndef COSM_NET_LAB_WIRE_H
#define COSM_NET_LAB_WIRE_H

#include "host/helper.h"
#include "net/lab.h"

#define LAB_COMMAND "net-switch" /* argv[1] of the process */

/* Descriptors that the process is started with: the socket to listen at, one for struct
 * lab_settings with struct lab_answer for an answer, and the tunnel's UDP socket. */
enum { LAB_LISTEN_FD = HELPER_FD, LAB_START_FD, LAB_TUNNEL_FD };

enum lab_kind { LAB_JOIN = 1, LAB_PORTS, LAB_CAPTURE, LAB_IMPAIR, LAB_END };

#define LAB_MAGIC (0x636f736d00000001u + sizeof(struct lab_request) + sizeof(struct lab_port_info))

/* With LAB_JOIN and LAB_CAPTURE a descriptor to write to may come along. */
struct lab_request {
    u64 magic;
    u32 kind;
    struct lab_port port; /* LAB_JOIN, LAB_IMPAIR: of it vm and impairment */
    bool capture_goes_on; /* LAB_JOIN: the record has its beginning */
};

struct lab_answer {
    s32 code;       /* 0 or -errno */
    u32 can;        /* LAB_JOIN: of link_config */
    u32 count;      /* LAB_PORTS: so many struct lab_port_info follow, a message each */
    char text[256]; /* why not; with code 0 a warning or "" */
};

/* The process: what it does from its start to its end; the exit status. */
int lab_serve(void);

#endif
