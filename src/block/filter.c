/* SPDX-License-Identifier: BSD-2-Clause */
/* Filters: nodes that let requests pass, later than they came or not at all. */
#include "block/filter.h"

#include "base/checked.h"
#include "host/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND UINT64_C(1000000000)

struct filter {
    struct node node;
    struct node *below;
    int (*before)(struct filter *filter, enum blk_op op, u64 len);
    pthread_mutex_t lock; /* of what follows */
    struct throttle throttle;
    u64 iops_free_ns, bps_free_ns; /* until then what is allowed is used up */
    struct fault fault;
    u64 seen;
};

static struct filter *filter_of(struct node *node)
{
    return CONTAINER_OF(node, struct filter, node);
}

static int filter_read(struct node *node, u64 at, const struct vec *v)
{
    struct filter *f = filter_of(node);
    int ret = f->before(f, BLK_READ, v->len);

    return ret ? ret : node_read(f->below, at, v);
}

static int filter_write(struct node *node, u64 at, const struct vec *v)
{
    struct filter *f = filter_of(node);
    int ret = f->before(f, BLK_WRITE, v->len);

    return ret ? ret : node_write(f->below, at, v);
}

static int filter_flush(struct node *node)
{
    struct filter *f = filter_of(node);
    int ret = f->before(f, BLK_FLUSH, 0);

    return ret ? ret : node_flush(f->below);
}

static int filter_discard(struct node *node, u64 at, u64 len)
{
    struct filter *f = filter_of(node);
    int ret = f->before(f, BLK_DISCARD, 0);

    return ret ? ret : node_discard(f->below, at, len);
}

static int filter_write_zeroes(struct node *node, u64 at, u64 len, bool unmap)
{
    struct filter *f = filter_of(node);
    int ret = f->before(f, BLK_WRITE_ZEROES, 0);

    return ret ? ret : node_write_zeroes(f->below, at, len, unmap);
}

static int filter_resize(struct node *node, u64 size, struct err *err)
{
    struct filter *f = filter_of(node);
    int ret = node_resize(f->below, size, err);

    node->size = f->below->size;
    return ret;
}

static int filter_state(struct node *node, u64 at, u64 max, u64 *len)
{
    return node_state(filter_of(node)->below, at, max, len);
}

static void filter_close(struct node *node)
{
    struct filter *f = filter_of(node);

    node_close(f->below);
    pthread_mutex_destroy(&f->lock);
    free(node->name);
    free(f);
}

static struct node **filter_slot(struct node *node)
{
    return &filter_of(node)->below;
}

static const struct node_ops filter_ops = {
    .name = "filter",
    .read = filter_read,
    .write = filter_write,
    .flush = filter_flush,
    .discard = filter_discard,
    .write_zeroes = filter_write_zeroes,
    .resize = filter_resize,
    .state = filter_state,
    .close = filter_close,
    .below = filter_slot,
};

static struct filter *filter_create(struct node *below, struct err *err)
{
    struct filter *f = calloc(1, sizeof(*f));

    if (f)
        f->node.name = strdup(below->name);
    if (!f || !f->node.name) {
        free(f);
        err_set(err, ENOMEM, "'%s': out of memory", below->name);
        return NULL;
    }
    f->node.ops = &filter_ops;
    f->node.size = below->size;
    f->node.readonly = below->readonly;
    f->node.growable = below->growable;
    f->below = below;
    pthread_mutex_init(&f->lock, NULL);
    return f;
}

struct node *filter_replace_below(struct node *node, struct node *below)
{
    struct node **slot = node->ops->below ? node->ops->below(node) : NULL;

    if (!slot)
        return below;
    *slot = filter_replace_below(*slot, below);
    return node;
}

struct node *filter_below(struct node *node)
{
    while (node->ops->below)
        node = *node->ops->below(node);
    return node;
}

/*
 * Takes cost units of what comes at rate units a second. Returns when it may happen: what is used
 * moves a moment ahead, which lies at most the burst behind now.
 */
static u64 bucket_take(u64 *free_ns, u64 rate, u64 cost, u64 burst_ns, u64 now)
{
    u64 start;

    if (!rate)
        return now;
    if (*free_ns + burst_ns < now)
        *free_ns = now - burst_ns;
    start = *free_ns;
    *free_ns += (u64)((u128)cost * SECOND / rate);
    return start;
}

static int throttle_before(struct filter *f, enum blk_op op, u64 len)
{
    u64 burst_ns = (f->throttle.burst_s ? f->throttle.burst_s : 1) * SECOND, now, iops, bps, until;
    struct timespec wait;

    if (op != BLK_READ && op != BLK_WRITE)
        return 0;
    pthread_mutex_lock(&f->lock);
    now = host_monotonic_ns() + burst_ns; /* no difference becomes negative */
    iops = bucket_take(&f->iops_free_ns, f->throttle.iops, 1, burst_ns, now);
    bps = bucket_take(&f->bps_free_ns, f->throttle.bps, len, burst_ns, now);
    pthread_mutex_unlock(&f->lock);
    until = iops > bps ? iops : bps;
    if (until <= now)
        return 0;
    wait = (struct timespec){(time_t)((until - now) / SECOND), (long)((until - now) % SECOND)};
    while (nanosleep(&wait, &wait) && errno == EINTR)
        ;
    return 0;
}

int throttle_open(struct node **node, struct node *below, const struct throttle *throttle,
                  struct err *err)
{
    struct filter *f = filter_create(below, err);

    if (!f)
        return -ENOMEM;
    f->throttle = *throttle;
    f->before = throttle_before;
    *node = &f->node;
    return 0;
}

static int fault_before(struct filter *f, enum blk_op op, u64 len)
{
    bool fails;

    if (!(f->fault.ops >> op & 1))
        return 0;
    pthread_mutex_lock(&f->lock);
    f->seen++;
    fails = f->fault.on ? f->seen >= f->fault.every : f->seen % f->fault.every == 0;
    pthread_mutex_unlock(&f->lock);
    return fails ? -f->fault.code : 0;
}

int fault_open(struct node **node, struct node *below, const struct fault *fault, struct err *err)
{
    struct filter *f = filter_create(below, err);

    if (!f)
        return -ENOMEM;
    f->fault = *fault;
    f->before = fault_before;
    *node = &f->node;
    return 0;
}

static u32 fault_ops(const char *text, size_t len)
{
    static const struct {
        const char *name;
        u32 ops;
    } names[] = {
        {"read", 1u << BLK_READ},   {"write", 1u << BLK_WRITE | 1u << BLK_WRITE_ZEROES},
        {"flush", 1u << BLK_FLUSH}, {"discard", 1u << BLK_DISCARD},
        {"any", UINT32_MAX},
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strlen(names[i].name) == len && !strncmp(names[i].name, text, len))
            return names[i].ops;
    return 0;
}

static int fault_code(const char *text)
{
    static const struct {
        const char *name;
        int code;
    } names[] = {{"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EROFS", EROFS}, {"ETIMEDOUT", ETIMEDOUT}};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (!strcmp(names[i].name, text))
            return names[i].code;
    return 0;
}

int fault_parse(const char *text, struct fault *fault, struct err *err)
{
    size_t len = strcspn(text, ":");
    const char *rest = text + len + !!text[len];
    char *end;

    *fault = (struct fault){.ops = fault_ops(text, len)};
    if (*rest >= '1' && *rest <= '9') {
        fault->every = strtoull(rest, &end, 10);
        fault->on = *end == '+';
        end += fault->on;
        if (*end == ':')
            fault->code = fault_code(end + 1);
    }
    if (fault->ops && fault->every && fault->code)
        return 0;
    return err_set(err, EINVAL,
                   "'fault=%.64s' is no fault; give read, write, flush, discard or any, a number, "
                   "and EIO, ENOSPC, EROFS or ETIMEDOUT, as in write:100+:ENOSPC",
                   text);
}
