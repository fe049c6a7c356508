/* SPDX-License-Identifier: BSD-2-Clause */
/* Nodes of a disk's stack: checked calls, and vectors of memory. */
#include "block/node.h"

#include "base/assert.h"
#include "base/checked.h"

#include <errno.h>
#include <string.h>

void vec_init(struct vec *v)
{
    v->count = 0;
    v->len = 0;
}

void vec_add(struct vec *v, const void *base, u64 len)
{
    if (!len)
        return;
    ASSERT(v->count < VEC_MAX);
    v->io[v->count++] = (struct iovec){(void *)(uintptr_t)base, len};
    v->len += len;
}

void vec_one(struct vec *v, const void *base, u64 len)
{
    vec_init(v);
    vec_add(v, base, len);
}

void vec_add_part(struct vec *v, const struct vec *from, u64 at, u64 len)
{
    ASSERT(range_within(at, len, 0, from->len));
    for (u32 i = 0; i < from->count && len; i++) {
        const struct iovec *io = &from->io[i];
        u64 n;

        if (at >= io->iov_len) {
            at -= io->iov_len;
            continue;
        }
        n = io->iov_len - at < len ? io->iov_len - at : len;
        vec_add(v, (u8 *)io->iov_base + at, n);
        len -= n;
        at = 0;
    }
}

void vec_zero(const struct vec *v)
{
    for (u32 i = 0; i < v->count; i++)
        memset(v->io[i].iov_base, 0, v->io[i].iov_len);
}

void vec_put(const struct vec *v, const void *bytes)
{
    const u8 *from = bytes;

    for (u32 i = 0; i < v->count; from += v->io[i++].iov_len)
        memcpy(v->io[i].iov_base, from, v->io[i].iov_len);
}

void vec_get(const struct vec *v, void *bytes)
{
    u8 *to = bytes;

    for (u32 i = 0; i < v->count; to += v->io[i++].iov_len)
        memcpy(to, v->io[i].iov_base, v->io[i].iov_len);
}

/* Offsets are signed in the host's calls. */
static bool node_has(const struct node *node, u64 at, u64 len)
{
    return range_within(at, len, 0, node->growable ? INT64_MAX : node->size);
}

static int node_may_change(const struct node *node, u64 at, u64 len)
{
    if (node->readonly)
        return -EROFS;
    return node_has(node, at, len) ? 0 : -EINVAL;
}

int node_read(struct node *node, u64 at, const struct vec *v)
{
    if (!node_has(node, at, v->len))
        return -EINVAL;
    return v->len ? node->ops->read(node, at, v) : 0;
}

/* Relaxed: who compares the size with what others write has its own order with them. */
static void node_extend(struct node *node, u64 end)
{
    u64 size = __atomic_load_n(&node->size, __ATOMIC_RELAXED);

    while (size < end && !__atomic_compare_exchange_n(&node->size, &size, end, false,
                                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

int node_write(struct node *node, u64 at, const struct vec *v)
{
    int ret = node_may_change(node, at, v->len);

    if (ret || !v->len)
        return ret;
    if (node->growable)
        node_extend(node, at + v->len);
    return node->ops->write(node, at, v);
}

int node_try_read(struct node *node, u64 at, const struct vec *v)
{
    if (!node->ops->try_read)
        return -EAGAIN;
    if (!node_has(node, at, v->len))
        return -EINVAL;
    return node->ops->try_read(node, at, v);
}

int node_try_write(struct node *node, u64 at, const struct vec *v)
{
    int ret = node->ops->try_write ? node_may_change(node, at, v->len) : -EAGAIN;

    if (ret)
        return ret;
    if (node->growable)
        node_extend(node, at + v->len);
    return node->ops->try_write(node, at, v);
}

int node_read_bytes(struct node *node, u64 at, void *bytes, u64 len)
{
    struct vec v;

    vec_one(&v, bytes, len);
    return node_read(node, at, &v);
}

int node_write_bytes(struct node *node, u64 at, const void *bytes, u64 len)
{
    struct vec v;

    vec_one(&v, bytes, len);
    return node_write(node, at, &v);
}

int node_flush(struct node *node)
{
    return node->readonly ? 0 : node->ops->flush(node);
}

int node_discard(struct node *node, u64 at, u64 len)
{
    int ret = node_may_change(node, at, len);

    return ret || !len ? ret : node->ops->discard(node, at, len);
}

int node_write_zeroes(struct node *node, u64 at, u64 len, bool unmap)
{
    int ret = node_may_change(node, at, len);

    return ret || !len ? ret : node->ops->write_zeroes(node, at, len, unmap);
}

int node_resize(struct node *node, u64 size, struct err *err)
{
    if (node->readonly)
        return err_set(err, EROFS, "'%s' is open read-only and keeps its size", node->name);
    return node->ops->resize(node, size, err);
}

int node_state(struct node *node, u64 at, u64 max, u64 *len)
{
    ASSERT(max);
    if (!node_has(node, at, max))
        return -EINVAL;
    return node->ops->state(node, at, max, len);
}

void node_close(struct node *node)
{
    if (node)
        node->ops->close(node);
}
