/* SPDX-License-Identifier: BSD-2-Clause */
/* qcow2 images, version 3: disks that grow, with backing files and snapshots (QEMU's
 * interop/qcow2). */
#ifndef COSM_BLOCK_QCOW2_H
#define COSM_BLOCK_QCOW2_H

#include "base/log.h"
#include "block/node.h"

#define QCOW2_NAME_MAX 1023 /* bytes of a backing file's name */

enum qcow2_compression { QCOW2_ZLIB, QCOW2_ZSTD };

struct qcow2_create {
    u64 size;
    u32 cluster_size;  /* 512 bytes to 2 MiB, a power of two; 0: 64 KiB */
    u32 refcount_bits; /* 1 to 64, a power of two; 0: 16 */
    bool lazy_refcounts;
    enum qcow2_compression compression;
    const char *backing; /* NULL: none */
    const char *backing_format;
};

struct qcow2_info {
    u64 size;
    u32 version, cluster_size, refcount_bits;
    bool lazy_refcounts, extended_l2, dirty, corrupt;
    enum qcow2_compression compression;
    const char *backing, *backing_format; /* "": none; the node's own */
    u32 snapshots;
};

struct qcow2_check {
    u64 leaks, corruptions; /* clusters and entries that are wrong */
    u64 leaks_fixed, corruptions_fixed;
    u64 allocated, total, compressed, fragmented; /* clusters of the disk */
    u64 end;                                      /* bytes of the file that are in use */
    char first[256];                              /* what the first corruption is; "": none */
};

enum qcow2_repair { QCOW2_REPAIR_NONE, QCOW2_REPAIR_LEAKS, QCOW2_REPAIR_ALL };

/* Opens the image in file, which must be growable; the node owns it from success on. */
MUST_CHECK int qcow2_open(struct node **node, struct node *file, bool check_only,
                          const struct log *log, struct err *err);

/* Makes an empty image in file. */
MUST_CHECK int qcow2_create(struct node *file, const struct qcow2_create *create, struct err *err);

bool qcow2_is(const struct node *node);
void qcow2_get_info(struct node *node, struct qcow2_info *info);

/* The node below; owned by the qcow2 node as its file is. NULL: what it lacks reads as zeroes. */
void qcow2_set_backing(struct node *node, struct node *backing);
struct node *qcow2_backing(struct node *node);
/* The file in which the image is. */
struct node *qcow2_file(struct node *node);

/*
 * Brings all that is in memory to the file; no cluster stays counted that nothing refers to. -EIO:
 * the image is damaged.
 */
MUST_CHECK int qcow2_settle(struct node *node);
/*
 * The image may be written from now on, or not any more (which settles it). Its file allows it.
 * Nobody else uses the node meanwhile.
 */
MUST_CHECK int qcow2_set_readonly(struct node *node, bool readonly, struct err *err);

/* Writes another backing file's name into the image; backing NULL: none. Changes no data. */
MUST_CHECK int qcow2_rename_backing(struct node *node, const char *backing, const char *format,
                                    struct err *err);

/* Compares what the image refers to with its reference counts. 0 if it could be walked. */
MUST_CHECK int qcow2_check(struct node *node, enum qcow2_repair repair, struct qcow2_check *result,
                           struct err *err);

/* A snapshot within the image, as lists show it. */
struct qcow2_snapshot_info {
    char id[64], name[256];
    u64 size, vm_state_size, clock;
    u32 seconds, nanoseconds; /* since 1970 */
};

/* list: the caller's to free. */
MUST_CHECK int qcow2_snapshot_list(struct node *node, struct qcow2_snapshot_info **list, u32 *count,
                                   struct err *err);
/* Each happens wholly or not at all, whenever the process or the power ends. name: or the id. */
MUST_CHECK int qcow2_snapshot_create(struct node *node, const char *name, u64 now_ns,
                                     struct err *err);
MUST_CHECK int qcow2_snapshot_apply(struct node *node, const char *name, struct err *err);
MUST_CHECK int qcow2_snapshot_delete(struct node *node, const char *name, struct err *err);

/* Forgets all data of its own, at once: what lies below shows again. */
MUST_CHECK int qcow2_forget(struct node *node, struct err *err);

/* Writes one whole cluster, or the rest of the disk, compressed if that makes it smaller. */
MUST_CHECK int qcow2_write_compressed(struct node *node, u64 at, const void *bytes, u64 len);

#endif
