/* SPDX-License-Identifier: BSD-2-Clause */
/* What a VM is to be: the choices of a command line, parsed and checked one by one. */
#ifndef COSM_VMM_CONFIG_H
#define COSM_VMM_CONFIG_H

#include "base/err.h"
#include "block/drive.h"
#include "block/serve.h"
#include "host/sandbox.h"
#include "net/lab.h"
#include "net/tap.h"
#include "net/vhost.h"
#include "port/fs.h"

#define VM_DRIVES_MAX    16
#define VM_QUEUES_MAX    16 /* of a drive */
#define VM_NETS_MAX      8
#define VM_SHARES_MAX    8
#define VM_SHARE_USER    1000 /* the first user of a Debian */
#define VM_FW_CFGS_MAX   16
#define VM_NET_PAIRS_MAX 8
#define VM_SLOTS         24 /* virtio-mmio slots of the board */
#define VM_HARTS_MAX     32
#define VM_PATH_MAX      4096
#define VM_RAM_MIN       MIB
#define VM_RAM_MAX       (1024 * GIB)
#define VM_RAM_DEFAULT   (128 * MIB)
#define VM_OWN_DEFAULT   GIB /* of memory_max */
#define VM_OWN_MIN       (256 * MIB)
#define VM_GDB_PORT      1234
#define VM_SLOT_ANY      (-1)

#define VM_ICOUNT_SHIFT     3
#define VM_ICOUNT_SHIFT_MAX 10

/* VM_ENGINE_BEST: jit where the host's processor allows it, else interp. */
enum vm_engine { VM_ENGINE_BEST, VM_ENGINE_INTERP, VM_ENGINE_JIT1, VM_ENGINE_JIT };
enum vm_console { VM_CONSOLE_UART, VM_CONSOLE_VIRTIO };
enum vm_stats { VM_STATS_OFF, VM_STATS_TEXT, VM_STATS_JSON };
enum vm_net_kind {
    VM_NET_USER,
    VM_NET_NULL,
    VM_NET_LOOPBACK,
    VM_NET_TAP,
    VM_NET_VHOST,
    VM_NET_LAB,
};

struct vm_drive {
    char path[VM_PATH_MAX];
    enum drive_format format;
    bool readonly;
    bool backing;    /* it may name images that it lies on */
    bool keep_reads; /* what is read of these stays in it */
    enum serve_policy rerror, werror;
    struct throttle throttle;
    struct fault fault;
    u32 reconnect_s; /* of an NBD export */
    u32 queues;      /* 0: one for each hart, VM_QUEUES_MAX at most */
    char id[32];     /* by which the control socket knows it; "disk0" if none is given */
    char serial[21]; /* "": none */
    int slot;        /* 0..VM_SLOTS-1 or VM_SLOT_ANY */
};

struct vm_net {
    enum vm_net_kind kind;
    bool has_mac;
    u8 mac[6]; /* if has_mac */
    int slot;
    bool implied;                /* by -p alone */
    char pcap[VM_PATH_MAX];      /* a record of the frames; "": none */
    struct net_settings user;    /* if kind is VM_NET_USER */
    u32 pairs;                   /* of queues; 0: 1 */
    struct tap_settings tap;     /* if kind is VM_NET_TAP */
    char socket[VHOST_PATH_MAX]; /* if kind is VM_NET_VHOST */
    struct lab_port port;        /* if kind is VM_NET_LAB, without vm and mac */
    struct lab_place lab;        /* of it the name; who makes the VM completes it */
};

/*
 * An item of the board's fw_cfg device, for firmware and guest: Linux shows it as
 * /sys/firmware/qemu_fw_cfg/by_name/NAME/raw, and systemd takes opt/io.systemd.credentials/NAME as
 * the credential NAME (systemd.system-credentials(7)).
 */
struct vm_fw_cfg {
    char name[56];           /* begins with "opt/" */
    char value[VM_PATH_MAX]; /* the text itself or, if file, where it lies */
    bool file;
};

/* A folder of the host for the guest. */
struct vm_share {
    char folder[VM_PATH_MAX];
    char place[VM_PATH_MAX];   /* where the guest shall have it; "": it mounts it itself */
    char tag[FS_TAG_SIZE + 1]; /* what it mounts */
    bool readonly;
    u32 uid, gid; /* whom the user's files belong to in the guest */
};

/* Sockets between guest and host. */
struct vm_vsock {
    bool enabled;
    bool chosen;            /* by an option; else the default of a VM with a name */
    u32 cid;                /* of the guest; 0: one that no other VM of this machine has */
    char path[VM_PATH_MAX]; /* of the host's socket; "": none but by the VM's name */
};

struct vm_pflash {
    char path[VM_PATH_MAX]; /* "": none */
    bool readonly;
};

/* Where gdb may connect. */
struct vm_gdb {
    bool enabled;
    char host[64]; /* numeric address: "127.0.0.1", "::1"; loopback unless asked for otherwise */
    u16 port;
};

/* Strings are the caller's (argv) and outlive the configuration; NULL: not given. */
struct vm_config {
    const char *name; /* what others call the VM; NULL: nothing */
    const char *kernel;
    const char *initrd;
    const char *append;   /* kernel command line */
    u32 boot_delay;       /* s + 1 that a boot loader waits for a key; 0: as long as it likes */
    const char *bios;     /* M-mode firmware; NULL or "none": the built-in SBI */
    const char *dtb;      /* instead of the generated device tree */
    const char *dump_dtb; /* write the device tree there and do not run */
    const char *cpu;      /* "rv64,+zba,-zbb": NULL: all that there is */
    const char *machine;  /* "virt,...": NULL: virt */
    const char *log;      /* spec of host/log.h */
    const char *symbols;  /* names of guest addresses: ELF file or System.map */
    const char *trace;    /* spec of vmm/trace_spec.h */
    bool ram_given, harts_given; /* else what follows are defaults */
    u64 ram_size;                /* bytes, multiple of 4096, VM_RAM_MIN..VM_RAM_MAX */
    u32 hart_count;              /* 1..VM_HARTS_MAX */
    enum vm_engine engine;
    struct vm_gdb gdb;
    bool paused; /* harts wait for gdb's continue */
    struct vm_drive drive[VM_DRIVES_MAX];
    u32 drive_count;
    struct vm_net net[VM_NETS_MAX];
    u32 net_count;
    struct vm_vsock vsock;
    struct vm_share share[VM_SHARES_MAX];
    u32 share_count;
    bool rng;          /* a virtio-rng in a slot */
    bool balloon;      /* a virtio-balloon in a slot */
    bool power_button; /* a virtio-input in a slot */
    enum vm_console console;
    struct vm_pflash pflash[2];
    struct vm_fw_cfg fw_cfg[VM_FW_CFGS_MAX];
    u32 fw_cfg_count;
    enum vm_stats stats;
    bool perf_map;              /* tell perf what translated code is */
    bool icount;                /* time is counted in instructions */
    u32 icount_shift;           /* one takes 2^icount_shift ns */
    u64 icount_seed;            /* of random numbers, which then are the same in each run */
    bool no_reboot;             /* a guest's reboot ends the run */
    file_holder_fn name_holder; /* tells whose a process is that uses an image; may be NULL */
    enum sandbox_mode sandbox;
    u64 memory_max; /* bytes of the process's own memory, beside the guest's; 0: no limit */
    bool detached;  /* the console is not on standard input and output */
};

/* "user", ...; "network": one that has a name. */
const char *vm_net_kind_name(enum vm_net_kind kind);

/* The defaults. */
void vm_config_init(struct vm_config *config);

/*
 * Each takes one value of a command line. -EINVAL and a sentence that begins with the value:
 * "'0' is not a number of harts; give 1 to 32". The configuration is then as it was.
 */
typedef int (*vm_config_parse_fn)(struct vm_config *config, const char *value, struct err *err);

MUST_CHECK int vm_config_parse_memory(struct vm_config *config, const char *value,
                                      struct err *err); /* 512M, 1G; a plain number is MiB */
MUST_CHECK int vm_config_parse_boot_delay(struct vm_config *config, const char *value,
                                          struct err *err); /* seconds */
MUST_CHECK int vm_config_parse_smp(struct vm_config *config, const char *value, struct err *err);
MUST_CHECK int vm_config_parse_machine(struct vm_config *config, const char *value,
                                       struct err *err); /* virt[,dumpdtb=FILE] */
MUST_CHECK int vm_config_parse_engine(struct vm_config *config, const char *value, struct err *err);
MUST_CHECK int vm_config_parse_gdb(struct vm_config *config, const char *value,
                                   struct err *err); /* "", [tcp:][host]:port, ",remote=on" */
MUST_CHECK int vm_config_parse_drive(struct vm_config *config, const char *value,
                                     struct err *err); /* PATH[,readonly=on][,serial=S][,slot=N] */
MUST_CHECK int
vm_config_parse_net(struct vm_config *config, const char *value,
                    struct err *err); /* [user|null|loopback|tap|NETWORK][,KEY=VALUE]... */
MUST_CHECK int vm_config_parse_publish(struct vm_config *config, const char *value,
                                       struct err *err); /* [ADDRESS:]PORT:GUEST-PORT[/udp] */
MUST_CHECK int vm_config_parse_volume(struct vm_config *config, const char *value,
                                      struct err *err); /* FOLDER:PLACE[:ro][,tag=T][,uid=N] */
MUST_CHECK int vm_config_parse_vsock(struct vm_config *config, const char *value,
                                     struct err *err); /* on|off|[guest-cid=N][,path=P] */
MUST_CHECK int vm_config_parse_rng(struct vm_config *config, const char *value,
                                   struct err *err); /* on|off */
MUST_CHECK int vm_config_parse_balloon(struct vm_config *config, const char *value,
                                       struct err *err); /* on|off */
MUST_CHECK int vm_config_parse_power_button(struct vm_config *config, const char *value,
                                            struct err *err); /* on|off */
MUST_CHECK int vm_config_parse_console(struct vm_config *config, const char *value,
                                       struct err *err); /* uart|virtio */
MUST_CHECK int vm_config_parse_pflash(struct vm_config *config, const char *value,
                                      struct err *err); /* PATH[,readonly=on][,unit=0|1] */
MUST_CHECK int vm_config_parse_fw_cfg(struct vm_config *config, const char *value,
                                      struct err *err); /* [name=]NAME,string=TEXT|file=PATH */
MUST_CHECK int vm_config_parse_stats(struct vm_config *config, const char *value,
                                     struct err *err); /* ""|text|json */
MUST_CHECK int vm_config_parse_sandbox(struct vm_config *config, const char *value,
                                       struct err *err); /* strict|auto|off */
MUST_CHECK int vm_config_parse_memory_max(struct vm_config *config, const char *value,
                                          struct err *err); /* a size, or none */
MUST_CHECK int vm_config_parse_icount(struct vm_config *config, const char *value,
                                      struct err *err); /* "", shift=N, seed=N, both */
MUST_CHECK int vm_config_parse_log(struct vm_config *config, const char *value, struct err *err);
MUST_CHECK int vm_config_parse_trace(struct vm_config *config, const char *value, struct err *err);

/* What no single option can tell: something to run, slots enough and not taken twice. */
MUST_CHECK int vm_config_check(const struct vm_config *config, struct err *err);

/* Bytes of "64", "64K", "512M", "1G", "2T" (also k, KiB, ...); a plain number counts unit bytes. */
MUST_CHECK int vm_config_size(const char *value, u64 unit, u64 *bytes, struct err *err);

#endif
