/* SPDX-License-Identifier: BSD-2-Clause */
/* The process of a shared folder. */
#ifndef COSM_SHARE_FS_SERVE_H
#define COSM_SHARE_FS_SERVE_H

/* Serves over the descriptors of share/fs_wire.h until their other end is closed; exit status. */
int fs_serve(void);

#endif
