/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A node as the asynchronous struct blk of a device: the one place with threads.
 *
 * Workers take requests in the order of their submission, and may finish them in another. A device
 * that flushes means what was answered before it submitted the flush; that is written by then.
 * Guest memory is read and written straight from the request's iov.
 */
#include "block/serve.h"

#include "base/assert.h"
#include "base/checked.h"
#include "host/scope.h"
#include "host/thread.h"

#include <errno.h>
#include <string.h>

#define WORKERS 4 /* requests in flight at the host, for each disk */

struct serve {
    struct blk blk;
    struct node *node;
    struct thread worker[WORKERS];
    u32 workers;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t more;
    struct blk_req *first, **last;
    bool closing;
    bool inline_work; /* submitters do it */
};

static void vec_of(struct vec *v, const struct blk_req *req)
{
    vec_init(v);
    for (u32 i = 0; i < req->iov_count; i++)
        vec_add(v, req->iov[i].base, req->iov[i].len);
    ASSERT(v->len == req->len);
}

static int serve_execute(struct serve *serve, const struct blk_req *req)
{
    struct vec v;

    switch (req->op) {
    case BLK_READ:
        vec_of(&v, req);
        return node_read(serve->node, req->offset, &v);
    case BLK_WRITE:
        vec_of(&v, req);
        return node_write(serve->node, req->offset, &v);
    case BLK_FLUSH:
        return node_flush(serve->node);
    case BLK_DISCARD:
        return node_discard(serve->node, req->offset, req->len);
    case BLK_WRITE_ZEROES:
        return node_write_zeroes(serve->node, req->offset, req->len, false);
    }
    return -EOPNOTSUPP;
}

/* The next request, or NULL when the disk closes and all is taken. */
static struct blk_req *serve_next(struct serve *serve)
{
    struct blk_req *req;

    pthread_mutex_lock(&serve->lock);
    while (!serve->first && !serve->closing)
        pthread_cond_wait(&serve->more, &serve->lock);
    req = serve->first;
    if (req) {
        serve->first = req->next;
        if (!serve->first)
            serve->last = &serve->first;
    }
    pthread_mutex_unlock(&serve->lock);
    return req;
}

static void serve_work(void *ctx)
{
    struct serve *serve = ctx;
    struct blk_req *req;

    while ((req = serve_next(serve)))
        req->done(req, serve_execute(serve, req));
}

static void serve_submit(void *ctx, struct blk_req *req)
{
    struct serve *serve = ctx;

    ASSERT(range_within(req->offset, req->len, 0, serve->blk.size));
    if (serve->inline_work) {
        req->done(req, serve_execute(serve, req));
        return;
    }
    req->next = NULL;
    pthread_mutex_lock(&serve->lock);
    *serve->last = req;
    serve->last = &req->next;
    pthread_cond_signal(&serve->more);
    pthread_mutex_unlock(&serve->lock);
}

static void serve_stop(struct serve *serve)
{
    pthread_mutex_lock(&serve->lock);
    serve->closing = true;
    pthread_cond_broadcast(&serve->more);
    pthread_mutex_unlock(&serve->lock);
    while (serve->workers)
        thread_join(&serve->worker[--serve->workers]);
    pthread_cond_destroy(&serve->more);
    pthread_mutex_destroy(&serve->lock);
}

static int serve_check_size(const struct node *node, struct err *err)
{
    if (!node->size)
        return err_set(err, EINVAL,
                       "disk image '%s' is empty; give it a size, for instance with: "
                       "cosm disk resize '%s' 1G",
                       node->name, node->name);
    if (node->size % BLK_SECTOR)
        return err_set(err, EINVAL,
                       "disk image '%s' has %llu bytes, which is not a multiple of %d; extend it "
                       "with: truncate -s %%%d '%s'",
                       node->name, (unsigned long long)node->size, BLK_SECTOR, BLK_SECTOR,
                       node->name);
    return 0;
}

static int serve_start(struct blk **blk, struct node *node, struct err *err)
{
    AUTO_FREE struct serve *serve = NULL;
    int ret = serve_check_size(node, err);

    if (ret)
        return ret;
    serve = calloc(1, sizeof(*serve));
    if (!serve)
        return err_set(err, ENOMEM, "disk image '%s': out of memory", node->name);
    serve->blk = (struct blk){serve_submit, serve, node->size, node->readonly, !node->readonly};
    serve->last = &serve->first;
    serve->node = node;
    pthread_mutex_init(&serve->lock, NULL);
    pthread_cond_init(&serve->more, NULL);
    while (!ret && serve->workers < WORKERS) {
        ret = thread_start(&serve->worker[serve->workers], "disk", serve_work, serve, err);
        serve->workers += !ret;
    }
    if (ret) {
        serve_stop(serve);
        return ret;
    }
    *blk = &steal(serve)->blk;
    return 0;
}

int serve_open(struct blk **blk, struct node *node, struct err *err)
{
    int ret = serve_start(blk, node, err);

    if (ret)
        node_close(node);
    return ret;
}

void serve_inline(struct blk *blk)
{
    CONTAINER_OF(blk, struct serve, blk)->inline_work = true;
}

void serve_close(struct blk *blk)
{
    struct serve *serve;

    if (!blk)
        return;
    serve = CONTAINER_OF(blk, struct serve, blk);
    serve_stop(serve);
    node_close(serve->node);
    free(serve);
}
