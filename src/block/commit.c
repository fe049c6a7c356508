/* SPDX-License-Identifier: BSD-2-Clause */
/* Writing what an image holds into the one below while the disk is in use. See commit.h. */
#include "block/commit.h"

#include "base/checked.h"
#include "block/qcow2.h"
#include "host/scope.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define PIECE (1 * MIB)

struct commit {
    struct node node;
    struct node *image, *below;
    pthread_mutex_t lock; /* held while anything changes in either of them; of what follows */
    u64 done;             /* up to here both are alike */
    int failed;           /* -errno: below could not be written */
    u8 *bytes;            /* PIECE */
};

static struct commit *commit_of(struct node *node)
{
    return CONTAINER_OF(node, struct commit, node);
}

/* Brings to below what the image itself has of a range. */
static int copy_range_locked(struct commit *c, u64 at, u64 end)
{
    int ret = 0;

    for (u64 len; at < end && !ret; at += len) {
        int state = node_state(c->image, at, end - at < PIECE ? end - at : PIECE, &len);

        if (state < 0)
            return state;
        if (state == NODE_ZERO)
            ret = node_write_zeroes(c->below, at, len, true);
        if (state != NODE_DATA)
            continue;
        ret = node_read_bytes(c->image, at, c->bytes, len);
        if (!ret)
            ret = node_write_bytes(c->below, at, c->bytes, len);
    }
    return ret;
}

/* The image has changed there. A guest is not told of what goes wrong below: the job is over. */
static void follow_locked(struct commit *c, u64 at, u64 len)
{
    u64 end = at + len < c->done ? at + len : c->done;

    if (at < c->done && !c->failed)
        c->failed = copy_range_locked(c, at, end);
}

static int commit_read(struct node *node, u64 at, const struct vec *v)
{
    return node_read(commit_of(node)->image, at, v);
}

static int commit_write(struct node *node, u64 at, const struct vec *v)
{
    struct commit *c = commit_of(node);
    int ret;

    pthread_mutex_lock(&c->lock);
    ret = node_write(c->image, at, v);
    follow_locked(c, at, v->len);
    pthread_mutex_unlock(&c->lock);
    return ret;
}

static int commit_discard(struct node *node, u64 at, u64 len)
{
    struct commit *c = commit_of(node);
    int ret;

    pthread_mutex_lock(&c->lock);
    ret = node_discard(c->image, at, len);
    follow_locked(c, at, len);
    pthread_mutex_unlock(&c->lock);
    return ret;
}

static int commit_zeroes(struct node *node, u64 at, u64 len, bool unmap)
{
    struct commit *c = commit_of(node);
    int ret;

    pthread_mutex_lock(&c->lock);
    ret = node_write_zeroes(c->image, at, len, unmap);
    follow_locked(c, at, len);
    pthread_mutex_unlock(&c->lock);
    return ret;
}

static int commit_flush(struct node *node)
{
    return node_flush(commit_of(node)->image);
}

static int commit_resize(struct node *node, u64 size, struct err *err)
{
    return err_set(err, EBUSY, "'%s' is being committed; wait until that has ended", node->name);
}

static int commit_state(struct node *node, u64 at, u64 max, u64 *len)
{
    return node_state(commit_of(node)->image, at, max, len);
}

static void commit_close(struct node *node)
{
    struct node *image = commit_of(node)->image;

    commit_cancel(node);
    node_close(image);
}

static const struct node_ops commit_ops = {
    .name = "commit",
    .read = commit_read,
    .write = commit_write,
    .flush = commit_flush,
    .discard = commit_discard,
    .write_zeroes = commit_zeroes,
    .resize = commit_resize,
    .state = commit_state,
    .close = commit_close,
};

int commit_open(struct node **node, struct node *image, struct err *err)
{
    struct commit *c = calloc(1, sizeof(*c));

    if (c)
        c->bytes = malloc(PIECE);
    if (!c || !c->bytes) {
        free(c);
        return err_set(err, ENOMEM, "'%s': out of memory", image->name);
    }
    c->node = (struct node){
        .ops = &commit_ops, .size = image->size, .readonly = image->readonly, .name = image->name};
    c->image = image;
    c->below = qcow2_backing(image);
    pthread_mutex_init(&c->lock, NULL);
    *node = &c->node;
    return 0;
}

int commit_step(struct node *node)
{
    struct commit *c = commit_of(node);
    u64 end;
    int ret;

    pthread_mutex_lock(&c->lock);
    end = c->node.size - c->done < PIECE ? c->node.size : c->done + PIECE;
    ret = c->failed ? c->failed : copy_range_locked(c, c->done, end);
    if (!ret)
        c->done = end;
    ret = ret ? ret : c->done == c->node.size;
    pthread_mutex_unlock(&c->lock);
    return ret;
}

u64 commit_done(struct node *node)
{
    struct commit *c = commit_of(node);
    u64 done;

    pthread_mutex_lock(&c->lock);
    done = c->done;
    pthread_mutex_unlock(&c->lock);
    return done;
}

int commit_finish(struct node *node, struct err *err)
{
    struct commit *c = commit_of(node);
    struct node *image = c->image;
    int ret = c->failed;

    if (!ret && c->done < node->size)
        ret = -ECANCELED;
    if (!ret) /* what is below for certain may go above */
        ret = node_flush(c->below);
    if (ret)
        err_set(err, -ret, "'%s' cannot be committed: %s", image->name, strerror(-ret));
    else
        ret = qcow2_forget(image, err);
    commit_cancel(node);
    return ret;
}

void commit_cancel(struct node *node)
{
    struct commit *c = commit_of(node);

    pthread_mutex_destroy(&c->lock);
    free(c->bytes);
    free(c);
}
