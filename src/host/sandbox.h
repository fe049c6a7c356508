/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a process that serves a guest may still do: less than the user who started it.
 *
 * The process opens what it needs, calls sandbox_enter while it has one thread, and starts its
 * threads then. Each begins with sandbox_thread, which leaves it the system calls of its kind alone
 * (host/syscalls.def). Nothing of this can be undone. docs/security.md tells what it is against.
 */
#ifndef COSM_HOST_SANDBOX_H
#define COSM_HOST_SANDBOX_H

#include "base/err.h"

/* AUTO: what the host does not give is told; STRICT: it is an error. */
enum sandbox_mode { SANDBOX_AUTO, SANDBOX_STRICT, SANDBOX_OFF };

/* Kinds of threads, bits: a thread may be of several. */
enum {
    SANDBOX_MAIN = 1,       /* the event loop of a VM: devices, console input, control, debugger */
    SANDBOX_HART = 2,       /* runs guest code, and the devices that it touches */
    SANDBOX_TRANSLATOR = 4, /* makes code */
    SANDBOX_DISK = 8,       /* reads and writes images */
    SANDBOX_WRITER = 16,    /* writes what the console shows, or its log */
    SANDBOX_NET = 32,       /* a process that does user networking */
    SANDBOX_SWITCH = 64,    /* a process that joins VMs to a network */
    SANDBOX_SHARE = 128,    /* a process that serves a shared folder */
    /* The main thread of a VM's process: all that its threads may become. */
    SANDBOX_VM = SANDBOX_MAIN | SANDBOX_HART | SANDBOX_TRANSLATOR | SANDBOX_DISK | SANDBOX_WRITER,
};

/* What the process can open from now on, beside what it has open. */
struct sandbox_grant {
    const char *path; /* a file or folder as it will be named; NULL: fd's alone */
    int *fd;          /* a folder that is open and is to lead to what lies in it alone; or NULL */
    bool write;
    bool tree;        /* write: folders and links may be made, renamed and removed, too */
    const char *link; /* a symbolic link to make, to target; or NULL */
    const char *target;
};

struct sandbox_plan {
    enum sandbox_mode mode;
    const char *who; /* "the VM's process", for sentences */
    u32 kinds;       /* of the calling thread; those that it starts can have no others */
    const struct sandbox_grant *grant;
    u32 grants;
    bool host_network; /* it may reach the network */
    u64 memory_max;    /* bytes of memory of its own, that is not shared with others; 0: no limit */
    u64 address_max;   /* bytes of address space; 0: no limit */
    u32 files_max;     /* descriptors; 0: the usual number */
};

/* What it came to. All zero: no sandbox. */
struct sandbox {
    enum sandbox_mode mode;
    bool on;
    bool namespaces; /* of users, mounts, IPC, names */
    bool network;    /* an empty network of its own */
    bool landlock;
    bool syscalls;
    u64 memory_max;
    char missing[240]; /* a sentence on what the host did not give; "" */
};

/*
 * Files are confined if the host gives mount namespaces or Landlock; then a missing one of the two
 * is nothing to tell. -errno and a sentence: strict, and something is missing, or the host is in
 * the middle of it and refuses. A process with several threads is an error of the programmer's.
 */
MUST_CHECK int sandbox_enter(struct sandbox *sandbox, const struct sandbox_plan *plan,
                             struct err *err);

/* The calling thread is of these kinds from now on. Without a sandbox (NULL too) it does nothing.
 */
void sandbox_thread(const struct sandbox *sandbox, u32 kinds);

/* "full", "partial" or "none", for people and programs. */
const char *sandbox_state(const struct sandbox *sandbox);

/* The name of a mode, and back: false if there is none of that name. */
const char *sandbox_mode_name(enum sandbox_mode mode);
bool sandbox_mode_parse(const char *text, enum sandbox_mode *mode);

/* What a run does that was not told: $COSM_SANDBOX, else auto; off where a sanitizer needs more. */
enum sandbox_mode sandbox_mode_default(void);
/* -EINVAL: $COSM_SANDBOX is no mode. */
MUST_CHECK int sandbox_mode_check(struct err *err);

/* The parts, in files of their own. -errno of what failed first. */
MUST_CHECK int sandbox_namespaces(const struct sandbox_plan *plan);
MUST_CHECK int sandbox_landlock(const struct sandbox_plan *plan);
MUST_CHECK int sandbox_syscalls(u32 kinds);

#endif
