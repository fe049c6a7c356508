/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames through a UDP socket to a switch on another host: VXLAN, RFC 7348. */
#ifndef COSM_NET_VXLAN_H
#define COSM_NET_VXLAN_H

#include "net/lab.h"

#include <sys/types.h>

/* A socket that the tunnel's packets come to; before the sandbox closes. */
MUST_CHECK int vxlan_open(const struct lab_tunnel *tunnel, int *fd, struct err *err);

/* A frame whose checksums are done. False: it could not be sent. */
bool vxlan_send(int fd, const struct lab_tunnel *tunnel, const u8 *bytes, size_t len);

#define VXLAN_HEADER 8

/*
 * The next packet: its frame begins VXLAN_HEADER bytes behind bytes. Returns the frame's length, 0
 * for what is not of this tunnel, or -errno.
 */
ssize_t vxlan_receive(int fd, const struct lab_tunnel *tunnel, u8 *bytes, size_t room);

/* Is this the header of a frame of the tunnel? */
bool vxlan_is_ours(const struct lab_tunnel *tunnel, const u8 *bytes, size_t len);

#endif
