/* SPDX-License-Identifier: BSD-2-Clause */
/* Metadata of qcow2 in memory: bounded caches of L2 tables and refcount blocks, and the order in
 * which changes reach the file. */
#include "block/qcow2_impl.h"

#include "base/assert.h"
#include "base/endian.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int qcow2_cache_init(struct qcow2 *q, struct qcow2_cache *cache, u64 bytes)
{
    u64 max = bytes >> q->h.cluster_bits;

    *cache = (struct qcow2_cache){.max = max < 8 ? 8 : (u32)max};
    cache->buckets = 1u << log2_floor(cache->max);
    cache->bucket = calloc(cache->buckets, sizeof(struct qcow2_meta *));
    return cache->bucket ? 0 : -ENOMEM;
}

static struct qcow2_meta **cache_slot(const struct qcow2_cache *cache, u64 at)
{
    /* Offsets are multiples of at least 512. */
    u64 hash = (at >> 9) * UINT64_C(0x9e3779b97f4a7c15);
    struct qcow2_meta **slot = &cache->bucket[(hash >> 32) & (cache->buckets - 1)];

    while (*slot && (*slot)->at != at)
        slot = &(*slot)->chain;
    return slot;
}

static void cache_unlink(struct qcow2_cache *cache, struct qcow2_meta *meta)
{
    *(meta->newer ? &meta->newer->older : &cache->newest) = meta->older;
    *(meta->older ? &meta->older->newer : &cache->oldest) = meta->newer;
}

static void cache_link(struct qcow2_cache *cache, struct qcow2_meta *meta)
{
    meta->newer = NULL;
    meta->older = cache->newest;
    *(cache->newest ? &cache->newest->newer : &cache->oldest) = meta;
    cache->newest = meta;
}

static void cache_remove(struct qcow2_cache *cache, struct qcow2_meta *meta)
{
    struct qcow2_meta **slot = cache_slot(cache, meta->at);

    ASSERT(*slot == meta);
    *slot = meta->chain;
    cache_unlink(cache, meta);
    cache->dirty -= meta->dirty != meta->end;
    cache->count--;
    free(meta->bytes);
    free(meta);
}

void qcow2_cache_drop(struct qcow2_cache *cache)
{
    while (cache->oldest)
        cache_remove(cache, cache->oldest);
}

void qcow2_cache_fini(struct qcow2_cache *cache)
{
    qcow2_cache_drop(cache);
    free(cache->bucket);
    cache->bucket = NULL;
}

bool qcow2_cache_has(struct qcow2_cache *cache, u64 at)
{
    return *cache_slot(cache, at);
}

void qcow2_cache_forget(struct qcow2_cache *cache, u64 at)
{
    struct qcow2_meta *meta = *cache_slot(cache, at);

    if (meta)
        cache_remove(cache, meta);
}

void qcow2_cache_soil(struct qcow2_cache *cache, struct qcow2_meta *meta, u32 at, u32 len)
{
    if (meta->dirty == meta->end) {
        cache->dirty++;
        meta->dirty = at;
        meta->end = at + len;
        return;
    }
    meta->dirty = at < meta->dirty ? at : meta->dirty;
    meta->end = at + len > meta->end ? at + len : meta->end;
}

static int meta_write(struct qcow2 *q, struct qcow2_cache *cache, struct qcow2_meta *meta)
{
    u64 from = align_down(meta->dirty, QCOW2_SECTOR), to = align_up(meta->end, QCOW2_SECTOR);
    int ret = node_write_bytes(q->file, meta->at + from, meta->bytes + from, to - from);

    if (ret)
        return ret;
    meta->dirty = meta->end = 0;
    cache->dirty--;
    return 0;
}

static int cache_write(struct qcow2 *q, struct qcow2_cache *cache)
{
    for (struct qcow2_meta *meta = cache->oldest; meta && cache->dirty; meta = meta->newer) {
        int ret = meta->dirty != meta->end ? meta_write(q, cache, meta) : 0;

        if (ret)
            return ret;
    }
    return 0;
}

static int table_write(struct qcow2 *q, struct qcow2_table *table, u64 at)
{
    u64 from = align_down(table->dirty * UINT64_C(8), QCOW2_SECTOR);
    u64 to = align_up(table->end * UINT64_C(8), QCOW2_SECTOR);
    u8 *bytes = calloc(1, to - from); /* tables end with zeroes, as their clusters do */
    int ret;

    if (!bytes)
        return -ENOMEM;
    for (u64 i = from / 8; i < to / 8 && i < table->count; i++)
        be64_store(bytes + (i * 8 - from), table->entry[i]);
    ret = node_write_bytes(q->file, at + from, bytes, to - from);
    free(bytes);
    if (!ret)
        table->dirty = table->end = 0;
    return ret;
}

static int write_counts(struct qcow2 *q)
{
    int ret = cache_write(q, &q->blocks);

    if (ret || q->reftable.dirty == q->reftable.end)
        return ret;
    ret = node_flush(q->file); /* blocks before what refers to them */
    return ret ? ret : table_write(q, &q->reftable, q->h.reftable_at);
}

int qcow2_write_back(struct qcow2 *q)
{
    int ret = write_counts(q);

    if (ret || (!q->l2.dirty && q->l1.dirty == q->l1.end && q->ready == q->freed))
        return ret;
    ret = node_flush(q->file); /* data and counts before what refers to them */
    if (!ret)
        ret = cache_write(q, &q->l2);
    if (!ret && q->l1.dirty != q->l1.end) {
        ret = node_flush(q->file);
        if (!ret)
            ret = table_write(q, &q->l1, q->h.l1_at);
    }
    if (ret || q->ready == q->freed)
        return ret;
    ret = node_flush(q->file); /* nothing refers to what is freed, now for certain */
    if (!ret)
        q->ready = q->freed;
    return ret;
}

/* Makes room for one more. */
static int cache_evict(struct qcow2 *q, struct qcow2_cache *cache)
{
    struct qcow2_meta *meta = cache->oldest;

    if (cache->count < cache->max)
        return 0;
    if (meta->dirty != meta->end) {
        /* Counts may always come early. */
        int ret = cache == &q->blocks ? meta_write(q, cache, meta) : qcow2_write_back(q);

        if (ret)
            return ret;
    }
    cache_remove(cache, meta);
    return 0;
}

static int cache_add(struct qcow2 *q, struct qcow2_cache *cache, u64 at, struct qcow2_meta **out)
{
    struct qcow2_meta *meta, **slot;
    int ret = cache_evict(q, cache);

    if (ret)
        return ret;
    meta = calloc(1, sizeof(*meta));
    if (meta)
        meta->bytes = calloc(1, q->cluster_size);
    if (!meta || !meta->bytes) {
        free(meta);
        return -ENOMEM;
    }
    meta->at = at;
    slot = cache_slot(cache, at);
    ASSERT(!*slot);
    *slot = meta;
    cache_link(cache, meta);
    cache->count++;
    *out = meta;
    return 0;
}

int qcow2_cache_get(struct qcow2 *q, struct qcow2_cache *cache, u64 at, struct qcow2_meta **out)
{
    struct qcow2_meta *meta = *cache_slot(cache, at);
    int ret;

    if (meta) {
        if (meta != cache->newest) {
            cache_unlink(cache, meta);
            cache_link(cache, meta);
        }
        *out = meta;
        return 0;
    }
    ret = cache_add(q, cache, at, &meta);
    if (ret)
        return ret;
    ret = node_read_bytes(q->file, at, meta->bytes, q->cluster_size);
    if (ret) {
        cache_remove(cache, meta);
        return ret;
    }
    *out = meta;
    return 0;
}

int qcow2_cache_new(struct qcow2 *q, struct qcow2_cache *cache, u64 at, struct qcow2_meta **out)
{
    int ret;

    qcow2_cache_forget(cache, at);
    ret = cache_add(q, cache, at, out);
    if (!ret)
        qcow2_cache_soil(cache, *out, 0, q->cluster_size);
    return ret;
}

int qcow2_table_load(struct qcow2 *q, struct qcow2_table *table, u64 at, u32 count)
{
    u64 *entry = calloc(count ? count : 1, sizeof(*entry));
    int ret = entry ? node_read_bytes(q->file, at, entry, count * UINT64_C(8)) : -ENOMEM;

    if (ret) {
        free(entry);
        return ret;
    }
    for (u32 i = 0; i < count; i++)
        entry[i] = be64_load(&entry[i]);
    free(table->entry);
    *table = (struct qcow2_table){.entry = entry, .count = count};
    return 0;
}

void qcow2_table_set(struct qcow2_table *table, u32 i, u64 value)
{
    ASSERT(i < table->count);
    table->entry[i] = value;
    if (table->dirty == table->end) {
        table->dirty = i;
        table->end = i + 1;
        return;
    }
    table->dirty = i < table->dirty ? i : table->dirty;
    table->end = i + 1 > table->end ? i + 1 : table->end;
}
