/* SPDX-License-Identifier: BSD-2-Clause */
/* A FUSE server (protocol 7.31 and later) for a guest that is not trusted, over a shared folder. */
#ifndef COSM_SHARE_FS_FUSE_H
#define COSM_SHARE_FS_FUSE_H

#include "port/fs.h"
#include "share/fs_tree.h"

struct fs_server {
    struct fs_tree tree;
    bool readonly;
    bool begun; /* the guest has introduced itself */
    u32 user;   /* whose files are shown as uid's and gid's; all others are nobody's */
    u32 uid, gid;
};

/*
 * Answers the request of len bytes in place: the reply, at most room bytes, replaces it. Returns
 * its length; 0: there is none.
 */
u32 fs_fuse_serve(struct fs_server *server, u8 *message, u32 len, u32 room);

#endif
