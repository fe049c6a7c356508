/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtio block device (VIRTIO 1.2, 5.2).
 *
 * Theory of operation: pump takes chains from the queues, in turn, while there are free slots,
 * checks them and hands them to the back end, one thread at a time so that requests keep their
 * order. A completion comes on any thread, perhaps from within submit: it answers the driver (or
 * makes the slot wait for its next range) and pumps on. A slot whose queue went down meanwhile is
 * dropped, and drain waits for the back end to let go of guest memory.
 */
#include "device/virtio/blk.h"

#include "base/mem.h"

enum { HEADER_SIZE = 16, RANGE_SIZE = 16, SEG_MAX = BLK_IOV_MAX - 2, MAX_RANGE_SECTORS = 1 << 22 };

/* Features (5.2.3). */
#define F_SEG_MAX      BIT(2)
#define F_RO           BIT(5)
#define F_BLK_SIZE     BIT(6)
#define F_FLUSH        BIT(9)
#define F_TOPOLOGY     BIT(10)
#define F_MQ           BIT(12)
#define F_DISCARD      BIT(13)
#define F_WRITE_ZEROES BIT(14)

/* Request types and answers (5.2.6). */
enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2, S_PENDING = -1 };

enum { RANGE_UNMAP = 1 };

static struct virtio_blk *blk_of(struct virtio_dev *dev)
{
    return CONTAINER_OF(dev, struct virtio_blk, dev);
}

static bool slot_is_current(const struct virtio_blk_slot *slot)
{
    return virtq_is_current(&slot->owner->dev.queue[slot->queue], slot->token);
}

/* Answers the driver, if it still waits, and frees the slot. */
static void slot_finish_locked(struct virtio_blk_slot *slot, int answer)
{
    struct virtio_dev *dev = &slot->owner->dev;
    u8 byte = (u8)answer;

    slot->state = VIRTIO_BLK_FREE;
    if (!slot_is_current(slot))
        return;
    if (!gmem_write(dev->gmem, slot->status, &byte, 1))
        return; /* cannot be: checked when popped */
    virtio_push_locked(dev, slot->queue, slot->token, answer == S_OK ? slot->written : 1);
    virtio_signal_locked(dev, slot->queue);
}

/* Maps [at, at + len) of the given segments as the request's iov. False: too many pieces. */
static bool slot_map(struct virtio_blk_slot *slot, const struct virtq_seg *seg, u32 count, u64 at,
                     u64 len)
{
    const struct gmem *gmem = slot->owner->dev.gmem;
    struct blk_req *req = &slot->req;

    for (u32 i = 0; i < count && len; i++) {
        const struct gmem_region *region;
        gpa_t gpa = seg[i].gpa + at;
        u64 n;

        if (at >= seg[i].len) {
            at -= seg[i].len;
            continue;
        }
        n = seg[i].len - at < len ? seg[i].len - at : len;
        region = gmem_find(gmem, gpa, n);
        if (!region || req->iov_count == BLK_IOV_MAX)
            return false;
        slot->seg[req->iov_count] = (struct virtq_seg){.gpa = gpa, .len = (u32)n};
        req->iov[req->iov_count++] =
            (struct blk_iov){.base = region->host + (gpa - region->base), .len = n};
        len -= n;
        at = 0;
    }
    return len == 0;
}

static bool sectors_ok(const struct virtio_blk *blk, u64 sector, u64 len, u64 *offset)
{
    return checked_mul(sector, BLK_SECTOR, offset) && len % BLK_SECTOR == 0 &&
           range_within(*offset, len, 0, blk->size);
}

static int parse_transfer(struct virtio_blk_slot *slot, u32 type, u64 sector)
{
    struct virtio_blk *blk = slot->owner;
    const struct virtq_chain *chain = &blk->chain;
    const struct virtq_seg *writable = chain->seg + chain->readable;
    struct blk_req *req = &slot->req;
    u64 len = type == T_IN ? chain->writable_len - 1 : chain->readable_len - HEADER_SIZE;

    if (type == T_OUT && blk->blk->readonly)
        return S_IOERR;
    if (!sectors_ok(blk, sector, len, &req->offset))
        return S_IOERR;
    if (!len)
        return S_OK;
    req->len = len;
    req->op = type == T_IN ? BLK_READ : BLK_WRITE;
    if (type == T_IN) {
        slot->written = (u32)len + 1;
        return slot_map(slot, writable, chain->count - chain->readable, 0, len) ? S_PENDING
                                                                                : S_IOERR;
    }
    slot->flush_after = !virtio_has_locked(&blk->dev, F_FLUSH);
    return slot_map(slot, chain->seg, chain->readable, HEADER_SIZE, len) ? S_PENDING : S_IOERR;
}

static int parse_range(struct virtio_blk_slot *slot, u32 type, const u8 *raw)
{
    u64 sector = le64_load(raw);
    u32 sectors = le32_load(raw + 8);
    u32 flags = le32_load(raw + 12);
    struct virtio_blk_range *range = &slot->range[slot->range_count];

    if (flags & ~(type == T_WRITE_ZEROES ? (u32)RANGE_UNMAP : 0))
        return S_UNSUPP;
    if (sectors > MAX_RANGE_SECTORS)
        return S_IOERR;
    range->len = (u64)sectors * BLK_SECTOR;
    if (!sectors_ok(slot->owner, sector, range->len, &range->offset))
        return S_IOERR;
    if (sectors)
        slot->range_count++;
    return S_OK;
}

/* Makes the request of the slot's next range. */
static void slot_take_range(struct virtio_blk_slot *slot)
{
    const struct virtio_blk_range *range = &slot->range[slot->range_next++];

    slot->req.offset = range->offset;
    slot->req.len = range->len;
}

static int parse_ranges(struct virtio_blk_slot *slot, u32 type)
{
    struct virtio_blk *blk = slot->owner;
    u32 len = blk->chain.readable_len - HEADER_SIZE;
    u8 raw[RANGE_SIZE];

    if (type == T_DISCARD && !blk->blk->can_discard)
        return S_UNSUPP;
    if (blk->blk->readonly || !len || len % RANGE_SIZE || len / RANGE_SIZE > VIRTIO_BLK_RANGES_MAX)
        return S_IOERR;
    for (u32 at = 0; at < len; at += RANGE_SIZE) {
        int answer;

        if (virtq_chain_read(&blk->dev.queue[slot->queue], &blk->chain, HEADER_SIZE + at, raw,
                             sizeof(raw)) != sizeof(raw))
            return S_IOERR;
        answer = parse_range(slot, type, raw);
        if (answer != S_OK)
            return answer;
    }
    if (!slot->range_count)
        return S_OK;
    slot->req.op = type == T_DISCARD ? BLK_DISCARD : BLK_WRITE_ZEROES;
    slot->flush_after = !virtio_has_locked(&blk->dev, F_FLUSH);
    slot_take_range(slot);
    return S_PENDING;
}

static int answer_id(struct virtio_blk_slot *slot)
{
    struct virtio_blk *blk = slot->owner;
    u32 len = blk->chain.writable_len - 1;

    if (len > VIRTIO_BLK_SERIAL_SIZE)
        len = VIRTIO_BLK_SERIAL_SIZE;
    if (virtq_chain_write(&blk->dev.queue[slot->queue], &blk->chain, 0, blk->serial, len) != len)
        return S_IOERR;
    slot->written = len + 1;
    return S_OK;
}

/* S_PENDING: slot->req is ready for the back end. */
static int slot_parse(struct virtio_blk_slot *slot, const u8 *header)
{
    u32 type = le32_load(header);
    u64 sector = le64_load(header + 8);

    switch (type) {
    case T_IN:
    case T_OUT:
        return parse_transfer(slot, type, sector);
    case T_FLUSH:
        slot->req.op = BLK_FLUSH;
        return S_PENDING;
    case T_GET_ID:
        return answer_id(slot);
    case T_DISCARD:
    case T_WRITE_ZEROES:
        return parse_ranges(slot, type);
    default:
        return S_UNSUPP;
    }
}

/* Takes the chain that was just popped into the slot. False: there is nothing to submit. */
static bool slot_take_locked(struct virtio_blk_slot *slot)
{
    struct virtio_blk *blk = slot->owner;
    const struct virtq_chain *chain = &blk->chain;
    const struct virtq_seg *last = &chain->seg[chain->count - 1];
    u8 header[HEADER_SIZE];
    int answer;

    if (!chain->writable_len || virtq_chain_read(&blk->dev.queue[slot->queue], chain, 0, header,
                                                 sizeof(header)) != sizeof(header)) {
        virtio_fail_locked(&blk->dev, "a request lacks its header or status byte");
        return false;
    }
    slot->token = chain->token;
    slot->status = last->gpa + last->len - 1;
    slot->written = 1;
    slot->range_count = slot->range_next = 0;
    slot->flush_after = false;
    slot->req.offset = slot->req.len = 0;
    slot->req.iov_count = 0;
    answer = slot_parse(slot, header);
    if (answer != S_PENDING)
        slot_finish_locked(slot, answer);
    return answer == S_PENDING;
}

static struct virtio_blk_slot *slot_free_locked(struct virtio_blk *blk)
{
    for (u32 i = 0; i < VIRTIO_BLK_SLOTS; i++)
        if (blk->slot[i].state == VIRTIO_BLK_FREE)
            return &blk->slot[i];
    return NULL;
}

static struct virtio_blk_slot *slot_waiting_locked(struct virtio_blk *blk)
{
    for (u32 i = 0; i < VIRTIO_BLK_SLOTS; i++) {
        struct virtio_blk_slot *slot = &blk->slot[i];

        if (slot->state != VIRTIO_BLK_WAITING)
            continue;
        if (slot_is_current(slot))
            return slot;
        slot->state = VIRTIO_BLK_FREE;
    }
    return NULL;
}

/* Takes a chain from the queue whose turn it is. False: none has any. */
static bool pop_locked(struct virtio_blk *blk, struct virtio_blk_slot *slot)
{
    struct virtio_dev *dev = &blk->dev;

    for (u32 i = 0; i < dev->queue_count; i++) {
        slot->queue = (blk->turn + i) % dev->queue_count;
        if (!virtio_pop_locked(dev, slot->queue, &blk->chain))
            continue;
        blk->turn = (slot->queue + 1) % dev->queue_count;
        return true;
    }
    return false;
}

/* The next slot to submit, or NULL: no work, no free slot or no budget. */
static struct virtio_blk_slot *slot_next_locked(struct virtio_blk *blk, u32 *budget)
{
    struct virtio_blk_slot *slot = slot_waiting_locked(blk);

    if (slot)
        return slot;
    slot = slot_free_locked(blk);
    while (slot && *budget && pop_locked(blk, slot)) {
        --*budget;
        if (slot_take_locked(slot))
            return slot;
    }
    return NULL;
}

/* Submits whatever can be. True: stopped by the budget. */
static bool pump(struct virtio_blk *blk)
{
    struct virtio_dev *dev = &blk->dev;
    struct virtio_blk_slot *slot;
    u32 budget = VIRTIO_BUDGET;

    lock_acquire(&dev->lock);
    blk->pump_again = true;
    if (blk->pumping) {
        lock_release(&dev->lock);
        return false;
    }
    blk->pumping = true;
    while (blk->pump_again && budget) {
        blk->pump_again = false;
        while ((slot = slot_next_locked(blk, &budget))) {
            slot->state = VIRTIO_BLK_FLYING;
            atomic_fetch_add_explicit(&blk->flying, 1, memory_order_relaxed);
            lock_release(&dev->lock);
            blk->blk->submit(blk->blk->ctx, &slot->req);
            lock_acquire(&dev->lock);
        }
    }
    blk->pumping = false;
    lock_release(&dev->lock);
    return !budget;
}

/* Has the slot another request to make after a successful one? Then prepares it. */
static bool slot_goes_on(struct virtio_blk_slot *slot)
{
    if (slot->range_next < slot->range_count) {
        slot_take_range(slot);
        return true;
    }
    if (!slot->flush_after)
        return false;
    slot->flush_after = false;
    slot->req.op = BLK_FLUSH;
    slot->req.offset = slot->req.len = 0;
    slot->req.iov_count = 0;
    return true;
}

static void slot_returned_locked(struct virtio_blk_slot *slot, int status)
{
    const struct gmem *gmem = slot->owner->dev.gmem;

    if (slot->req.op == BLK_READ && gmem->written)
        for (u32 i = 0; i < slot->req.iov_count; i++)
            gmem->written(gmem->ctx, slot->seg[i].gpa, slot->seg[i].len);
    if (status == 0 && slot_goes_on(slot))
        slot->state = VIRTIO_BLK_WAITING;
    else
        slot_finish_locked(slot, status ? S_IOERR : S_OK);
}

static void request_done(struct blk_req *req, int status)
{
    struct virtio_blk_slot *slot = req->ctx;
    struct virtio_blk *blk = slot->owner;

    lock_acquire(&blk->dev.lock);
    slot_returned_locked(slot, status);
    lock_release(&blk->dev.lock);
    (void)pump(blk); /* left-over work is taken up by the next completion or notification */
    lock_acquire(&blk->dev.lock);
    atomic_fetch_sub_explicit(&blk->flying, 1, memory_order_relaxed);
    if (blk->draining)
        port_wake(&blk->flying);
    lock_release(&blk->dev.lock);
}

/* flying changes under the lock alone, so whoever saw it at 0 there has seen the last of done. */
static void drain(struct virtio_dev *dev)
{
    struct virtio_blk *blk = blk_of(dev);
    u32 flying;

    if (blk->blk->give_up)
        blk->blk->give_up(blk->blk->ctx, true);
    lock_acquire(&dev->lock);
    blk->draining = true;
    while ((flying = atomic_load_explicit(&blk->flying, memory_order_relaxed))) {
        lock_release(&dev->lock);
        port_wait(&blk->flying, flying);
        lock_acquire(&dev->lock);
    }
    blk->draining = false;
    lock_release(&dev->lock);
    if (blk->blk->give_up)
        blk->blk->give_up(blk->blk->ctx, false);
}

static bool notify(struct virtio_dev *dev, u32 queue)
{
    return queue < dev->queue_count && pump(blk_of(dev));
}

static const struct virtio_class virtio_blk_class = {
    .name = "virtio-blk",
    .id = VIRTIO_ID_BLK,
    .queue_count = VIRTIO_BLK_QUEUES_MAX,
    .queue_size = {[0 ... VIRTIO_BLK_QUEUES_MAX - 1] = VIRTQ_SIZE_MAX},
    .notify = notify,
    .drain = drain,
};

/* Layout of the configuration space: 5.2.4. */
static void config_fill(struct virtio_blk *blk, u32 queues)
{
    u8 *c = blk->config;

    le64_store(c + 0, blk->size / BLK_SECTOR);
    le32_store(c + 12, SEG_MAX);
    le32_store(c + 20, BLK_SECTOR);
    c[24] = 3;             /* physical blocks of 2^3 sectors: a page of the host's cache */
    le16_store(c + 26, 8); /* smallest good transfer, sectors */
    le16_store(c + 34, (u16)queues);
    le32_store(c + 36, MAX_RANGE_SECTORS);
    le32_store(c + 40, VIRTIO_BLK_RANGES_MAX);
    le32_store(c + 44, 8); /* discards fit best at multiples of so many sectors */
    le32_store(c + 48, MAX_RANGE_SECTORS);
    le32_store(c + 52, VIRTIO_BLK_RANGES_MAX);
}

void virtio_blk_resized(struct virtio_blk *blk)
{
    lock_acquire(&blk->dev.lock);
    blk->size = blk->blk->size;
    le64_store(blk->config, blk->size / BLK_SECTOR);
    virtio_config_changed_locked(&blk->dev);
    lock_release(&blk->dev.lock);
}

void virtio_blk_init(struct virtio_blk *blk, const struct virtio_blk_config *config)
{
    const struct blk *back = config->blk;
    u64 features = F_SEG_MAX | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY;
    u32 queues = config->queues ? config->queues : 1;

    memset(blk, 0, sizeof(*blk));
    if (back->readonly)
        features |= F_RO;
    else
        features |= F_WRITE_ZEROES | (back->can_discard ? F_DISCARD : 0);
    if (queues > 1)
        features |= F_MQ;
    blk->blk = back;
    blk->size = back->size;
    for (u32 i = 0; config->serial && i < sizeof(blk->serial) && config->serial[i]; i++)
        blk->serial[i] = config->serial[i];
    for (u32 i = 0; i < VIRTIO_BLK_SLOTS; i++) {
        blk->slot[i].owner = blk;
        blk->slot[i].req.done = request_done;
        blk->slot[i].req.ctx = &blk->slot[i];
    }
    config_fill(blk, queues);
    virtio_init(&blk->dev, &virtio_blk_class, features, blk->config, sizeof(blk->config));
    virtio_limit_queues(&blk->dev, queues);
}
