/* SPDX-License-Identifier: BSD-2-Clause */
/* The user's folders of the XDG Base Directory specification, made and checked; small files there.
 */
#ifndef COSM_API_DIRS_H
#define COSM_API_DIRS_H

#include "base/err.h"

#define DIRS_PATH_MAX 4096

/*
 * What lasts: $XDG_STATE_HOME/cosm/KIND, else ~/.local/state/cosm/KIND. Returns a descriptor, or
 * -errno and the sentence: nobody but the user may be able to write there.
 */
MUST_CHECK int dirs_open_kept(const char *kind, struct err *err);
/* VMs: kind "vm". */
MUST_CHECK int dirs_open_state(struct err *err);

/*
 * Sockets: $XDG_RUNTIME_DIR/cosm; without that /tmp/cosm-UID. Mode 0700 and the user's own, else it
 * is refused. path gets its name.
 */
MUST_CHECK int dirs_open_runtime(char path[DIRS_PATH_MAX], struct err *err);

/* An existing one, checked as above. */
MUST_CHECK int dirs_open_checked(const char *path, struct err *err);

/* Replaces a file as a whole: a reader sees the old one or the new one. 0 or -errno. */
MUST_CHECK int dirs_write(int dir, const char *name, const char *text, size_t len);

/* The whole file, with a NUL; its length, or -errno (-EFBIG: it does not fit). */
MUST_CHECK int dirs_read(int dir, const char *name, char *text, size_t size);

#endif
