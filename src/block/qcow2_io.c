/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading and writing the disk in a qcow2 image. */
#include "block/qcow2_impl.h"

#include "base/checked.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NEW_AT_ONCE 64 /* clusters that one allocation takes at most */

static u64 min64(u64 a, u64 b)
{
    return a < b ? a : b;
}

static int map_locked(struct qcow2 *q, u64 at, u64 max, struct qcow2_run *run)
{
    int ret;

    pthread_mutex_lock(&q->lock);
    ret = qcow2_map(q, at, max, run);
    pthread_mutex_unlock(&q->lock);
    return ret;
}

static int read_backing(struct qcow2 *q, u64 at, const struct vec *v)
{
    struct node *backing = q->backing;
    u64 there = backing && at < backing->size ? min64(v->len, backing->size - at) : 0;
    struct vec part;
    int ret;

    if (there < v->len) {
        vec_init(&part);
        vec_add_part(&part, v, there, v->len - there);
        vec_zero(&part);
    }
    if (!there)
        return 0;
    if (there == v->len)
        return node_read(backing, at, v);
    vec_init(&part);
    vec_add_part(&part, v, 0, there);
    ret = node_read(backing, at, &part);
    return ret;
}

static int read_packed(struct qcow2 *q, u64 entry, u64 at, const struct vec *v)
{
    u8 *cluster = malloc(q->cluster_size);
    int ret = cluster ? qcow2_unpack(q, entry, cluster) : -ENOMEM;

    if (!ret)
        vec_put(v, cluster + qcow2_in_cluster(q, at));
    free(cluster);
    return ret;
}

int qcow2_read_run(struct qcow2 *q, const struct qcow2_run *run, u64 at, const struct vec *v)
{
    switch (run->kind) {
    case QCOW2_ABSENT:
        return read_backing(q, at, v);
    case QCOW2_IS_ZERO:
        vec_zero(v);
        return 0;
    case QCOW2_DATA:
        return node_read(q->file, run->host, v);
    case QCOW2_PACKED:
        return read_packed(q, run->entry, at, v);
    }
    return -EIO;
}

/* io is held. */
static int read_all(struct qcow2 *q, u64 at, const struct vec *v)
{
    for (u64 done = 0; done < v->len;) {
        struct qcow2_run run;
        struct vec part;
        int ret = map_locked(q, at + done, v->len - done, &run);

        if (ret)
            return ret;
        if (run.len == v->len)
            return qcow2_read_run(q, &run, at, v);
        vec_init(&part);
        vec_add_part(&part, v, done, run.len);
        ret = qcow2_read_run(q, &run, at + done, &part);
        if (ret)
            return ret;
        done += run.len;
    }
    return 0;
}

int qcow2_read_op(struct node *node, u64 at, const struct vec *v)
{
    struct qcow2 *q = qcow2_of(node);
    int ret;

    pthread_rwlock_rdlock(&q->io);
    ret = read_all(q, at, v);
    pthread_rwlock_unlock(&q->io);
    return ret;
}

/* May a run be written where it is? The lock is held. */
static int is_in_place(struct qcow2 *q, const struct qcow2_run *run)
{
    if (q->corrupt)
        return -EIO;
    if (run->kind != QCOW2_DATA || !run->copied)
        return 0;
    for (u64 c = run->host >> q->h.cluster_bits; c << q->h.cluster_bits < run->host + run->len; c++)
        if (qcow2_set_has(&q->meta, c))
            return qcow2_damaged(q, "cluster %llu is both data and metadata",
                                 (unsigned long long)c);
    return 1;
}

/* Writes what begins at byte done of v and is there already. 0: nothing is. */
static int write_in_place(struct qcow2 *q, u64 at, const struct vec *v, u64 done, u64 *written)
{
    struct qcow2_run run;
    struct vec part;
    int ret;

    pthread_mutex_lock(&q->lock);
    ret = qcow2_map(q, at + done, v->len - done, &run);
    if (!ret)
        ret = is_in_place(q, &run);
    pthread_mutex_unlock(&q->lock);
    *written = 0;
    if (ret <= 0)
        return ret;
    *written = run.len;
    if (run.len == v->len)
        return node_write(q->file, run.host, v);
    vec_init(&part);
    vec_add_part(&part, v, done, run.len);
    return node_write(q->file, run.host, &part);
}

/* Finds the one run that a request is all of; to write: one that is there. -EAGAIN: it takes
 * longer. io is held. */
static int try_map(struct qcow2 *q, u64 at, u64 len, bool write, struct qcow2_run *run)
{
    int ret = -EAGAIN;

    if (pthread_mutex_trylock(&q->lock))
        return ret;
    if (!q->corrupt && qcow2_map_is_cached(q, at))
        ret = qcow2_map(q, at, len, run);
    if (!ret && (run->len < len || (write && is_in_place(q, run) != 1)))
        ret = -EAGAIN;
    pthread_mutex_unlock(&q->lock);
    return ret;
}

static int try_op(struct qcow2 *q, u64 at, const struct vec *v, bool write)
{
    struct qcow2_run run;
    int ret;

    if (pthread_rwlock_tryrdlock(&q->io))
        return -EAGAIN;
    ret = try_map(q, at, v->len, write, &run);
    if (!ret && run.kind == QCOW2_DATA)
        ret = write ? node_try_write(q->file, run.host, v) : node_try_read(q->file, run.host, v);
    else if (!ret && run.kind == QCOW2_ABSENT && q->backing)
        ret = node_try_read(q->backing, at, v);
    else if (!ret && run.kind != QCOW2_PACKED)
        vec_zero(v);
    else
        ret = -EAGAIN;
    pthread_rwlock_unlock(&q->io);
    return ret;
}

int qcow2_try_read_op(struct node *node, u64 at, const struct vec *v)
{
    return try_op(qcow2_of(node), at, v, false);
}

int qcow2_try_write_op(struct node *node, u64 at, const struct vec *v)
{
    return try_op(qcow2_of(node), at, v, true);
}

/* Clusters that are about to be written for the first time. */
struct fresh {
    u64 start;        /* on the disk: the first cluster's */
    u64 first, count; /* in the file, in clusters */
    bool kept;        /* the cluster was kept for zeroes: it is no new one */
    bool blank;       /* the file has only zeroes there */
};

/* An entry whose cluster must be a new one. */
static bool needs_new(u64 entry)
{
    return !(entry & QCOW2_COPIED) || entry & (QCOW2_COMPRESSED | QCOW2_ZERO);
}

/* Finds room for [at, at + len), or for its beginning. The lock is held. */
static int fresh_take(struct qcow2 *q, u64 at, u64 len, struct fresh *f)
{
    u64 start = at - qcow2_in_cluster(q, at), want = 1, entry;
    u64 all = min64(qcow2_clusters(q, at + len - start), NEW_AT_ONCE);
    u64 left = q->l2_entries - (start >> q->h.cluster_bits) % q->l2_entries;
    struct qcow2_meta *l2;
    int ret = qcow2_l2_for_write(q, at, &l2);

    if (ret)
        return ret;
    *f = (struct fresh){.start = start, .count = 1};
    entry = qcow2_l2_entry(q, l2, start);
    if (entry & QCOW2_ZERO && entry & QCOW2_COPIED && !(entry & QCOW2_COMPRESSED) &&
        entry & QCOW2_OFFSET) {
        f->first = (entry & QCOW2_OFFSET) >> q->h.cluster_bits;
        f->kept = true;
        return qcow2_set_has(&q->meta, f->first)
                   ? qcow2_damaged(q, "a cluster is both data and metadata")
                   : 0;
    }
    while (want < min64(all, left) &&
           needs_new(qcow2_l2_entry(q, l2, start + (want << q->h.cluster_bits))))
        want++;
    ret = qcow2_allocate(q, want, &f->first, &f->count);
    /* Nobody else extends the file now: io is held alone, and the lock. */
    f->blank = !ret && f->first >= qcow2_clusters(q, q->file->size);
    return ret;
}

/* The clusters have their data: the L2 table learns of them. The lock is held. */
static int fresh_link(struct qcow2 *q, const struct fresh *f)
{
    struct qcow2_meta *l2;
    int ret = qcow2_l2_for_write(q, f->start, &l2);

    for (u64 i = 0; i < f->count && !ret; i++) {
        u64 at = f->start + (i << q->h.cluster_bits), old = qcow2_l2_entry(q, l2, at);

        qcow2_l2_set(q, l2, at, (f->first + i) << q->h.cluster_bits | QCOW2_COPIED);
        if (!f->kept)
            ret = qcow2_free_entry(q, old);
    }
    return ret;
}

static bool is_zero(const u8 *bytes, u64 len)
{
    return !len || (!bytes[0] && !memcmp(bytes, bytes + 1, len - 1));
}

/* Writes data, and what was around it in its first and last cluster. */
static int fresh_write(struct qcow2 *q, const struct fresh *f, u64 at, const struct vec *data)
{
    u64 head = at - f->start, end = at + data->len, host = f->first << q->h.cluster_bits;
    u64 tail = align_up(end, q->cluster_size) - end, there = min64(tail, q->node.size - end);
    u8 *bytes = head + tail ? calloc(1, head + tail) : NULL;
    struct vec v, part;
    int ret = head + tail && !bytes ? -ENOMEM : 0;

    if (!ret && head) {
        vec_one(&part, bytes, head);
        ret = read_all(q, f->start, &part);
    }
    if (!ret && there) {
        vec_one(&part, bytes + head, there);
        ret = read_all(q, end, &part);
    }
    if (!ret) {
        bool skip_head = f->blank && is_zero(bytes, head);
        bool skip_tail = f->blank && is_zero(bytes + head, tail);

        vec_init(&v);
        if (!skip_head)
            vec_add(&v, bytes, head);
        vec_add_part(&v, data, 0, data->len);
        if (!skip_tail)
            vec_add(&v, bytes + head, tail);
        ret = node_write(q->file, host + (skip_head ? head : 0), &v);
    }
    free(bytes);
    return ret;
}

/* Writes what begins at byte done of v into new clusters. io is held alone. */
static int write_new(struct qcow2 *q, u64 at, const struct vec *v, u64 done, u64 *written)
{
    struct fresh f;
    struct vec data;
    int ret;

    pthread_mutex_lock(&q->lock);
    ret = q->corrupt ? -EIO : qcow2_apply_frees(q);
    if (!ret)
        ret = fresh_take(q, at + done, v->len - done, &f);
    pthread_mutex_unlock(&q->lock);
    if (ret)
        return ret;
    *written = min64(f.start + (f.count << q->h.cluster_bits) - (at + done), v->len - done);
    vec_init(&data);
    vec_add_part(&data, v, done, *written);
    ret = fresh_write(q, &f, at + done, &data);
    pthread_mutex_lock(&q->lock);
    if (!ret)
        ret = fresh_link(q, &f);
    else if (!f.kept)
        qcow2_unallocate(q, f.first, f.count);
    pthread_mutex_unlock(&q->lock);
    return ret;
}

/* io is held alone. */
static int write_alone(struct qcow2 *q, u64 at, const struct vec *v, u64 done)
{
    while (done < v->len) {
        u64 written;
        int ret = write_in_place(q, at, v, done, &written);

        if (!ret && !written)
            ret = write_new(q, at, v, done, &written);
        if (ret)
            return ret;
        done += written;
    }
    return 0;
}

int qcow2_write_op(struct node *node, u64 at, const struct vec *v)
{
    struct qcow2 *q = qcow2_of(node);
    u64 done = 0, written;
    int ret;

    pthread_rwlock_rdlock(&q->io);
    do {
        ret = write_in_place(q, at, v, done, &written);
        done += written;
    } while (!ret && written && done < v->len);
    pthread_rwlock_unlock(&q->io);
    if (ret || done == v->len)
        return ret;
    pthread_rwlock_wrlock(&q->io);
    ret = write_alone(q, at, v, done);
    pthread_rwlock_unlock(&q->io);
    return ret;
}

enum wipe {
    WIPE_DISCARD, /* drop what is there */
    WIPE_ZERO,    /* make it zeroes and keep its clusters */
    WIPE_UNMAP,   /* make it zeroes and drop its clusters */
};

/* One whole cluster. The lock is held. */
static int wipe_cluster(struct qcow2 *q, u64 at, enum wipe how)
{
    bool backed = q->h.backing_len;
    struct qcow2_meta *l2;
    struct qcow2_run run;
    u64 entry;
    int ret = qcow2_map(q, at, 1, &run);

    if (ret)
        return ret;
    if (run.kind == QCOW2_ABSENT && (!backed || how == WIPE_DISCARD))
        return 0;
    if (run.kind == QCOW2_IS_ZERO && (how == WIPE_ZERO || !run.host))
        return 0;
    ret = qcow2_l2_for_write(q, at, &l2);
    if (ret)
        return ret;
    entry = qcow2_l2_entry(q, l2, at);
    if (how == WIPE_ZERO && run.kind == QCOW2_DATA && run.copied) {
        qcow2_l2_set(q, l2, at, entry | QCOW2_ZERO);
        return 0;
    }
    qcow2_l2_set(q, l2, at, backed ? QCOW2_ZERO : 0);
    return qcow2_free_entry(q, entry);
}

/* Whole clusters. io is held alone. */
static int wipe(struct qcow2 *q, u64 at, u64 end, enum wipe how)
{
    int ret = 0;

    while (at < end && !ret) {
        struct qcow2_run run;

        pthread_mutex_lock(&q->lock);
        ret = q->corrupt ? -EIO : qcow2_apply_frees(q);
        if (!ret)
            ret = qcow2_map(q, at, end - at, &run);
        if (!ret && run.kind == QCOW2_ABSENT && (!q->h.backing_len || how == WIPE_DISCARD)) {
            at += run.len;
        } else if (!ret) {
            ret = wipe_cluster(q, at, how);
            at += q->cluster_size;
        }
        pthread_mutex_unlock(&q->lock);
    }
    return ret;
}

/* Zeroes within a cluster. io is held alone. */
static int zero_part(struct qcow2 *q, u64 at, u64 len)
{
    struct qcow2_run run;
    struct vec v;
    u8 *bytes;
    int ret = len ? map_locked(q, at, len, &run) : 0;

    if (ret || !len || run.kind == QCOW2_IS_ZERO ||
        (run.kind == QCOW2_ABSENT && !q->h.backing_len && run.len == len))
        return ret;
    bytes = calloc(1, len);
    if (!bytes)
        return -ENOMEM;
    vec_one(&v, bytes, len);
    ret = write_alone(q, at, &v, 0);
    free(bytes);
    return ret;
}

/* The whole clusters of a range; the disk's last one may be short. */
static void whole_clusters(const struct qcow2 *q, u64 at, u64 len, u64 *from, u64 *to)
{
    *from = align_up(at, q->cluster_size);
    *to = at + len == q->node.size ? at + len : align_down(at + len, q->cluster_size);
}

int qcow2_discard_op(struct node *node, u64 at, u64 len)
{
    struct qcow2 *q = qcow2_of(node);
    u64 from, to;
    int ret = 0;

    whole_clusters(q, at, len, &from, &to);
    if (from >= to)
        return 0;
    pthread_rwlock_wrlock(&q->io);
    ret = wipe(q, from, to, WIPE_DISCARD);
    pthread_rwlock_unlock(&q->io);
    return ret;
}

int qcow2_zeroes_op(struct node *node, u64 at, u64 len, bool unmap)
{
    struct qcow2 *q = qcow2_of(node);
    u64 from, to;
    int ret;

    whole_clusters(q, at, len, &from, &to);
    pthread_rwlock_wrlock(&q->io);
    if (from >= to) {
        u64 head = min64(len, from - at); /* two clusters may have a part each */

        ret = zero_part(q, at, head);
        if (!ret)
            ret = zero_part(q, at + head, len - head);
    } else {
        ret = zero_part(q, at, from - at);
        if (!ret)
            ret = wipe(q, from, to, unmap ? WIPE_UNMAP : WIPE_ZERO);
        if (!ret)
            ret = zero_part(q, to, at + len - to);
    }
    pthread_rwlock_unlock(&q->io);
    return ret;
}
