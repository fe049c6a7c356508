/* SPDX-License-Identifier: BSD-2-Clause */
/* Connections to a port of a VM's guest, by its virtio sockets (share/vsock_host.h). */
#ifndef COSM_API_GUEST_PORT_H
#define COSM_API_GUEST_PORT_H

#include "api/record.h"

/*
 * Connects, and tries again for wait_s seconds while the guest does not listen there, as it may
 * still start: then waiting (NULL: none) is called, each second. A descriptor that blocks, or
 * -errno and the sentence, which tells the last line on the console.
 */
MUST_CHECK int guest_port_connect(const struct record *r, u32 port, u32 wait_s,
                                  void (*waiting)(void *ctx, u32 seconds), void *ctx,
                                  struct err *err);

#endif
