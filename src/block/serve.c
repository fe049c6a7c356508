/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A node as the asynchronous struct blk of a device: the one place with threads.
 *
 * Workers take requests in the order of their submission, and may finish them in another. A device
 * that flushes means what was answered before it submitted the flush; that is written by then.
 * Guest memory is read and written straight from the request's iov.
 *
 * A request that fails may have to wait until the host recovers (serve_policy). It stays where it
 * is listed then, and is tried again: by serve_retry, or by itself if all that it lacks is space.
 * Each has not been answered, so no other one depends on it.
 */
#include "block/serve.h"

#include "base/assert.h"
#include "base/checked.h"
#include "host/thread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WORKERS  4 /* requests in flight at the host, for each disk */
#define RETRY_MS 500

#define AT_ONCE_MAX   (1 * MIB)  /* bytes that a submitter transfers itself */
#define AT_ONCE_AMONG (64 * KIB) /* while others are under way */

struct serve {
    struct blk blk;
    struct node *node;
    const struct sandbox *sandbox;
    struct thread worker[WORKERS];
    u32 workers;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t more;
    struct blk_req *first, **last;
    struct blk_req *halted, **halted_last; /* these wait for the host to recover */
    u32 unsettled;          /* requests that failed and are not answered: waiting, or tried again */
    struct serve_halt halt; /* of the one that failed last */
    bool giving_up;         /* nothing may wait */
    bool closing, quiet;
    u32 running; /* requests that workers have */
    pthread_cond_t idle;
    struct serve_options options;
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

static bool lacks_space(int status)
{
    return status == -ENOSPC || status == -EDQUOT;
}

static void append(struct blk_req ***last, struct blk_req *req)
{
    req->next = NULL;
    **last = req;
    *last = &req->next;
}

/* All that waits goes back to the queue. */
static void retry_locked(struct serve *serve)
{
    if (!serve->halted)
        return;
    *serve->halted_last = serve->first;
    if (!serve->first)
        serve->last = serve->halted_last;
    serve->first = serve->halted;
    serve->halted = NULL;
    serve->halted_last = &serve->halted;
    pthread_cond_broadcast(&serve->more);
}

static void tell(struct serve *serve)
{
    if (serve->options.changed)
        serve->options.changed(serve->options.ctx);
}

static bool must_wait_locked(const struct serve *serve, const struct blk_req *req, int status)
{
    enum serve_policy policy =
        req->op == BLK_READ && !lacks_space(status) ? serve->options.rerror : serve->options.werror;

    return !serve->giving_up && !serve->closing &&
           (policy == SERVE_HALT || (policy == SERVE_ENOSPC && lacks_space(status)));
}

/* A request has failed. True: it waits, and is not to be answered. */
static bool halt(struct serve *serve, struct blk_req *req, int status)
{
    bool waits, first;

    pthread_mutex_lock(&serve->lock);
    waits = must_wait_locked(serve, req, status);
    first = waits && !serve->unsettled;
    if (waits) {
        serve->halt = (struct serve_halt){req->op, -status, lacks_space(status)};
        serve->unsettled += !req->failed;
        req->failed = true;
        append(&serve->halted_last, req);
    }
    pthread_mutex_unlock(&serve->lock);
    if (first)
        tell(serve);
    return waits;
}

/* A request that failed once is to be answered. Where one went through, others may, too. */
static void settle(struct serve *serve, int status)
{
    bool last;

    pthread_mutex_lock(&serve->lock);
    last = !--serve->unsettled;
    if (!status)
        retry_locked(serve);
    pthread_mutex_unlock(&serve->lock);
    if (last)
        tell(serve);
}

static void execute(struct serve *serve, struct blk_req *req)
{
    enum serve_policy policy = req->op == BLK_READ ? serve->options.rerror : serve->options.werror;
    int status = serve_execute(serve, req);

    if (status && halt(serve, req, status))
        return;
    if (req->failed)
        settle(serve, status);
    req->done(req, policy == SERVE_IGNORE ? 0 : status);
}

static void deadline(struct timespec *at)
{
    clock_gettime(CLOCK_MONOTONIC, at);
    at->tv_nsec += RETRY_MS * 1000000;
    at->tv_sec += at->tv_nsec / 1000000000;
    at->tv_nsec %= 1000000000;
}

/* Waits for a request. When it is time to try again what waits for space, one of it is one. */
static void wait_locked(struct serve *serve)
{
    struct timespec at;

    if (serve->quiet || !serve->halted || !serve->halt.no_space) {
        pthread_cond_wait(&serve->more, &serve->lock);
        return;
    }
    deadline(&at);
    if (pthread_cond_timedwait(&serve->more, &serve->lock, &at) != ETIMEDOUT || !serve->halted ||
        serve->first)
        return;
    serve->first = serve->halted;
    serve->last = &serve->first->next;
    serve->halted = serve->halted->next;
    if (!serve->halted)
        serve->halted_last = &serve->halted;
    serve->first->next = NULL;
}

/* The next request, or NULL when the disk closes and all is taken. */
static struct blk_req *serve_next(struct serve *serve)
{
    struct blk_req *req;

    pthread_mutex_lock(&serve->lock);
    while (serve->quiet || (!serve->first && !serve->closing))
        wait_locked(serve);
    req = serve->first;
    if (req) {
        serve->running++;
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

    sandbox_thread(serve->sandbox, SANDBOX_DISK);
    while ((req = serve_next(serve))) {
        execute(serve, req);
        pthread_mutex_lock(&serve->lock);
        if (!--serve->running)
            pthread_cond_signal(&serve->idle);
        pthread_mutex_unlock(&serve->lock);
    }
}

/*
 * What the host has in memory need not wait for a thread to wake up. A write may have to wait, so
 * it is tried only while no other request is under way, which it would hold up.
 */
static bool serve_at_once(struct serve *serve, struct blk_req *req)
{
    struct vec v;
    bool alone;

    if ((req->op != BLK_READ && req->op != BLK_WRITE) || req->len > AT_ONCE_MAX)
        return false;
    pthread_mutex_lock(&serve->lock);
    alone = !serve->first && !serve->running && !serve->unsettled;
    pthread_mutex_unlock(&serve->lock);
    if (!alone && (req->op == BLK_WRITE || req->len > AT_ONCE_AMONG))
        return false;
    vec_of(&v, req);
    if (req->op == BLK_READ ? node_try_read(serve->node, req->offset, &v)
                            : node_try_write(serve->node, req->offset, &v))
        return false;
    req->done(req, 0);
    return true;
}

static void serve_submit(void *ctx, struct blk_req *req)
{
    struct serve *serve = ctx;

    ASSERT(range_within(req->offset, req->len, 0, serve->blk.size));
    req->failed = false;
    if (serve->options.inline_work) {
        execute(serve, req);
        return;
    }
    if (serve_at_once(serve, req))
        return;
    pthread_mutex_lock(&serve->lock);
    append(&serve->last, req);
    pthread_cond_signal(&serve->more);
    pthread_mutex_unlock(&serve->lock);
}

/* What waits fails now, and nothing waits from now on. */
static void serve_give_up(void *ctx, bool on)
{
    struct serve *serve = ctx;

    pthread_mutex_lock(&serve->lock);
    serve->giving_up = on;
    retry_locked(serve);
    pthread_mutex_unlock(&serve->lock);
}

bool serve_halted(struct blk *blk, struct serve_halt *halt)
{
    struct serve *serve = CONTAINER_OF(blk, struct serve, blk);
    bool halted;

    pthread_mutex_lock(&serve->lock);
    halted = serve->unsettled;
    if (halted && halt)
        *halt = serve->halt;
    pthread_mutex_unlock(&serve->lock);
    return halted;
}

void serve_retry(struct blk *blk)
{
    struct serve *serve = CONTAINER_OF(blk, struct serve, blk);

    pthread_mutex_lock(&serve->lock);
    retry_locked(serve);
    pthread_mutex_unlock(&serve->lock);
}

void serve_quiesce(struct blk *blk)
{
    struct serve *serve = CONTAINER_OF(blk, struct serve, blk);

    pthread_mutex_lock(&serve->lock);
    serve->quiet = true;
    while (serve->running)
        pthread_cond_wait(&serve->idle, &serve->lock);
    pthread_mutex_unlock(&serve->lock);
}

void serve_continue(struct blk *blk)
{
    struct serve *serve = CONTAINER_OF(blk, struct serve, blk);

    pthread_mutex_lock(&serve->lock);
    serve->quiet = false;
    pthread_cond_broadcast(&serve->more);
    pthread_mutex_unlock(&serve->lock);
}

struct node *serve_node(const struct blk *blk)
{
    return CONTAINER_OF(blk, const struct serve, blk)->node;
}

void serve_set_node(struct blk *blk, struct node *node)
{
    CONTAINER_OF(blk, struct serve, blk)->node = node;
}

int serve_resize(struct blk *blk, u64 size, struct err *err)
{
    struct node *node = serve_node(blk);
    int ret;

    if (size < blk->size)
        return err_set(err, EINVAL,
                       "'%s' has %llu bytes, and a disk that a guest uses can only grow",
                       node->name, (unsigned long long)blk->size);
    if (size % BLK_SECTOR)
        return err_set(err, EINVAL, "a disk cannot have %llu bytes; give a multiple of %d",
                       (unsigned long long)size, BLK_SECTOR);
    ret = node_resize(node, size, err);
    if (!ret)
        blk->size = node->size;
    return ret;
}

const char *serve_name(const struct blk *blk)
{
    return CONTAINER_OF(blk, const struct serve, blk)->node->name;
}

static void serve_stop(struct serve *serve)
{
    pthread_mutex_lock(&serve->lock);
    serve->closing = true;
    serve->quiet = false;
    retry_locked(serve);
    pthread_cond_broadcast(&serve->more);
    pthread_mutex_unlock(&serve->lock);
    while (serve->workers)
        thread_join(&serve->worker[--serve->workers]);
    pthread_cond_destroy(&serve->more);
    pthread_cond_destroy(&serve->idle);
    pthread_mutex_destroy(&serve->lock);
}

static void serve_init_locks(struct serve *serve)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&serve->lock, NULL);
    pthread_cond_init(&serve->more, &attr);
    pthread_cond_init(&serve->idle, NULL);
    pthread_condattr_destroy(&attr);
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

int serve_open(struct blk **blk, struct node *node, const struct serve_options *options,
               struct err *err)
{
    struct serve *serve = NULL;
    int ret = serve_check_size(node, err);

    if (!ret)
        serve = calloc(1, sizeof(*serve));
    if (!ret && !serve)
        ret = err_set(err, ENOMEM, "disk image '%s': out of memory", node->name);
    if (ret) {
        node_close(node);
        return ret;
    }
    serve->blk = (struct blk){.submit = serve_submit,
                              .give_up = serve_give_up,
                              .ctx = serve,
                              .size = node->size,
                              .readonly = node->readonly,
                              .can_discard = !node->readonly};
    serve->last = &serve->first;
    serve->halted_last = &serve->halted;
    serve->node = node;
    serve->options = *options;
    serve_init_locks(serve);
    *blk = &serve->blk;
    return 0;
}

int serve_begin(struct blk *blk, const struct sandbox *sandbox, struct err *err)
{
    struct serve *serve = CONTAINER_OF(blk, struct serve, blk);
    u32 workers = serve->options.inline_work ? 1 : WORKERS; /* one for what has to wait */
    int ret = 0;

    serve->sandbox = sandbox;
    while (!ret && serve->workers < workers) {
        ret = thread_start(&serve->worker[serve->workers], "disk", serve_work, serve, err);
        serve->workers += !ret;
    }
    return ret;
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
