/* SPDX-License-Identifier: BSD-2-Clause */
/* The VM's end of the process of a shared folder: a back end for a file system device. */
#ifndef COSM_SHARE_FS_PROCESS_H
#define COSM_SHARE_FS_PROCESS_H

#include "base/log.h"
#include "host/loop.h"
#include "host/sandbox.h"
#include "port/fs.h"

struct fs_process;

struct fs_process_config {
    const char *folder; /* on the host */
    bool readonly;
    u32 uid, gid; /* whom the user's files belong to in the guest */
    enum sandbox_mode sandbox;
};

/* Starts the process: this program again. Returns when it serves. */
MUST_CHECK int fs_process_create(struct fs_process **process, struct loop *loop,
                                 const struct log *log, const struct fs_process_config *config,
                                 struct err *err);

/* Ends the process; nothing is handed to the device any more. The loop does not run. NULL is
 * allowed. */
void fs_process_close(struct fs_process *process);
/* Frees it once the loop is destroyed and the device is gone. NULL is allowed. */
void fs_process_destroy(struct fs_process *process);

/* For the device; valid until destroy. */
const struct fs *fs_process_port(struct fs_process *process);

#endif
