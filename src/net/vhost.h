/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The queues of a network device served by another process over a vhost-user socket, as DPDK, VPP
 * and passt do. That process is trusted with guest memory, and with nothing else.
 *
 * Theory of operation (docs/adr/0024-vhost-user.md). The other process gets rings of ours, in a
 * memory of their own, not the guest's: what the device puts there was checked, and what comes back
 * is checked and told to gmem->written before the guest can see it. So translated code stays true
 * to memory, and a process that dies and comes back finds all buffers again.
 */
#ifndef COSM_NET_VHOST_H
#define COSM_NET_VHOST_H

#include "base/log.h"
#include "host/attendant.h"
#include "host/loop.h"
#include "port/gmem.h"
#include "port/virtq.h"

#define VHOST_QUEUES_MAX 16
#define VHOST_PATH_MAX   108 /* of a socket's address */

struct vhost;

struct vhost_config {
    struct loop *loop;
    const struct log *log;
    const char *path; /* of the socket, on which the other process listens */
    u32 queues;       /* at most VHOST_QUEUES_MAX, two a pair */
    /* All of region 0 of gmem is shared: memory_fd, from its beginning on. */
    const struct gmem *gmem;
    int memory_fd;
};

/* A path that a socket can have: 0, or -EINVAL and a sentence. */
MUST_CHECK int vhost_check_path(const char *path, struct err *err);

/* Connects and learns what the other process can do. If it goes, the connection is made anew. */
MUST_CHECK int vhost_create(struct vhost **vhost, const struct vhost_config *config,
                            struct err *err);

/* From now on the attendant connects, as this process is about to lose the way to the socket. */
MUST_CHECK int vhost_attend(struct vhost *vhost, struct attendant *attendant, struct err *err);

/* The user pulls the cable or plugs it; on the loop. */
void vhost_cut(struct vhost *vhost, bool cut);
/* Neither is the cable pulled, nor the other process gone. */
bool vhost_is_up(struct vhost *vhost);

/* What the device needs; valid until destroy. */
const struct virtq_server *vhost_server(const struct vhost *vhost);

/* Ends the connection; nothing is said to the device any more. The loop does not run. NULL is
 * allowed. */
void vhost_close(struct vhost *vhost);
/* Frees it once the loop is destroyed, as calls may be posted there. NULL is allowed. */
void vhost_destroy(struct vhost *vhost);

#endif
