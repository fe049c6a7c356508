/* SPDX-License-Identifier: BSD-2-Clause */
/* The state of a VM, for the files of vmm that share it. */
#ifndef COSM_VMM_VM_STATE_H
#define COSM_VMM_VM_STATE_H

#include "exec/exec.h"
#include "host/attendant.h"
#include "host/clock.h"
#include "host/console.h"
#include "host/log.h"
#include "host/loop.h"
#include "host/memory.h"
#include "host/sandbox.h"
#include "host/signals.h"
#include "machine/boot_plan.h"
#include "machine/machine.h"
#include "net/loopback.h"
#include "net/process.h"
#include "port/lock.h"
#include "rv/debug.h"
#include "sbi/sbi.h"
#include "share/fs_process.h"
#include "share/vsock_host.h"
#include "vmm/gdb.h"
#include "vmm/vm.h"
#include "vmm/vm_control.h"
#include "vmm/vm_listen.h"
#include "vmm/vm_trace.h"

/* A hart's own timer comparator, stimecmp or vstimecmp. */
struct vm_timer {
    struct lock lock; /* of time and delta, and of the wire that follows from them */
    u64 time;         /* mtime units */
    u64 delta;        /* what a guest's time is ahead of mtime */
    struct timer_port port;
};

/* Whose interrupt inputs a board's irq_line drives. */
struct vm_wires {
    struct vm *vm;
    u32 hart;
};

/* How a guest asked for the end; under end_lock. */
struct vm_end {
    bool asked;
    enum machine_exit how;
    u32 code;
};

/* vm_clock.c: the guest's wall clock is being set. */
struct vm_clock_sync {
    bool watches;
    u64 lead_ns;  /* of the wall clock over the VM's own, when the guest's was right */
    int watch_fd; /* host/wall.h */
    struct loop_fd *watch_handler;
    struct timer_port timer;
    u32 tries;
    int fd; /* the connection to the guest; -1: none */
    struct loop_fd *handler;
    bool accepted;
    u32 rounds, len;
    char line[64];
};

struct vm {
    const struct vm_config *config;
    struct isa isa;
    char isa_text[1024], isa_list[1024];

    struct sandbox sandbox;
    struct attendant attendant;
    int statm; /* /proc/self/statm, which a sandbox does not let open; -1: none */
    struct log_sink *log_sink;
    const struct log *log;
    struct host_clock clock;
    u64 random; /* state of the random numbers, with icount */
    struct loop *loop;
    struct signals *signals;
    struct console *console;
    struct chardev console_port;

    struct host_memory ram;
    u8 *flash[2];
    struct machine_fw_cfg fw_cfg[VM_FW_CFGS_MAX + 1]; /* the configuration's, and fstab */
    u32 fw_cfg_count;
    char *fstab;
    struct gmem gmem;
    struct hart_env env;
    struct exec *exec;
    struct vm_trace *trace;   /* NULL: none */
    struct vm_listen *listen; /* NULL: none */
    struct vm_timer timer[VM_HARTS_MAX], guest_timer[VM_HARTS_MAX];
    struct vm_wires wires[VM_HARTS_MAX];

    struct blk *blk[VM_DRIVES_MAX];
    u32 blk_slot[VM_DRIVES_MAX];
    /* Of the image and of the one that it lies on, without links; malloc'ed, NULL: none. */
    char *blk_path[VM_DRIVES_MAX], *blk_below[VM_DRIVES_MAX];
    struct vm_disk_job *job[VM_DRIVES_MAX]; /* NULL: nothing is being done to the disk */
    struct err job_error[VM_DRIVES_MAX];    /* of the last; "": it went well */
    const struct vm_job *job_ended;         /* while VM_EVENT_JOB is told */
    _Atomic bool disks_posted;              /* vm_disks.c: the loop is to look at them */
    bool starved;                           /* held as requests wait for the host */
    struct loopback loopback[VM_NETS_MAX];
    struct net_process *net_process[VM_NETS_MAX]; /* NULL: none */
    u8 mac[VM_NETS_MAX][6];
    struct lab *lab[VM_NETS_MAX];   /* NULL: none */
    struct tap *tap[VM_NETS_MAX];   /* NULL: none */
    struct link *link[VM_NETS_MAX]; /* of these; NULL: none */
    struct vhost *vhost[VM_NETS_MAX];
    struct vsock_host *vsock; /* NULL: none */
    struct fs_process *share[VM_SHARES_MAX];
    struct vm_clock_sync clock_sync;
    struct balloon_port balloon_port;
    struct timer_port balloon_timer; /* VM_EVENT_BALLOON is to be told */
    _Atomic u64 balloon_told_ns;     /* when it was, loop_now */
    u32 virtio_console_slot;
    struct machine *machine;
    struct boot_plan plan;
    void *user_dtb; /* patched, or NULL */
    size_t user_dtb_size;

    struct sbi *sbi; /* NULL: M-mode firmware serves */
    struct gdb *gdb;
    struct gdb_target gdb_target;
    struct gdb_csr *gdb_csrs;
    struct debug_points points;
    bool standing;    /* held for the debugger */
    bool stop_posted; /* under end_lock */
    u32 stop_hart;
    enum hart_exit stop_why;

    struct lock end_lock;
    struct vm_end end;
    bool over; /* the loop has ended: what a hart still posts comes too late */
    int status;
    const char *end_reason; /* vm_control.h; NULL: the console's keys */

    u32 holds;    /* the clock stands while there are any */
    bool stopped; /* held by vm_stop */
    void (*watcher)(void *ctx, enum vm_event event);
    void *watcher_ctx;
    u64 start_ns; /* of vm_run, host_monotonic_ns */
    struct timer_port powerdown;
    u32 powerdown_step;
    bool power_pressed; /* since the guest started */
};

/* vm_boot.c: reads the images into RAM (vm->plan); before the machine is made. */
MUST_CHECK int vm_load_images(struct vm *vm, struct err *err);
/* vm_boot.c: the items of fw_cfg (vm->fw_cfg), once. */
MUST_CHECK int vm_load_fw_cfg(struct vm *vm, struct err *err);
void vm_free_fw_cfg(struct vm *vm);
/* Names of guest addresses: of --symbols, else of a kernel that is an ELF file, else NULL. */
MUST_CHECK int vm_load_symbols(struct vm *vm, struct symbols **symbols, struct err *err);
/* Places the device tree and sets the harts to where they start. All harts are paused. */
MUST_CHECK int vm_boot(struct vm *vm, struct err *err);
const void *vm_boot_dtb(struct vm *vm, size_t *size);

/* vm_platform.c: the harts' and the SBI's way to the rest of the VM. */
void vm_platform_env(struct vm *vm);
void vm_platform_timers(struct vm *vm);
MUST_CHECK int vm_platform_sbi(struct vm *vm, struct err *err);
/* exec's callbacks: a hart stopped by an SBI call, woke from suspend. */
void vm_hart_stopped_itself(void *ctx, struct hart *hart);
void vm_hart_woke(void *ctx, struct hart *hart);
/* The VM is to end or reboot: the hart asks, the loop does it. Any thread. */
void vm_ask_end(struct vm *vm, enum machine_exit how, u32 code);
/* On the loop; in vm.c. */
void vm_end_posted(void *ctx);
/* The slot that was asked for, else the first that is free and nobody asked for; in vm.c. */
MUST_CHECK int vm_take_slot(const struct vm *vm, const struct machine_config *mc, int wanted,
                            const char *what, struct err *err);
/* Power-on state everywhere, images read anew. All harts are paused; in vm.c. */
MUST_CHECK int vm_reset(struct vm *vm, struct err *err);

/* vm_icount.c: time, timers and random numbers: the host's, or such as are the same in each run. */
struct clock vm_clock(struct vm *vm);
struct timer_port vm_timer(void *vm, void (*fire)(void *fire_ctx, u32 arg), void *fire_ctx,
                           u32 arg);
struct entropy vm_entropy(struct vm *vm);

/* vm_control.c: harts and clock stand until as many unholds; on the loop. */
void vm_hold(struct vm *vm);
void vm_unhold(struct vm *vm);
void vm_tell(struct vm *vm, enum vm_event event);

/* vm_net.c: the link of an interface, for its slot; where nothing will run, a dead one. */
MUST_CHECK int vm_net_create(struct vm *vm, u32 index, struct machine_virtio *slot,
                             struct err *err);
void vm_nets_close(struct vm *vm);
void vm_nets_destroy(struct vm *vm); /* once the loop is destroyed */

/* vm_debug.c */
MUST_CHECK int vm_debug_create(struct vm *vm, struct err *err);
void vm_debug_destroy(struct vm *vm);
/* exec's callback. */
void vm_debug_hart_stopped(void *ctx, struct hart *hart, enum hart_exit why);

/* vm_disks.c */
MUST_CHECK int vm_disk_open(struct vm *vm, u32 i, struct err *err); /* of config->drive */
/* Who connects them anew once this process cannot. */
MUST_CHECK int vm_disks_attend(struct vm *vm, struct err *err);
/* Nobody uses the disk between these: harts stand, no request is under way. */
void vm_disk_hold(struct vm *vm, u32 i);
void vm_disk_release(struct vm *vm, u32 i);
MUST_CHECK int vm_disk_find(struct vm *vm, const char *id, u32 *index, struct err *err);
/* What waits for the host is tried again. */
void vm_disks_retry(struct vm *vm);

/* vm_clock.c: the guest is told when its wall clock is wrong. watch: before the sandbox. */
MUST_CHECK int vm_clock_watch(struct vm *vm, struct err *err);
/* The VM goes on: is it? */
void vm_clock_check(struct vm *vm);
/* The guest is about to read the time by itself. */
void vm_clock_started(struct vm *vm);
void vm_clock_close(struct vm *vm);

/* vm_memory.c */
MUST_CHECK int vm_memory_plug(struct vm *vm, struct machine_config *mc, struct err *err);
/* Bytes that the process has on the host. */
u64 vm_resident(const struct vm *vm);

/* vm_share.c: what guest and host share. close: nothing is said to devices any more. */
MUST_CHECK int vm_share_plug(struct vm *vm, struct machine_config *mc, struct err *err);
/* Adds to vm->fw_cfg where a guest with systemd is to mount folders. */
MUST_CHECK int vm_share_tell(struct vm *vm, struct err *err);
void vm_share_close(struct vm *vm);
void vm_share_destroy(struct vm *vm);

/* vm_confine.c: first on each of exec's threads. */
void vm_thread_began(void *ctx, bool translates);

/* vm_jobs.c */
/* The image that a disk has on top. */
struct node *vm_disk_image(struct vm *vm, u32 i);
/* Gives up what is being done to disks. When the loop has ended. */
void vm_jobs_end(struct vm *vm);

/* vm_stats.c: writes counters to standard error, as text or JSON. */
void vm_stats_print(struct vm *vm, u64 elapsed_ns);

#endif
