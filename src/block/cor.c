/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copy-on-read: what an image takes from the one below, it keeps.
 *
 * What is kept must not come over what a guest wrote meanwhile: reads that keep something hold the
 * lock alone, from the look at what is there to the write. All else shares it.
 */
#include "block/cor.h"

#include "base/bits.h"
#include "host/scope.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define GRAIN 65536 /* whole pieces of so many bytes are kept: a cluster of most images */

struct cor {
    struct node node;
    struct node *below;
    pthread_rwlock_t lock;
};

static struct cor *cor_of(struct node *node)
{
    return CONTAINER_OF(node, struct cor, node);
}

/* Has the image all of a range itself? The lock is held. */
static int has_all(struct cor *c, u64 at, u64 end)
{
    for (u64 len; at < end; at += len) {
        int state = node_state(c->below, at, end - at, &len);

        if (state < 0)
            return state;
        if (state == NODE_ABSENT)
            return 0;
    }
    return 1;
}

/* Writes what the image lacks of a range, which it read from below. The lock is held alone. */
static int keep_locked(struct cor *c, u64 at, u64 end)
{
    u64 start = at, len;
    AUTO_FREE u8 *bytes = malloc(end - at);
    int ret = bytes ? node_read_bytes(c->below, at, bytes, end - at) : -ENOMEM;

    for (; at < end && !ret; at += len) {
        int state = node_state(c->below, at, end - at, &len);

        if (state < 0)
            return state;
        if (state == NODE_ABSENT)
            ret = node_write_bytes(c->below, at, bytes + (at - start), len);
    }
    return ret;
}

static void keep(struct cor *c, u64 at, u64 end)
{
    for (u64 next; at < end; at = next) {
        int has;

        next = align_up(at + 1, GRAIN) < end ? align_up(at + 1, GRAIN) : end;
        pthread_rwlock_rdlock(&c->lock);
        has = has_all(c, at, next);
        pthread_rwlock_unlock(&c->lock);
        if (has)
            continue;
        pthread_rwlock_wrlock(&c->lock);
        (void)!keep_locked(c, at, next); /* the read goes well all the same */
        pthread_rwlock_unlock(&c->lock);
    }
}

static int cor_read(struct node *node, u64 at, const struct vec *v)
{
    struct cor *c = cor_of(node);
    u64 end = align_up(at + v->len, GRAIN);

    keep(c, align_down(at, GRAIN), end < node->size ? end : node->size);
    return node_read(c->below, at, v);
}

static int cor_write(struct node *node, u64 at, const struct vec *v)
{
    struct cor *c = cor_of(node);
    int ret;

    pthread_rwlock_rdlock(&c->lock);
    ret = node_write(c->below, at, v);
    pthread_rwlock_unlock(&c->lock);
    return ret;
}

static int cor_discard(struct node *node, u64 at, u64 len)
{
    struct cor *c = cor_of(node);
    int ret;

    pthread_rwlock_rdlock(&c->lock);
    ret = node_discard(c->below, at, len);
    pthread_rwlock_unlock(&c->lock);
    return ret;
}

static int cor_zeroes(struct node *node, u64 at, u64 len, bool unmap)
{
    struct cor *c = cor_of(node);
    int ret;

    pthread_rwlock_rdlock(&c->lock);
    ret = node_write_zeroes(c->below, at, len, unmap);
    pthread_rwlock_unlock(&c->lock);
    return ret;
}

static int cor_flush(struct node *node)
{
    return node_flush(cor_of(node)->below);
}

static int cor_resize(struct node *node, u64 size, struct err *err)
{
    struct cor *c = cor_of(node);
    int ret = node_resize(c->below, size, err);

    node->size = c->below->size;
    return ret;
}

static int cor_state(struct node *node, u64 at, u64 max, u64 *len)
{
    return node_state(cor_of(node)->below, at, max, len);
}

static void cor_close(struct node *node)
{
    struct cor *c = cor_of(node);

    node_close(c->below);
    pthread_rwlock_destroy(&c->lock);
    free(node->name);
    free(c);
}

static struct node **cor_slot(struct node *node)
{
    return &cor_of(node)->below;
}

static const struct node_ops cor_ops = {
    .name = "copy-on-read",
    .read = cor_read,
    .write = cor_write,
    .flush = cor_flush,
    .discard = cor_discard,
    .write_zeroes = cor_zeroes,
    .resize = cor_resize,
    .state = cor_state,
    .close = cor_close,
    .below = cor_slot,
};

int cor_open(struct node **node, struct node *below, struct err *err)
{
    struct cor *c = calloc(1, sizeof(*c));

    if (c)
        c->node.name = strdup(below->name);
    if (!c || !c->node.name) {
        free(c);
        return err_set(err, ENOMEM, "'%s': out of memory", below->name);
    }
    c->node.ops = &cor_ops;
    c->node.size = below->size;
    c->below = below;
    pthread_rwlock_init(&c->lock, NULL);
    *node = &c->node;
    return 0;
}
