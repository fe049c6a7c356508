/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A configuration of cosm-metal: what its file says (plan/read.h), checked and placed, and what it
 * compiles to. Everything keeps the node of the file that it comes from, so that a clash of two can
 * name both lines.
 *
 * The way of a configuration: plan_load reads it, the board's device tree and the images; places
 * what has no place; and refuses what cannot be. plan_link makes the image of it and a core.
 */
#ifndef COSM_PLAN_PLAN_H
#define COSM_PLAN_PLAN_H

#include "metal/config.h"
#include "plan/board.h"
#include "plan/toml.h"

#define PLAN_PAGE     UINT64_C(4096)
#define PLAN_DEVICES  16 /* of a partition */
#define PLAN_CHANNELS 16
#define PLAN_ENDS     METAL_PARTITIONS_MAX
#define PLAN_REGIONS \
    (METAL_REGIONS_MAX + 3 * METAL_PARTITIONS_MAX) /* with those that are not mapped */
#define PLAN_IMAGE_MAX GIB

/* What a range of guest-physical addresses is. */
enum plan_kind {
    PLAN_MEMORY,
    PLAN_DEVICE,
    PLAN_CHANNEL,
    PLAN_WINDOW, /* another partition's memory, which this one serves */
    PLAN_INTC,   /* emulated: of the partition's addresses alone */
    PLAN_UART,   /* the same */
    PLAN_IMSIC,  /* guest files of its vCPUs, a page each; each is somewhere else on the board */
    PLAN_VIRTIO, /* registers that another partition answers */
};

struct plan_region {
    enum plan_kind kind;
    u32 partition;
    u64 gpa, hpa, size;
    u32 flags;   /* METAL_REGION_... */
    u64 pages;   /* size of the pages that were asked for; 0: as they come */
    bool placed; /* hpa is known */
    const struct toml_node *node;
    char name[48]; /* of the device, the channel, ...: "" for memory */
};

/* An interrupt source of a partition. */
struct plan_source {
    const struct toml_node *node; /* NULL: free */
    u32 board_source;             /* 0: none, it is a doorbell or virtual */
    char name[48];
};

struct plan_rule {
    u16 action, plan;
    u32 limit;
    const struct toml_node *node; /* NULL: the default */
};

/* A file that goes into a partition's memory. */
struct plan_image {
    char name[64]; /* without its folder */
    u8 *bytes;     /* what of it is loaded; the plan's */
    u64 size;
    u64 gpa, span; /* where, and how much memory it takes there */
    u32 partition;
    u8 sha256[32];
    u64 offset; /* in cosm-metal.bin */
    const struct toml_node *node;
};

struct plan_partition {
    char name[METAL_NAME_MAX];
    const struct toml_node *node;
    u32 vcpu_count;
    const struct toml_node *memory; /* its first memory's */
    const struct toml_node *image, *program, *kernel, *initrd, *dtb, *entry_node, *images, *devices,
        *health;
    const char *append;
    bool dma_trusted, start;
    bool console;                   /* has an emulated serial port */
    const struct toml_node *vector; /* NULL: it may not use vectors */
    u64 entry, arg;
    u64 watchdog; /* ticks */
    u32 rights;
    struct plan_rule rule[METAL_EVENTS];
    struct plan_source source[METAL_SOURCES_MAX];
    struct plan_device device[PLAN_DEVICES];
    u32 device_line[PLAN_DEVICES];
    u32 device_count;
    u64 initrd_gpa, initrd_size;
};

struct plan_vcpu {
    u32 partition, number, hart;
    u32 guest_file;
    u32 priority;
    u64 budget, period;                /* ticks */
    const struct toml_node *node;      /* in the partition's harts */
    const struct toml_node *time_node; /* where it got its time; NULL: none yet */
};

struct plan_hart {
    u32 mode;                     /* enum metal_hart_mode */
    const struct toml_node *node; /* of its [[hart]]; NULL: exclusive or unused */
};

struct plan_window {
    u64 start, length; /* ticks */
    u32 vcpu;          /* index in plan.vcpu */
    const struct toml_node *node;
};

struct plan_schedule {
    char name[METAL_NAME_MAX];
    u64 frame; /* ticks */
    const struct toml_node *node;
    u32 window_count[METAL_HARTS_MAX];
    struct plan_window window[METAL_HARTS_MAX][METAL_WINDOWS_MAX];
};

enum plan_channel_kind { PLAN_CHANNEL_MEMORY, PLAN_CHANNEL_SAMPLING, PLAN_CHANNEL_QUEUING };

/* One end of a channel; number 0 is the writer's. */
struct plan_end {
    u32 partition;
    u64 gpa;
    bool placed;
    u32 source;   /* rung for it; 0: none */
    u32 doorbell; /* number with which it rings the other end; METAL_NONE: none */
};

struct plan_channel {
    char name[METAL_NAME_MAX];
    enum plan_channel_kind kind;
    u64 size, hpa;
    struct plan_end end[PLAN_ENDS];
    u32 end_count;
    bool rings, rings_back; /* the writer rings the readers; each reader rings the writer */
    const struct toml_node *node;
};

/* What a device is to the built-in service. */
enum plan_virtio_kind { PLAN_VIRTIO_OTHER, PLAN_VIRTIO_CONSOLE, PLAN_VIRTIO_NET, PLAN_VIRTIO_BLK };

struct plan_vdev {
    u32 partition, service;
    u64 gpa, size, notify_offset;
    u64 window; /* where the driver's first memory appears to the service, if has_window */
    bool has_window;
    enum plan_virtio_kind kind;
    const char *join;    /* NULL: none */
    u64 disk, disk_size; /* PLAN_VIRTIO_BLK: in the service's memory */
    bool readonly;
    u32 source, service_source;
    const struct toml_node *node;
};

struct plan {
    const char *path; /* the caller's: of the configuration */
    struct toml toml;
    u8 source_sha256[32];
    struct err *err;
    struct plan_board board;
    u64 self_hpa, self_size;
    u32 vector_size;                   /* bytes behind the core for vector registers */
    const struct toml_node *self_node; /* NULL: by default */
    enum metal_all_stopped all_stopped;
    struct plan_hart hart[METAL_HARTS_MAX];
    struct plan_partition partition[METAL_PARTITIONS_MAX];
    struct plan_vcpu vcpu[METAL_VCPUS_MAX];  /* by hart, then partition and number */
    struct plan_region region[PLAN_REGIONS]; /* by partition, then gpa, once placed */
    struct plan_image image[METAL_IMAGES_MAX];
    struct plan_schedule schedule[METAL_PLANS_MAX];
    struct plan_channel channel[PLAN_CHANNELS];
    struct plan_vdev vdev[METAL_VDEVS_MAX];
    u32 partition_count, vcpu_count, region_count, image_count, schedule_count, channel_count,
        vdev_count;
    u32 table_pages; /* of G-stage tables */
    const struct toml_node
        *dma_node;     /* names a PCI host or a device behind the IOMMU; NULL: none */
    u32 dma_partition; /* has it */
    struct plan_device dma;
};

/*
 * Reads, places and checks a configuration; images are read from beside it. core_size: bytes that
 * the hypervisor takes before the first image. -EINVAL and the like with "FILE:LINE: sentence" in
 * err. Then, and on failure too, plan_free.
 */
MUST_CHECK int plan_load(struct plan *plan, const char *path, u64 core_size, struct err *err);
void plan_free(struct plan *plan);

/* The same of a text; path is what it is called, and where files are seen from. */
MUST_CHECK int plan_compile(struct plan *plan, const char *path, const char *text, size_t size,
                            u64 core_size, struct err *err);

/* -EINVAL with "FILE:LINE: " before the sentence. */
int plan_refuse(struct plan *plan, const struct toml_node *at, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* As a configuration has them, of enum metal_event and metal_action; NULL: there is none. */
const char *plan_event_name(u32 event);
const char *plan_action_name(u32 action);

/* The partition's source for one of the board's; 0: none. */
u32 plan_source_of(const struct plan_partition *partition, u32 board_source);

/* A partition's first memory. */
const struct plan_region *plan_memory(const struct plan *plan, u32 partition);

/* The structure that the hypervisor gets, of a configuration that is loaded. */
void plan_emit(const struct plan *plan, u64 image_bytes, struct metal_config *config);

#endif
