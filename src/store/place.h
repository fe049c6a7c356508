/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the store keeps things, by the XDG Base Directory specification:
 *
 *     $XDG_DATA_HOME/cosm/images/NAME/   base.qcow2, u-boot.bin, image.json: see store/image.h
 *     $XDG_DATA_HOME/cosm/vms/NAME/      disk.qcow2, vm.json, ...: see store/vm.h
 *     $XDG_DATA_HOME/cosm/ssh/           the user's key pair for all VMs
 *     $XDG_CACHE_HOME/cosm/packages/     apt's lists and packages
 */
#ifndef COSM_STORE_PLACE_H
#define COSM_STORE_PLACE_H

#include "base/err.h"

#define PLACE_MAX 4096

enum place { PLACE_IMAGES, PLACE_VMS, PLACE_SSH, PLACE_PACKAGES };

/* The path of a place and what is within (below "": the place itself); its folders are made. */
MUST_CHECK int place_path(char path[PLACE_MAX], enum place place, const char *below,
                          struct err *err);

/* dir/name. -ENAMETOOLONG and a sentence. */
MUST_CHECK int place_join(char path[PLACE_MAX], const char *dir, const char *name, struct err *err);

/* mkdir -p, for nobody else. */
MUST_CHECK int place_make(const char *path, struct err *err);

/*
 * One at a time: an exclusive lock on place/.NAME.lock, held by the descriptor that is returned. If
 * another has it, waits after a call of waiting (NULL: none).
 */
MUST_CHECK int place_lock(enum place place, const char *name, void (*waiting)(void *ctx), void *ctx,
                          struct err *err);

/* rm -r of a folder of ours. What is not there is removed. */
MUST_CHECK int place_remove(const char *path, struct err *err);

#endif
