/* SPDX-License-Identifier: BSD-2-Clause */
/* What a VM's process and the process of a shared folder say to each other: both are cosm. */
#ifndef COSM_SHARE_FS_WIRE_H
#define COSM_SHARE_FS_WIRE_H

#include "host/sandbox.h"
#include "port/fs.h"

#define FS_WIRE_COMMAND "share-process" /* argv[1] of the process */

/* Descriptors that the process is started with. */
enum { FS_WIRE_SOCKET = 3, FS_WIRE_MEMORY = 4, FS_WIRE_ROOT = 5 };

/* A message of the socket, which keeps boundaries; slots lie in a row in the memory. */
struct fs_wire {
    u32 slot;
    u32 len;  /* bytes of the request; of the reply */
    u32 room; /* for the reply */
};

/* The first message, and its answer. */
struct fs_wire_start {
    bool readonly;
    u32 uid, gid; /* whom the user's files belong to in the guest */
    enum sandbox_mode sandbox;
};
struct fs_wire_answer {
    s32 code;       /* 0 or -errno */
    char text[256]; /* why not; with code 0 a warning or "" */
};

#endif
