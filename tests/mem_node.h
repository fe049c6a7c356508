/* SPDX-License-Identifier: BSD-2-Clause */
/* A file in memory as a node: for tests of formats, with a record of what was written. */
#ifndef COSM_TESTS_MEM_NODE_H
#define COSM_TESTS_MEM_NODE_H

#include "base/assert.h"
#include "block/node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A write, or a flush if len is 0. Without bytes, zeroes were written. */
struct mem_write {
    u64 at, len;
    u8 *bytes;
    u64 when; /* by the clock that several files share */
};

struct mem_node {
    struct node node;
    u8 *bytes;
    u64 len, room, max; /* max: no file may become larger */
    bool recording;
    struct mem_write *log;
    size_t count, log_room;
    u64 *clock;     /* counts records; may be NULL */
    u64 fail_after; /* so many writes succeed, if not 0 */
};

static inline struct mem_node *mem_of(struct node *node)
{
    return CONTAINER_OF(node, struct mem_node, node);
}

static inline bool mem_reserve(struct mem_node *m, u64 len)
{
    if (len > m->max)
        return false;
    if (len > m->room) {
        u64 room = len * 2 < m->max ? len * 2 : m->max;
        u8 *bytes = realloc(m->bytes, room);

        ASSERT(bytes);
        memset(bytes + m->room, 0, room - m->room);
        m->bytes = bytes;
        m->room = room;
    }
    if (len > m->len)
        m->len = len;
    return true;
}

static inline void mem_record(struct mem_node *m, u64 at, u64 len, const u8 *bytes)
{
    if (!m->recording)
        return;
    if (m->count == m->log_room) {
        m->log_room = m->log_room * 2 + 64;
        m->log = realloc(m->log, m->log_room * sizeof(*m->log));
        ASSERT(m->log);
    }
    m->log[m->count] = (struct mem_write){at, len, NULL, m->clock ? (*m->clock)++ : 0};
    if (bytes) {
        m->log[m->count].bytes = malloc(len);
        ASSERT(m->log[m->count].bytes);
        memcpy(m->log[m->count].bytes, bytes, len);
    }
    m->count++;
}

static inline int mem_read(struct node *node, u64 at, const struct vec *v)
{
    struct mem_node *m = mem_of(node);

    for (u32 i = 0; i < v->count; i++) {
        u64 len = v->io[i].iov_len, there = at >= m->len        ? 0
                                            : m->len - at < len ? m->len - at
                                                                : len;

        if (there)
            memcpy(v->io[i].iov_base, m->bytes + at, there);
        memset((u8 *)v->io[i].iov_base + there, 0, len - there);
        at += len;
    }
    return 0;
}

static inline int mem_write(struct node *node, u64 at, const struct vec *v)
{
    struct mem_node *m = mem_of(node);

    if (m->fail_after && !--m->fail_after)
        m->max = m->len; /* the disk is full from now on */
    if (!mem_reserve(m, at + v->len))
        return -ENOSPC;
    vec_get(v, m->bytes + at);
    mem_record(m, at, v->len, m->bytes + at);
    return 0;
}

static inline int mem_flush(struct node *node)
{
    mem_record(mem_of(node), 0, 0, NULL);
    return 0;
}

static inline int mem_zero(struct node *node, u64 at, u64 len, bool unmap)
{
    struct mem_node *m = mem_of(node);
    u64 n = at >= m->len ? 0 : len < m->len - at ? len : m->len - at;

    if (n) {
        memset(m->bytes + at, 0, n);
        mem_record(m, at, n, NULL);
    }
    return 0;
}

static inline int mem_discard(struct node *node, u64 at, u64 len)
{
    return mem_zero(node, at, len, true);
}

static inline int mem_resize(struct node *node, u64 size, struct err *err)
{
    return mem_reserve(mem_of(node), size) ? 0 : err_set(err, ENOSPC, "full");
}

static inline int mem_state(struct node *node, u64 at, u64 max, u64 *len)
{
    *len = max;
    return NODE_DATA;
}

static inline void mem_close(struct node *node)
{
    struct mem_node *m = mem_of(node);

    for (size_t i = 0; i < m->count; i++)
        free(m->log[i].bytes);
    free(m->log);
    free(m->bytes);
    free(m);
}

static const struct node_ops mem_ops = {
    .name = "memory",
    .read = mem_read,
    .write = mem_write,
    .flush = mem_flush,
    .discard = mem_discard,
    .write_zeroes = mem_zero,
    .resize = mem_resize,
    .state = mem_state,
    .close = mem_close,
};

static inline struct node *mem_create(const void *bytes, u64 len, u64 max)
{
    struct mem_node *m = calloc(1, sizeof(*m));
    static char name[] = "memory";

    ASSERT(m);
    m->node = (struct node){&mem_ops, len, false, true, name};
    m->max = max;
    ASSERT(mem_reserve(m, len));
    if (len)
        memcpy(m->bytes, bytes, len);
    return &m->node;
}

#endif
