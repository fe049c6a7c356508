/* SPDX-License-Identifier: BSD-2-Clause */
/* A tap interface of the host as a back end: frames go into the host's own network. */
#ifndef COSM_NET_TAP_H
#define COSM_NET_TAP_H

#include "base/log.h"
#include "net/link.h"

#include <net/if.h>

#define TAP_PATH_MAX   4096
#define TAP_QUEUES_MAX 8

struct tap_settings {
    char ifname[IFNAMSIZ];     /* "": the kernel chooses */
    char bridge[IFNAMSIZ];     /* joins this one, and is brought up; "": none */
    u32 queues;                /* 0: 1; TAP_QUEUES_MAX at most */
    char script[TAP_PATH_MAX]; /* is run with the interface's name; "": none */
};

struct tap;

/* Opens the interface, which is made if it is not there (that needs CAP_NET_ADMIN). */
MUST_CHECK int tap_create(struct tap **tap, struct loop *loop, const struct log *log,
                          const struct tap_settings *settings, struct err *err);
/* Nothing is handed to the device any more. The loop does not run. NULL is allowed. */
void tap_close(struct tap *tap);
/* Once the loop is destroyed. NULL is allowed. */
void tap_destroy(struct tap *tap);
/* What the device sends to and receives from. */
const struct net *tap_net(const struct tap *tap);
/* Frames of the guest that could not go out. */
u64 tap_dropped(const struct tap *tap);
/* By which the user pulls the cable. */
struct link *tap_link(struct tap *tap);

/* The name of the interface of a VM's own network. */
const char *tap_ifname(const struct tap *tap);

#endif
