/* SPDX-License-Identifier: BSD-2-Clause */
/* A running VM from outside: stopped and continued, reset, ended, watched. All on its loop. */
#ifndef COSM_VMM_VM_CONTROL_H
#define COSM_VMM_VM_CONTROL_H

#include "host/console.h"
#include "host/loop.h"
#include "host/sandbox.h"
#include "vmm/vm.h"

/* Both live as long as the VM. The console is NULL where nothing is to run (dump_dtb). */
struct loop *vm_loop(struct vm *vm);
struct console *vm_console(struct vm *vm);

/* What its process may still do. Valid until destroy. */
const struct sandbox *vm_sandbox(const struct vm *vm);

enum vm_event {
    VM_EVENT_STOP,     /* it stands still, its clock included */
    VM_EVENT_RESUME,   /* it goes on */
    VM_EVENT_RESET,    /* it starts anew */
    VM_EVENT_JOB,      /* what is done to a disk has ended: vm_job_ended tells which */
    VM_EVENT_BALLOON,  /* the guest has given up memory or taken some back (vm_memory.h) */
    VM_EVENT_IO_ERROR, /* STOP follows: vm_disk_trouble tells why */
};

/* Called on the loop; one watcher. */
void vm_watch(struct vm *vm, void (*fn)(void *ctx, enum vm_event event), void *ctx);

/*
 * Stands still until vm_cont; a second one changes nothing. A debugger's stop is apart from it, and
 * so is one that the disks need; vm_cont has them try again.
 */
void vm_stop(struct vm *vm);
void vm_cont(struct vm *vm);
bool vm_is_stopped(const struct vm *vm);

/* Why the VM stands still by itself: the host cannot serve a disk. */
struct vm_trouble {
    const char *id, *path; /* of the disk, as long as it is there */
    bool reading;
    bool no_space; /* goes on by itself once there is space; else vm_cont tries again */
    const char *reason;
};

/* False: it does not. */
bool vm_disk_trouble(struct vm *vm, struct vm_trouble *trouble);

/* A disk of the VM. */
struct vm_disk {
    const char *id, *path, *format; /* path: absolute, links followed */
    const char *below;              /* the image that it lies on, likewise; NULL: none */
    const char *last_error;         /* of what was done to it last; NULL: it went well */
    u64 size;                       /* bytes, of the disk */
    bool readonly;
};

/* The disks in their order; false: there is none at this index. */
bool vm_disk_get(struct vm *vm, u32 index, struct vm_disk *disk);
/* A disk becomes larger while the guest runs, which hears of it. -ENOENT: no disk has this id. */
MUST_CHECK int vm_disk_resize(struct vm *vm, const char *id, u64 size, struct err *err);

/*
 * A new image of this path on top of the disk's: what the guest writes from now on goes there. fd:
 * of the new file, closed in any case, or -1: path is opened.
 */
MUST_CHECK int vm_disk_snapshot(struct vm *vm, const char *id, const char *path, int fd,
                                struct err *err);

/*
 * Begins to write what the disk's image holds into the one below; when that is done, the image is
 * empty. fd: of the file below, for writing, closed in any case, or -1. The image on top holds all
 * data at any moment.
 */
MUST_CHECK int vm_disk_commit(struct vm *vm, const char *id, int fd, struct err *err);
MUST_CHECK int vm_disk_commit_cancel(struct vm *vm, const char *id, struct err *err);

/* What is being done to the disk with this index. */
struct vm_job {
    const char *id;
    u64 done, total;   /* bytes */
    const char *error; /* of VM_EVENT_JOB; NULL: it went well */
};

bool vm_job_get(struct vm *vm, u32 index, struct vm_job *job);
/* The one that VM_EVENT_JOB tells of. */
const struct vm_job *vm_job_ended(const struct vm *vm);

/* As the reset button; with no_reboot that ends the run. */
void vm_push_reset(struct vm *vm);
/* Ends vm_run with this status. */
void vm_quit(struct vm *vm, int status);

/*
 * Asks the guest to power off: presses the power key. Where no driver listens to that, or when it
 * is asked again, its kernel is to write out its disks and power off: a break and keys on its
 * console, as Linux' SysRq has them; a guest that does not know of SysRq gets the letters s, u and
 * o as input. -EBUSY: it stands still and could not hear.
 */
MUST_CHECK int vm_ask_powerdown(struct vm *vm, struct err *err);

/* Virtio sockets listen on name in dir, too (share/vsock_host.h); before vm_run. Nothing if the VM
 * has none. */
MUST_CHECK int vm_vsock_listen(struct vm *vm, int dir, const char *name, struct err *err);

/* A break on the serial console; nothing on a virtio console. */
void vm_send_break(struct vm *vm);

/* What ended the run, after vm_run: "guest-shutdown", "guest-reset", "guest-panic", "host-signal",
 * "host-ui" (keys), "host-quit" (vm_quit), "host-error". */
const char *vm_end_reason(const struct vm *vm);

/* Counts since the start; harts are held for a moment. */
void vm_stats_each(struct vm *vm, void (*fn)(void *ctx, const char *name, u64 value), void *ctx);

#endif
