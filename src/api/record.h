/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is kept of a VM under its name, in a folder of its own below dirs_open_state:
 *
 *     config.json     how it was made: see record_config
 *     lock            the process' number; locked (OFD) as long as the VM's process lives
 *     status.json     how it ended; no such file and no lock: the process died
 *     console.log(.1) what the guest printed (api/hub.h), and cosm.log: what cosm said meanwhile
 */
#ifndef COSM_API_RECORD_H
#define COSM_API_RECORD_H

#include "api/dirs.h"

#include <sys/types.h>

#define RECORD_NAME_MAX 64 /* with its NUL */
#define RECORD_ARGS_MAX 256

enum record_state { RECORD_RUNNING, RECORD_ENDED, RECORD_DIED };

/* An opened record. dir and lock: -1 when closed. */
struct record {
    char name[RECORD_NAME_MAX];
    int dir, lock;
};

struct record_config {
    u64 memory; /* bytes */
    u32 harts;
    char *const *argv; /* of cosm, up to NULL */
    s64 created;       /* s since 1970 */
    char runtime[DIRS_PATH_MAX];
};

struct record_info {
    enum record_state state;
    pid_t pid;
    u64 memory;
    u32 harts;
    s64 created, ended; /* s since 1970; ended: 0 unless RECORD_ENDED */
    int status;         /* RECORD_ENDED */
    char reason[32];    /* RECORD_ENDED: vm_end_reason */
    char runtime[DIRS_PATH_MAX];
};

/* Letters, digits, '.', '_' and '-', the first a letter or digit. */
MUST_CHECK int record_check_name(const char *name, struct err *err);

/*
 * A new record, locked by this process and those that it forks. name NULL: the first free of vm1,
 * vm2, ... -EEXIST: the name is taken.
 */
MUST_CHECK int record_create(struct record *r, const char *name, const struct record_config *config,
                             struct err *err);
/* This process is the VM's. */
MUST_CHECK int record_own(struct record *r, struct err *err);
/* How it ended. */
MUST_CHECK int record_finish(const struct record *r, int status, const char *reason,
                             struct err *err);

/* -ENOENT: there is none of this name. */
MUST_CHECK int record_open(struct record *r, const char *name, struct err *err);
void record_close(struct record *r);

/* state is right even if files are not. */
void record_read(const struct record *r, struct record_info *info);
bool record_is_alive(const struct record *r);
/* Waits until the process has ended; false: after ms milliseconds it still lives. Negative: ever.
 */
bool record_wait(const struct record *r, int ms);

/*
 * Connects to the socket of its process that has this suffix (".sock", ".console", ".vsock"); a
 * descriptor that blocks. -ENOTCONN: no process has the name; -ENOENT: it has no such socket (yet).
 */
MUST_CHECK int record_connect(const struct record *r, const char *suffix, struct err *err);

/* The files, the sockets and the name; -EBUSY: it runs. */
MUST_CHECK int record_remove(struct record *r, struct err *err);
/* -EBUSY: it runs; -EEXIST: the name is taken. */
MUST_CHECK int record_rename(struct record *r, const char *name, struct err *err);

/* Names in their order; *names is an array for free(). */
MUST_CHECK int record_list(char (**names)[RECORD_NAME_MAX], size_t *count, struct err *err);

/* The name of the VM whose process this is; false: none has. */
bool record_name_of(long pid, char *name, size_t size);

/* The last line on the console that is not empty, what cannot be printed left out; "": none. */
void record_last_line(const struct record *r, char *line, size_t size);

#endif
