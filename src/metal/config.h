/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration of a board as cosm-metal carries it: one constant structure, made and checked
 * by the compiler of configurations (src/plan), patched into the image, trusted by the hypervisor.
 * It has no pointers: tables name each other by index. Little-endian, natural alignment.
 *
 * Times are in ticks of the board's timebase, sizes in bytes. gpa: guest-physical, hpa: the
 * board's.
 */
#ifndef COSM_METAL_CONFIG_H
#define COSM_METAL_CONFIG_H

#include "base/types.h"

#define METAL_MAGIC   UINT64_C(0x4c4154454d534f43) /* "COSMETAL" as bytes */
#define METAL_VERSION 6

#define METAL_NAME_MAX       16 /* with the NUL */
#define METAL_HARTS_MAX      8
#define METAL_PARTITIONS_MAX 8
#define METAL_VCPUS_MAX      16 /* of all partitions */
#define METAL_REGIONS_MAX    64
#define METAL_IMAGES_MAX     24
#define METAL_SOURCES_MAX    64 /* virtual interrupt sources of a partition, 1..63 */
#define METAL_IRQS_MAX       64
#define METAL_DOORBELLS_MAX  32
#define METAL_VDEVS_MAX      16
#define METAL_PLANS_MAX      4
#define METAL_WINDOWS_MAX    32   /* of a hart in a plan */
#define METAL_VECTOR_BYTES   8192 /* of a vCPU's vector registers: VLEN of 2048 bits at most */
#define METAL_TABLES_MAX     96 /* pages of G-stage tables in the hypervisor, root tables included */

#define METAL_NONE 0xffff /* an index that names nothing */

/* Interrupt controllers, of the board and so of its partitions. */
enum metal_intc {
    METAL_INTC_PLIC, /* partitions see an emulated PLIC; its context n is vCPU n's S-mode */
    METAL_INTC_AIA,  /* IMSIC with guest files, and an APLIC that partitions see emulated */
};

/* What becomes of the board when no partition runs and so none can start another one; the first two
 * are reset types of SRST. */
enum metal_all_stopped {
    METAL_ALL_STOPPED_OFF,
    METAL_ALL_STOPPED_REBOOT,
    METAL_ALL_STOPPED_STAY,
};

struct metal_board {
    u64 timebase; /* ticks a second */
    u64 ram_hpa, ram_size;
    u64 self_hpa,
        self_size;  /* the hypervisor: cosm-metal.bin, images included, with its own memory */
    u64 uart_hpa;   /* the hypervisor's console, an 8250's registers; 0: none */
    u32 uart_shift; /* register n is at uart_hpa + (n << uart_shift) */
    u32 intc;       /* enum metal_intc */
    u64 plic_hpa, plic_size;   /* METAL_INTC_PLIC */
    u64 sswi_hpa;              /* METAL_INTC_PLIC: an ACLINT SSWI device; 0: none */
    u64 aplic_hpa, aplic_size; /* METAL_INTC_AIA: the supervisor domain */
    u64 imsic_hpa;             /* the S-level files */
    u32 imsic_guest_bits;      /* a hart's files: 1 << this, a page each; file 0 is S's own */
    u32 imsic_hart_bits;       /* harts of a group; further groups: imsic_group_shift */
    u32 imsic_group_shift;     /* address bits of the group number, if there is more than one */
    u32 imsic_ids;             /* highest interrupt identity, as 63, 127, 255 */
    u32 sources;               /* wired sources of PLIC or APLIC: 1..sources */
    u32 hart_count;
    u32 vector_size;   /* bytes behind the core for vector registers: METAL_VECTOR_BYTES for each
                          vCPU, or 0 if no partition has METAL_MAY_VECTOR */
    u32 all_stopped;   /* enum metal_all_stopped */
    u32 dma_partition; /* which has devices that reach memory by themselves; METAL_NONE: none */
    u32 reserved;
    u64 iommu_hpa;                /* 0: none */
    u32 iommu_first, iommu_count; /* ids behind it of what dma_partition has; the count is a power
                                     of two, of which the first is a multiple */
    u64 pci_hpa;                  /* configuration of PCI functions (ECAM) that it has; 0: none */
};

/* The page of the S-level file of the hart with that index; its guest files follow. */
static inline u64 imsic_hpa(const struct metal_board *b, u32 index)
{
    u64 group = (u64)index >> b->imsic_hart_bits, hart = index & ((1u << b->imsic_hart_bits) - 1);

    return b->imsic_hpa + (group << b->imsic_group_shift) + (hart << (12 + b->imsic_guest_bits));
}

/* How a hart gives its time. */
enum metal_hart_mode {
    METAL_HART_UNUSED,
    METAL_HART_EXCLUSIVE, /* one vCPU for ever */
    METAL_HART_CYCLIC,    /* the windows of the plan in force */
    METAL_HART_PRIORITY,  /* the highest ready vCPU that has budget left */
};

struct metal_hart {
    u32 hart_id;      /* as firmware knows it */
    u32 mode;         /* enum metal_hart_mode */
    u32 plic_context; /* its S-mode context in the board's PLIC */
    u16 imsic_index;  /* its place among the S-level files */
    u16 vcpu_count;   /* vCPUs on it, which lie one after the other in the table of vCPUs */
    u16 vcpu_first;
    u16 sswi_index; /* its register of the SSWI device */
    u16 reserved[2];
};

/* A window of a hart's frame. The windows of a frame are in order and do not overlap; the rest is
 * idle. */
struct metal_window {
    u64 start, length; /* from the frame's start; start + length <= frame */
    u16 vcpu;          /* index in the table of vCPUs */
    u16 reserved[3];
};

struct metal_plan {
    char name[METAL_NAME_MAX];
    u64 frame; /* major frame; 0: the plan is not there */
    u32 window_count[METAL_HARTS_MAX];
    struct metal_window window[METAL_HARTS_MAX][METAL_WINDOWS_MAX];
};

/* What a partition's health policy decides on. */
enum metal_event {
    METAL_EVENT_MEMORY, /* an access to guest-physical addresses that are not the partition's */
    METAL_EVENT_INSTRUCTION, /* a virtual-instruction trap, or an MMIO access that is no plain load
                                or store */
    METAL_EVENT_WATCHDOG,    /* not kicked in time */
    METAL_EVENT_BUDGET,      /* of a vCPU with fixed priority, used up before it was idle */
    METAL_EVENT_RAISED,      /* the partition says so itself */
    METAL_EVENT_SHUTDOWN,    /* SRST shutdown, or its last hart stopped */
    METAL_EVENT_REBOOT,      /* SRST reboot */
    METAL_EVENT_IMAGE,       /* an image's SHA-256 is not the configured one, at boot or restart */
    METAL_EVENT_DMA,         /* a device's access to addresses that are not its partition's */
    METAL_EVENTS,
};

enum metal_action {
    METAL_ACTION_IGNORE,  /* memory, instruction: skipped, loads give 0 */
    METAL_ACTION_LOG,     /* as ignore, with a line in the log */
    METAL_ACTION_GUEST,   /* the architectural exception to the guest (memory, instruction); else as
                             log */
    METAL_ACTION_STOP,    /* the partition */
    METAL_ACTION_RESTART, /* the partition, cold: images loaded anew, other memory zeroed */
    METAL_ACTION_WARM,    /* the partition, warm: images loaded anew, other memory kept */
    METAL_ACTION_PLAN,    /* switch to the plan of the rule at the frame's end */
    METAL_ACTION_HALT,    /* shut the board down */
};

struct metal_rule {
    u16 action; /* enum metal_action */
    u16 plan;   /* METAL_ACTION_PLAN */
    u32 limit;  /* restarts by this rule; after that many: stop. 0: no limit */
};

/* Rights of a partition beside its own affairs. */
#define METAL_MAY_CONTROL 1u /* stop, start and restart partitions, switch plans */
#define METAL_MAY_MONITOR 2u /* read log and trace */
#define METAL_MAY_VECTOR  4u /* execute vector instructions; the board's harts have V */

struct metal_partition {
    char name[METAL_NAME_MAX];
    u16 vcpu_first, vcpu_count; /* in the table of vCPUs of partition; see metal_config.vcpu_of */
    u16 region_first, region_count;
    u16 image_first, image_count;
    u32 rights;    /* METAL_MAY_... */
    u32 sources;   /* highest virtual interrupt source */
    u32 vmid;      /* 1.. */
    u32 start;     /* 1: starts at boot; 0: by METAL_MAY_CONTROL */
    u64 entry;     /* gpa where vCPU 0 starts, a0 = 0, a1 = arg */
    u64 arg;       /* gpa of its device tree, or what else the configuration says */
    u64 intc_gpa;  /* its emulated PLIC or APLIC; 0: none */
    u64 uart_gpa;  /* its emulated 8250 in front of the console; 0: none */
    u64 imsic_gpa; /* METAL_INTC_AIA: guest files of its vCPUs, a page each */
    u64 watchdog;  /* ticks; 0: none. Runs from the first kick */
    struct metal_rule rule[METAL_EVENTS];
};

/* vCPUs, ordered by hart. */
struct metal_vcpu {
    u16 partition, number; /* number: the guest's hart id, 0.. within the partition */
    u16 hart;              /* index in metal_config.hart */
    u16 guest_file;        /* METAL_INTC_AIA: 1.. on its hart */
    u32 priority;          /* METAL_HART_PRIORITY: higher runs first */
    u32 reserved;
    u64 budget, period; /* METAL_HART_PRIORITY: replenished each period; budget 0: no limit */
};

/* Mappings of a partition's G-stage. */
#define METAL_REGION_READ  1u
#define METAL_REGION_WRITE 2u
#define METAL_REGION_EXEC  4u
#define METAL_REGION_DEVICE \
    8u /* registers of a device that is passed through: never loaded, zeroed */
/* Of a channel, or the memory of a partition that another serves (virtio): kept when a partition
 * restarts. Zeroed at boot alone, before any image is loaded. */
#define METAL_REGION_SHARED 16u

struct metal_region {
    u64 gpa, hpa,
        size;  /* multiples of 4096; with the same offset in 2 MiB (1 GiB) they become superpages */
    u32 flags; /* METAL_REGION_... */
    u32 partition;
};

/* What is put into a partition's memory before it starts. */
struct metal_image {
    u64 offset; /* in cosm-metal.bin, multiple of 8 */
    u64 size;
    u64 gpa; /* multiple of 8 */
    u8 sha256[32];
    u32 partition;
    u32 reserved;
};

/* A wired interrupt of the board that a partition owns. */
struct metal_irq {
    u16 partition;
    u16 source;         /* the board's, 1.. */
    u16 virtual_source; /* the partition's, 1..; 0: the hypervisor's, of the IOMMU */
    u16 hart;           /* PLIC: where it is taken (that of the partition's vCPU 0) */
};

/* From a partition's doorbell number (its place among those of the partition, from 0) to a source.
 */
struct metal_doorbell {
    u16 from, to;       /* partitions */
    u16 virtual_source; /* edge-triggered, of to */
    u16 reserved;
};

/* A device of a partition whose registers another one, the service, answers (virtio-mmio). */
struct metal_vdev {
    u64 gpa, size;      /* no region lies there */
    u16 partition;      /* whose driver uses it */
    u16 service;        /* who answers */
    u16 virtual_source; /* of partition: raised and lowered by the service */
    u16 service_source; /* of service: rung when an access waits */
    u32 notify_offset;  /* writes of 4 bytes at this offset need no answer; size: none */
    u32 reserved;
};

struct metal_config {
    u64 magic;
    u32 version;
    u32 bytes;            /* sizeof(struct metal_config) */
    u64 image_bytes;      /* of all of cosm-metal.bin */
    u8 source_sha256[32]; /* of the configuration's text, for log and manifest */
    struct metal_board board;
    u16 partition_count, vcpu_count, region_count, image_count;
    u16 irq_count, doorbell_count, vdev_count, plan_count;
    u16 plan_first; /* in force at boot */
    u16 reserved[3];
    struct metal_hart hart[METAL_HARTS_MAX];
    struct metal_partition partition[METAL_PARTITIONS_MAX];
    struct metal_vcpu vcpu[METAL_VCPUS_MAX];
    u16 vcpu_of[METAL_VCPUS_MAX];                  /* by partition and number: index in vcpu */
    struct metal_region region[METAL_REGIONS_MAX]; /* by partition, then by gpa */
    struct metal_image image[METAL_IMAGES_MAX];    /* by partition */
    struct metal_irq irq[METAL_IRQS_MAX];          /* by source */
    struct metal_doorbell doorbell[METAL_DOORBELLS_MAX]; /* by from */
    struct metal_vdev vdev[METAL_VDEVS_MAX];
    struct metal_plan plan[METAL_PLANS_MAX];
};

_Static_assert(sizeof(struct metal_config) % 8 == 0, "no padding at the end that differs");

#endif
