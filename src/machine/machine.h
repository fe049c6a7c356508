/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Boards: which devices sit where, on which interrupt line, what the device tree says. One board
 * so far: virt, register- and address-compatible with QEMU's machine of that name.
 */
#ifndef COSM_MACHINE_MACHINE_H
#define COSM_MACHINE_MACHINE_H

#include "base/err.h"
#include "base/log.h"
#include "port/balloon.h"
#include "port/blk.h"
#include "port/bus.h"
#include "port/chardev.h"
#include "port/clock.h"
#include "port/entropy.h"
#include "port/fs.h"
#include "port/gmem.h"
#include "port/irq.h"
#include "port/net.h"
#include "port/virtq.h"
#include "port/vsock.h"

#define MACHINE_HARTS_MAX 32
#define MACHINE_VIRTIO_MAX                                                 \
    24 /* slots; those from 8 on are there only if something is plugged in \
        */
#define MACHINE_TIMEBASE_HZ UINT64_C(10000000)
#define MACHINE_RAM_BASE    UINT64_C(0x80000000)
#define MACHINE_FLASH_SIZE  UINT64_C(0x2000000) /* each of the pair, 32 MiB */

/* Interrupt inputs of a hart that the board drives: line numbers are mip bit positions. */
enum machine_hart_irq { MIP_SSIP = 1, MIP_MSIP = 3, MIP_MTIP = 7, MIP_SEIP = 9, MIP_MEIP = 11 };

enum machine_virtio_kind {
    MACHINE_VIRTIO_NONE,
    MACHINE_VIRTIO_BLK,
    MACHINE_VIRTIO_CONSOLE,
    MACHINE_VIRTIO_RNG,
    MACHINE_VIRTIO_NET,
    MACHINE_VIRTIO_VSOCK,
    MACHINE_VIRTIO_FS,
    MACHINE_VIRTIO_BALLOON,
    MACHINE_VIRTIO_BUTTON, /* an input device with a power key */
};

/* What is plugged into a virtio-mmio slot; the ports outlive the machine. */
struct machine_virtio {
    enum machine_virtio_kind kind;
    const struct blk *blk;
    u32 queues;      /* of virtio-blk; 0: 1 */
    char serial[21]; /* virtio-blk serial, may be "" */
    const struct chardev *chardev;
    const struct net *net;
    const struct virtq_server *server; /* of virtio-net, instead of net; or NULL */
    u32 pairs;                         /* of virtio-net's queues; 0: 1 */
    u8 mac[6];
    const struct vsock *vsock;
    u32 cid; /* virtio-vsock: the guest's */
    const struct balloon_port *balloon;
    const struct fs *fs;
    char tag[FS_TAG_SIZE + 1]; /* virtio-fs */
};

/* How the guest asks for the end (test finisher, SBI SRST). */
enum machine_exit { MACHINE_POWEROFF, MACHINE_REBOOT, MACHINE_FAIL };

/* Fires a timer's user callback on the event loop; made before harts run, never freed alone. */
struct machine_timers {
    struct timer_port (*create)(void *ctx, void (*fire)(void *fire_ctx, u32 arg), void *fire_ctx,
                                u32 arg);
    void *ctx;
};

/* A named item of fw_cfg, its name at most 55 characters. */
struct machine_fw_cfg {
    const char *name;
    const void *data; /* outlives the machine */
    u32 len;
};

struct machine_config {
    u64 ram_size; /* bytes, multiple of 4096 */
    u32 hart_count;
    const char *isa;                        /* riscv,isa: "rv64imafdc_zicsr_..." */
    const char *isa_extensions;             /* riscv,isa-extensions: "i\nm\na\n..." */
    const char *mmu_type;                   /* "riscv,sv57" ... "riscv,none" */
    u32 cbom_block, cboz_block, cbop_block; /* bytes; 0: extension absent */
    const char *bootargs;                   /* NULL or "": none */
    u32 boot_delay;                         /* s + 1 that a boot loader waits; 0: as it likes */
    gpa_t initrd;
    u64 initrd_size; /* bytes; 0: none */
    struct machine_virtio virtio[MACHINE_VIRTIO_MAX];
    u8 *flash[2]; /* MACHINE_FLASH_SIZE bytes each, or NULL: erased and read-only */
    bool flash_readonly[2];
    const struct machine_fw_cfg *fw_cfg;
    u32 fw_cfg_count;
};

/* What the board needs of the world around it. All outlive the machine. */
struct machine_ports {
    const struct log *log;
    struct clock clock;
    struct entropy entropy;
    struct machine_timers timers;
    struct gmem *gmem;                           /* RAM already in; the board adds its boot ROM */
    struct chardev console;                      /* UART0 transmit, room */
    struct irq_line hart_irq[MACHINE_HARTS_MAX]; /* set(ctx, mip bit, level) per hart */
    void (*exit)(void *ctx, enum machine_exit how, u32 code); /* from a hart thread; returns */
    void *exit_ctx;
};

struct machine;

MUST_CHECK int machine_create(struct machine **machine, const struct machine_config *config,
                              const struct machine_ports *ports, struct err *err);
/* Takes the boot ROM out of the gmem again. No hart runs, no timer is pending. */
void machine_destroy(struct machine *machine);

/* The harts' way to device registers. Valid until destroy. */
struct bus machine_bus(struct machine *machine);

/* Power-on state of all devices; boot ROM rewritten, rng-seed drawn anew. No hart runs. */
void machine_reset(struct machine *machine);

/* The device tree made for this configuration (flattened, version 17). Valid until destroy. */
const void *machine_dtb(struct machine *machine, size_t *size);

/*
 * Boot ROM at 0x1000: sets a0 = hartid, a1 = dtb, a2 = &fw_dynamic_info and jumps to entry, as
 * QEMU's reset vector does. next is where fw_dynamic enters S-mode (0: none). Returns its address,
 * at which harts start in M-mode. No hart runs.
 */
gpa_t machine_boot_rom(struct machine *machine, gpa_t entry, gpa_t dtb, gpa_t next);

/* UART0 receives: returns how many bytes it took; console.room is called when it can take more. */
size_t machine_console_receive(struct machine *machine, const u8 *bytes, size_t len);

/* UART0 receives a break. */
void machine_console_break(struct machine *machine);

/* The power key is pressed. False: there is none, or no driver listens. */
bool machine_press_power(struct machine *machine);

/* The console in that virtio slot receives, likewise; 0 if there is none. */
size_t machine_virtio_console_receive(struct machine *machine, u32 slot, const u8 *bytes,
                                      size_t len);

/* The memory balloon (device/virtio/balloon.h). False: the board has none; ask: no driver answers.
 */
bool machine_balloon_set(struct machine *machine, u64 bytes);
bool machine_balloon_ask(struct machine *machine);
bool machine_balloon_read(struct machine *machine, struct balloon_state *state);

/* The blk in that virtio slot has become larger; no request goes to it meanwhile. */
void machine_disk_resized(struct machine *machine, u32 slot);

/* Current mtime (MACHINE_TIMEBASE_HZ), for rdtime and the harts' own comparators. */
u64 machine_time(struct machine *machine);

/* The clock's nanosecond at which mtime reaches time; CLOCK_NEVER if too far away. */
u64 machine_time_ns(struct machine *machine, u64 time);

#endif
