/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtio memory balloon (VIRTIO 1.2, 5.5); see balloon.h. */
#include "device/virtio/balloon.h"

#include "base/bits.h"
#include "base/mem.h"

#define F_STATS_VQ       BIT(1)
#define F_DEFLATE_ON_OOM BIT(2)
#define F_PAGE_POISON    BIT(4)
#define F_REPORTING      BIT(5)

/* Configuration space (5.5.4). */
enum { NUM_PAGES = 0, ACTUAL = 4, POISON = 12 };

/* Pages in a chain that count; drivers give 256. More would hold others up too long. */
enum { PAGES_MAX = 65536, BURST = 64, STAT_SIZE = 10, STATS_MAX = 64 };

enum role { INFLATE, DEFLATE, STATS, REPORT };

/* Pages in a row, in whatever direction they were named. */
struct run {
    gpa_t gpa;
    u64 len;
};

static struct virtio_balloon *balloon_of(struct virtio_dev *dev)
{
    return CONTAINER_OF(dev, struct virtio_balloon, dev);
}

/*
 * Free pages are reported on queue 4, the specification says; but drivers (Linux before 6.11) leave
 * out the queues whose features are not there, and so get to 3, or to 2 without statistics.
 */
static enum role role_locked(struct virtio_dev *dev, u32 queue)
{
    if (queue == 0 || queue == 1)
        return queue ? DEFLATE : INFLATE;
    return queue == 2 && virtio_has_locked(dev, F_STATS_VQ) ? STATS : REPORT;
}

/* ---- pages ---- */

static void run_discard_locked(struct virtio_balloon *b, struct run *run)
{
    if (run->len && gmem_discard(b->dev.gmem, run->gpa, run->len))
        b->returned += run->len;
    run->len = 0;
}

static void run_add_locked(struct virtio_balloon *b, struct run *run, gpa_t page)
{
    if (run->len && page + BALLOON_PAGE == run->gpa) {
        run->gpa = page;
    } else if (!run->len || page != run->gpa + run->len) {
        run_discard_locked(b, run);
        run->gpa = page;
    }
    run->len += BALLOON_PAGE;
}

/* The chain is numbers of pages, 32 bits each. */
static void inflate_locked(struct virtio_balloon *b)
{
    struct virtio_dev *dev = &b->dev;
    u32 count = b->chain.readable_len / 4;
    struct run run = {0};
    u8 raw[4 * BURST];

    if (count > PAGES_MAX) {
        log_guest(dev->log, &dev->limit, dev->cls->name, "%u pages at once are too many", count);
        count = PAGES_MAX;
    }
    for (u32 at = 0; at < count; at += BURST) {
        u32 n = count - at < BURST ? count - at : BURST;

        if (virtq_chain_read(&dev->queue[0], &b->chain, 4 * at, raw, 4 * (size_t)n) != 4 * n)
            break;
        for (u32 i = 0; i < n; i++) {
            gpa_t page = le32_load(raw + 4 * (size_t)i) * BALLOON_PAGE;

            if (gmem_is_valid(dev->gmem, page, BALLOON_PAGE, true))
                run_add_locked(b, &run, page);
            else
                log_guest(dev->log, &dev->limit, dev->cls->name, "no memory at 0x%llx to give back",
                          (unsigned long long)page);
        }
    }
    run_discard_locked(b, &run);
}

/* The chain is the free pages themselves. Where they are to hold a value, it must not get lost. */
static void report_locked(struct virtio_balloon *b)
{
    const struct virtq_chain *c = &b->chain;

    if (virtio_has_locked(&b->dev, F_PAGE_POISON) && le32_load(b->config + POISON))
        return;
    for (u32 i = c->readable; i < c->count; i++) {
        gpa_t start = align_up(c->seg[i].gpa, BALLOON_PAGE);
        gpa_t end = align_down(c->seg[i].gpa + c->seg[i].len, BALLOON_PAGE);

        if (start < end)
            run_discard_locked(b, &(struct run){start, end - start});
    }
}

/* ---- statistics ---- */

static void give_back_stats_locked(struct virtio_balloon *b)
{
    if (!b->can_ask)
        return;
    b->can_ask = false;
    virtio_push_locked(&b->dev, 2, b->asked, 0);
    virtio_signal_locked(&b->dev, 2);
}

/* The buffer is kept until somebody asks. */
static void take_stats_locked(struct virtio_balloon *b)
{
    u32 count = b->chain.readable_len / STAT_SIZE;
    u8 raw[STAT_SIZE];

    give_back_stats_locked(b); /* a driver has one; should it give two, none gets lost */
    b->known = 0;
    for (u32 i = 0; i < count && i < STATS_MAX; i++) {
        u16 tag;

        if (virtq_chain_read(&b->dev.queue[2], &b->chain, i * STAT_SIZE, raw, STAT_SIZE) !=
            STAT_SIZE)
            break;
        tag = le16_load(raw);
        if (tag >= BALLOON_STATS)
            continue;
        b->stat[tag] = le64_load(raw + 2);
        b->known |= 1u << tag;
    }
    b->told++;
    b->asked = b->chain.token;
    b->can_ask = true;
}

/* ---- the device ---- */

static void serve_locked(struct virtio_balloon *b, u32 queue)
{
    enum role role = role_locked(&b->dev, queue);

    if (role == STATS) {
        take_stats_locked(b);
        return;
    }
    if (role == INFLATE)
        inflate_locked(b);
    else if (role == REPORT)
        report_locked(b);
    virtio_push_locked(&b->dev, queue, b->chain.token, 0);
    virtio_signal_locked(&b->dev, queue);
}

/* A chain can take a while: between two of them others get the lock. */
static bool notify(struct virtio_dev *dev, u32 queue)
{
    struct virtio_balloon *b = balloon_of(dev);
    bool more = true;
    u32 budget = VIRTIO_BUDGET;

    if (queue == VIRTIO_CAUSE_CONFIG) {
        if (b->port.changed)
            b->port.changed(b->port.ctx);
        return false;
    }
    for (; more && budget; budget--) {
        lock_acquire(&dev->lock);
        more = virtio_pop_locked(dev, queue, &b->chain);
        if (more)
            serve_locked(b, queue);
        lock_release(&dev->lock);
    }
    return more;
}

static void reset_locked(struct virtio_dev *dev)
{
    struct virtio_balloon *b = balloon_of(dev);

    memset(b->config + ACTUAL, 0, VIRTIO_BALLOON_CONFIG_SIZE - ACTUAL);
    b->can_ask = false;
    b->known = 0;
}

/* The driver writes how much it has given, and what its free pages hold. */
static bool config_write_locked(struct virtio_dev *dev, u64 at, u32 size, u64 value)
{
    struct virtio_balloon *b = balloon_of(dev);
    u8 raw[8];

    if (!range_within(at, size, ACTUAL, 4) && !range_within(at, size, POISON, 4))
        return false;
    le64_store(raw, value);
    memcpy(b->config + at, raw, size);
    return at < ACTUAL + 4;
}

static const struct virtio_class virtio_balloon_class = {
    .name = "virtio-balloon",
    .id = VIRTIO_ID_BALLOON,
    .queue_count = 5,
    .queue_size = {128, 128, 64, 64, 64},
    .notify = notify,
    .reset_locked = reset_locked,
    .config_write_locked = config_write_locked,
};

void virtio_balloon_init(struct virtio_balloon *b, const struct balloon_port *port)
{
    memset(b, 0, sizeof(*b));
    b->port = *port;
    virtio_init(&b->dev, &virtio_balloon_class,
                F_STATS_VQ | F_DEFLATE_ON_OOM | F_PAGE_POISON | F_REPORTING, b->config,
                sizeof(b->config));
}

void virtio_balloon_set_target(struct virtio_balloon *b, u64 bytes)
{
    u64 pages = bytes / BALLOON_PAGE;

    lock_acquire(&b->dev.lock);
    le32_store(b->config + NUM_PAGES, pages < UINT32_MAX ? (u32)pages : UINT32_MAX);
    virtio_config_changed_locked(&b->dev);
    lock_release(&b->dev.lock);
}

bool virtio_balloon_ask(struct virtio_balloon *b)
{
    bool can;

    lock_acquire(&b->dev.lock);
    can = b->can_ask;
    give_back_stats_locked(b);
    lock_release(&b->dev.lock);
    return can;
}

void virtio_balloon_read(struct virtio_balloon *b, struct balloon_state *state)
{
    lock_acquire(&b->dev.lock);
    *state = (struct balloon_state){
        .driven = virtio_is_running_locked(&b->dev),
        .target = le32_load(b->config + NUM_PAGES) * BALLOON_PAGE,
        .actual = le32_load(b->config + ACTUAL) * BALLOON_PAGE,
        .returned = b->returned,
        .known = b->known,
        .told = b->told,
    };
    memcpy(state->stat, b->stat, sizeof(state->stat));
    lock_release(&b->dev.lock);
}
