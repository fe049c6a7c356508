/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of a qcow2 node; for src/block/qcow2*.c alone.
 *
 * What refers to what: the header to the L1 table and the refcount table, which are in memory;
 * these to L2 tables and refcount blocks, of which caches hold some. L2 tables refer to clusters of
 * data.
 *
 * Locks: io is shared by whoever reads and writes clusters in place, and held alone by whoever
 * changes which cluster is where. Below it, lock guards all metadata in memory.
 *
 * Order on disk, for which qcow2_write_back stands: a cluster's data and its count, then what
 * refers to it; and nothing refers to a cluster any more before its count goes down. So whenever
 * the process or the power ends, a count may be too high (a leak), never too low. Changes that
 * cannot be ordered (snapshots, repair) build new metadata beside the old, and change over by
 * writing one sector.
 */
#ifndef COSM_BLOCK_QCOW2_IMPL_H
#define COSM_BLOCK_QCOW2_IMPL_H

#include "base/bits.h"
#include "block/qcow2.h"

#include <pthread.h>

struct qcow2_snapshots;

#define QCOW2_MAGIC         UINT32_C(0x514649fb)
#define QCOW2_HEADER        112 /* bytes that we write */
#define QCOW2_HEADER_V3     104
#define QCOW2_SECTOR        512
#define QCOW2_FILE_MAX      ((u64)INT64_MAX)
#define QCOW2_L1_MAX        (32 * MIB) /* bytes */
#define QCOW2_REFTABLE_MAX  (8 * MIB)
#define QCOW2_SNAPSHOTS_MAX 65536
#define QCOW2_L2_CACHE      (16 * MIB)
#define QCOW2_REF_CACHE     (4 * MIB)
#define QCOW2_FREES_MAX     4096
#define QCOW2_REFS_MAX      (BIT(28)) /* clusters of a file that can be checked */

/* Incompatible features. */
#define QCOW2_DIRTY         BIT(0)
#define QCOW2_CORRUPT       BIT(1)
#define QCOW2_DATA_FILE     BIT(2)
#define QCOW2_COMPRESSION   BIT(3)
#define QCOW2_EXTENDED_L2   BIT(4)
#define QCOW2_LAZY          BIT(0) /* compatible feature */
#define QCOW2_EXT_END       0
#define QCOW2_EXT_BACKING   UINT32_C(0xe2792aca)
#define QCOW2_EXT_ENCRYPTED UINT32_C(0x0537be77)

/* Entries of L1 and L2 tables. */
#define QCOW2_COPIED     BIT(63) /* its count is exactly 1 */
#define QCOW2_COMPRESSED BIT(62)
#define QCOW2_ZERO       BIT(0)
#define QCOW2_OFFSET     UINT64_C(0x00fffffffffffe00)

struct qcow2_header {
    u32 version, cluster_bits, l1_size, reftable_clusters, snapshots, refcount_order, length;
    u64 size, l1_at, reftable_at, snapshots_at;
    u64 incompatible, compatible, autoclear;
    u64 backing_at;
    u32 backing_len;
    enum qcow2_compression compression;
};

/* A cluster of metadata in memory. */
struct qcow2_meta {
    u64 at;         /* offset in the file */
    u32 dirty, end; /* the bytes to write, none if equal */
    u8 *bytes;
    struct qcow2_meta *chain;         /* of the same hash */
    struct qcow2_meta *newer, *older; /* by last use */
};

struct qcow2_cache {
    struct qcow2_meta **bucket;
    u32 buckets, count, max, dirty;
    struct qcow2_meta *newest, *oldest;
};

/* Which clusters hold metadata: none of them may be written as data. */
struct qcow2_set {
    u64 *slot; /* cluster numbers plus one */
    u64 size, count;
};

/* A table in memory, its entries in host order. */
struct qcow2_table {
    u64 *entry;
    u32 count;
    u32 dirty, end; /* the entries to write, none if equal */
};

struct qcow2 {
    struct node node;
    struct node *file, *backing;
    const struct log *log;
    u8 sector[QCOW2_SECTOR]; /* the file's first */
    struct qcow2_header h;
    char backing_name[QCOW2_NAME_MAX + 1], backing_format[32];
    u32 cluster_size, l2_entries, l2_entry_size;

    pthread_rwlock_t io;
    pthread_mutex_t lock; /* of all that follows */
    struct qcow2_table l1, reftable;
    struct qcow2_cache l2, blocks;
    struct qcow2_set meta;
    u64 hint;    /* no cluster below is free */
    u64 *frees;  /* clusters that lose a reference once nothing on disk refers to them */
    u32 freed;   /* how many */
    u32 ready;   /* of these, the first so many have come to that */
    u64 packing; /* where compressed data goes on, or 0 */
    bool corrupt;
};

/* What a guest's cluster is. */
enum qcow2_kind {
    QCOW2_ABSENT,
    QCOW2_IS_ZERO, /* host: the cluster that is kept for it, or 0 */
    QCOW2_DATA,
    QCOW2_PACKED, /* compressed */
};

struct qcow2_run {
    enum qcow2_kind kind;
    u64 host;    /* DATA: the file's offset of the first byte asked for */
    u64 len;     /* bytes that are alike, and contiguous if DATA */
    u64 entry;   /* the first L2 entry */
    bool copied; /* may be written in place */
};

static inline struct qcow2 *qcow2_of(struct node *node)
{
    return CONTAINER_OF(node, struct qcow2, node);
}

static inline u64 qcow2_in_cluster(const struct qcow2 *q, u64 at)
{
    return at & (q->cluster_size - 1);
}

static inline u64 qcow2_clusters(const struct qcow2 *q, u64 bytes)
{
    return (bytes >> q->h.cluster_bits) + !!qcow2_in_cluster(q, bytes);
}

/* qcow2_header.c */
MUST_CHECK int qcow2_header_read(struct qcow2 *q, struct err *err);
/* Writes h's changeable fields: one sector, so all or nothing. */
MUST_CHECK int qcow2_header_write(struct qcow2 *q);
/* Fills a header with its extensions and the backing file's name. Returns its bytes, or -ENOSPC. */
MUST_CHECK s64 qcow2_header_make(struct qcow2 *q, u8 *bytes, u64 room);

/* qcow2_cache.c: lock is held, as by all that follow but where they say otherwise. */
MUST_CHECK int qcow2_cache_init(struct qcow2 *q, struct qcow2_cache *cache, u64 bytes);
void qcow2_cache_drop(struct qcow2_cache *cache); /* all that is in it, written or not */
void qcow2_cache_fini(struct qcow2_cache *cache);
/* Stays valid until the next call for the same cache. */
MUST_CHECK int qcow2_cache_get(struct qcow2 *q, struct qcow2_cache *cache, u64 at,
                               struct qcow2_meta **meta);
/* The same, but zeroes, all dirty: what the file has there is of no interest. */
MUST_CHECK int qcow2_cache_new(struct qcow2 *q, struct qcow2_cache *cache, u64 at,
                               struct qcow2_meta **meta);
bool qcow2_cache_has(struct qcow2_cache *cache, u64 at);
void qcow2_cache_forget(struct qcow2_cache *cache, u64 at);
void qcow2_cache_soil(struct qcow2_cache *cache, struct qcow2_meta *meta, u32 at, u32 len);
/* Brings all metadata to the file, in order. What is last is not flushed. */
MUST_CHECK int qcow2_write_back(struct qcow2 *q);
MUST_CHECK int qcow2_table_load(struct qcow2 *q, struct qcow2_table *table, u64 at, u32 count);
void qcow2_table_set(struct qcow2_table *table, u32 i, u64 value);

/* qcow2_set.c */
MUST_CHECK int qcow2_set_add(struct qcow2_set *set, u64 cluster);
void qcow2_set_remove(struct qcow2_set *set, u64 cluster);
bool qcow2_set_has(const struct qcow2_set *set, u64 cluster);
void qcow2_set_clear(struct qcow2_set *set);

/* qcow2_refcount.c */
u64 qcow2_count_load(const u8 *block, u32 order, u64 i);
void qcow2_count_store(u8 *block, u32 order, u64 i, u64 count);
MUST_CHECK int qcow2_count_get(struct qcow2 *q, u64 cluster, u64 *count);
/* There must be a block that counts the cluster, or -ENOSPC. */
MUST_CHECK int qcow2_count_set(struct qcow2 *q, u64 cluster, u64 count);
MUST_CHECK int qcow2_count_add(struct qcow2 *q, u64 cluster, int change);
/* Takes up to want clusters in a row that are free; got is at least 1. Their counts become 1. */
MUST_CHECK int qcow2_allocate(struct qcow2 *q, u64 want, u64 *first, u64 *got);
/* Takes so many in a row. */
MUST_CHECK int qcow2_allocate_run(struct qcow2 *q, u64 count, u64 *first);
/* Gives back clusters that nothing has referred to yet. */
void qcow2_unallocate(struct qcow2 *q, u64 first, u64 count);
/* A reference to a cluster goes: its count follows when that is on disk. */
MUST_CHECK int qcow2_free_later(struct qcow2 *q, u64 cluster);
/* Brings down the counts that may; at any moment when no cached table is in use. */
MUST_CHECK int qcow2_apply_frees(struct qcow2 *q);

/* qcow2_map.c */
/* What [at, at + max) begins with. */
MUST_CHECK int qcow2_map(struct qcow2 *q, u64 at, u64 max, struct qcow2_run *run);
/* Is all in memory that qcow2_map needs of at? */
bool qcow2_map_is_cached(struct qcow2 *q, u64 at);
/* The L2 table of at for changes: made or copied if need be. */
MUST_CHECK int qcow2_l2_for_write(struct qcow2 *q, u64 at, struct qcow2_meta **l2);
u64 qcow2_l2_entry(const struct qcow2 *q, const struct qcow2_meta *l2, u64 at);
void qcow2_l2_set(struct qcow2 *q, struct qcow2_meta *l2, u64 at, u64 entry);
/* What an entry refers to loses a reference. */
MUST_CHECK int qcow2_free_entry(struct qcow2 *q, u64 entry);
/* Where a compressed entry's bytes are. */
void qcow2_packed_range(const struct qcow2 *q, u64 entry, u64 *at, u64 *len);
/* qcow2_io.c */
MUST_CHECK int qcow2_read_op(struct node *node, u64 at, const struct vec *v);
MUST_CHECK int qcow2_write_op(struct node *node, u64 at, const struct vec *v);
MUST_CHECK int qcow2_try_read_op(struct node *node, u64 at, const struct vec *v);
MUST_CHECK int qcow2_try_write_op(struct node *node, u64 at, const struct vec *v);
MUST_CHECK int qcow2_discard_op(struct node *node, u64 at, u64 len);
MUST_CHECK int qcow2_zeroes_op(struct node *node, u64 at, u64 len, bool unmap);
/* Reads len bytes within one run; lock is not held, io is. */
MUST_CHECK int qcow2_read_run(struct qcow2 *q, const struct qcow2_run *run, u64 at,
                              const struct vec *v);

/* qcow2_packed.c: io is held, lock not. */
MUST_CHECK int qcow2_unpack(struct qcow2 *q, u64 entry, u8 *cluster);

/* qcow2_walk.c: all that refers to clusters, for checks and for new counts. */
struct qcow2_walk {
    struct qcow2 *q;
    u32 *refs;    /* how often each cluster is referred to */
    u64 clusters; /* of the file: nothing may refer beyond */
    u64 highest;  /* the last that is referred to, plus one */
    struct qcow2_check *result;
    bool mend; /* entries that cannot be right are emptied */
    u64 left;  /* entries that may still be looked at: tables can refer to each other without end */
};

/* refs has room for clusters and more. 0, or -errno if the file cannot be read. */
MUST_CHECK int qcow2_walk_init(struct qcow2_walk *w, struct qcow2 *q, u64 more,
                               struct qcow2_check *result, struct err *err);
/* What -errno of a walk means. */
const char *qcow2_walk_error(int code);
void qcow2_walk_fini(struct qcow2_walk *w);
void qcow2_walk_range(struct qcow2_walk *w, u64 at, u64 len, const char *what);
/* The data that the tables refer to, and the tables too if with_tables. */
MUST_CHECK int qcow2_walk_l1(struct qcow2_walk *w, const u64 *l1, u32 count, bool with_tables,
                             bool active);
MUST_CHECK int qcow2_walk_snapshots(struct qcow2_walk *w, const struct qcow2_snapshots *snapshots);
void qcow2_walk_wrong(struct qcow2_walk *w, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* qcow2_snapshot.c */
struct qcow2_snapshots {
    struct qcow2_snapshot {
        u64 l1_at, size, vm_state_size, clock;
        u32 l1_size, seconds, nanoseconds;
        char id[64], name[256];
        u8 *raw; /* the entry as it is in the file */
        u32 raw_len;
    } * list;
    u32 count;
    u64 len; /* bytes of the table */
};
MUST_CHECK int qcow2_snapshots_load(struct qcow2 *q, struct qcow2_snapshots *s, struct err *err);
void qcow2_snapshots_fini(struct qcow2_snapshots *s);

/* qcow2_rebuild.c: io is held alone, lock too. */
struct qcow2_state {
    u64 size; /* of the disk */
    u64 *l1;  /* L2 tables, in host order */
    u32 l1_size;
    const struct qcow2_snapshots *snapshots;
};

/*
 * Changes over to another state of the image: writes new L2 tables, counts and so on behind the end
 * of the file, and then the header, by one write of one sector.
 */
MUST_CHECK int qcow2_rebuild(struct qcow2 *q, const struct qcow2_state *state, struct err *err);

/* Writes counts for refs[0..used), and for what that takes, behind used. */
MUST_CHECK int qcow2_write_counts(struct node *file, u32 cluster_bits, u32 order, const u32 *refs,
                                  u64 used, u64 *table_at, u32 *table_clusters);

/* qcow2.c */
MUST_CHECK int qcow2_load_tables(struct qcow2 *q, struct err *err);

/* Says that the image is damaged: it is marked so, and no longer written. -EIO. */
int qcow2_damaged(struct qcow2 *q, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
