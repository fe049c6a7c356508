/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtio file system device (VIRTIO 1.2, 5.11): queue 0 for requests of high priority, queue 1 for
 * all others.
 *
 * A chain's readable part is copied into a free slot of the back end, and the reply back into its
 * writable part when done comes, unless the queue went down meanwhile: the back end never sees
 * guest memory, so a reset need not wait for it. While no slot is free chains stay in the queue.
 */
#include "device/virtio/fs.h"

#include "base/mem.h"

enum { QUEUES = 2, HEADER = 40, REPLY = 16 };

/* Of a request's header and a reply's (struct fuse_in_header, fuse_out_header). */
enum { HEADER_UNIQUE = 8, REPLY_LEN = 0, REPLY_ERROR = 4, REPLY_UNIQUE = 8 };

#define ERROR_IO (-5)

static struct virtio_fs *fs_of(struct virtio_dev *dev)
{
    return CONTAINER_OF(dev, struct virtio_fs, dev);
}

static struct virtio_fs_slot *slot_free_locked(struct virtio_fs *fs)
{
    for (u32 i = 0; i < FS_SLOTS; i++) {
        if (!fs->slot[i].busy)
            return &fs->slot[i];
    }
    return NULL;
}

/* Answers what is no request for the back end, as far as there is room for an answer. */
static void chain_refuse_locked(struct virtio_fs *fs, const struct virtio_fs_slot *slot)
{
    const struct virtq *q = &fs->dev.queue[slot->queue];
    u8 header[HEADER] = {0}, reply[REPLY];
    size_t n;

    (void)virtq_chain_read(q, &slot->chain, 0, header, sizeof(header));
    le32_store(reply + REPLY_LEN, REPLY);
    le32_store(reply + REPLY_ERROR, (u32)ERROR_IO);
    memcpy(reply + REPLY_UNIQUE, header + HEADER_UNIQUE, 8);
    n = virtq_chain_write(q, &slot->chain, 0, reply, sizeof(reply));
    virtio_push_locked(&fs->dev, slot->queue, slot->chain.token, (u32)n);
    virtio_signal_locked(&fs->dev, slot->queue);
}

/* Copies the request of the slot's chain. False: it is none. */
static bool slot_fill_locked(struct virtio_fs *fs, struct virtio_fs_slot *slot)
{
    const struct virtq_chain *chain = &slot->chain;
    u8 *to = fs->fs->slot(fs->fs->ctx, (u32)(slot - fs->slot));

    return chain->readable_len >= HEADER && chain->readable_len <= FS_ROOM &&
           virtq_chain_read(&fs->dev.queue[slot->queue], chain, 0, to, chain->readable_len) ==
               chain->readable_len;
}

/* The next slot to submit, or NULL: no request, no free slot or no budget. */
static struct virtio_fs_slot *slot_next_locked(struct virtio_fs *fs, u32 *budget)
{
    struct virtio_fs_slot *slot = slot_free_locked(fs);

    for (u32 queue = 0; slot && queue < QUEUES; queue++) {
        while (*budget && virtio_pop_locked(&fs->dev, queue, &slot->chain)) {
            --*budget;
            slot->queue = queue;
            if (slot_fill_locked(fs, slot)) {
                slot->busy = true;
                return slot;
            }
            chain_refuse_locked(fs, slot);
        }
    }
    return NULL;
}

/* Submits whatever can be. True: stopped by the budget. */
static bool pump(struct virtio_fs *fs)
{
    struct virtio_fs_slot *slot;
    u32 budget = VIRTIO_BUDGET;

    lock_acquire(&fs->dev.lock);
    fs->pump_again = true;
    if (fs->pumping) {
        lock_release(&fs->dev.lock);
        return false;
    }
    fs->pumping = true;
    while (fs->pump_again && budget) {
        fs->pump_again = false;
        while ((slot = slot_next_locked(fs, &budget))) {
            u32 room = slot->chain.writable_len < FS_ROOM ? slot->chain.writable_len : FS_ROOM;

            lock_release(&fs->dev.lock);
            fs->fs->submit(fs->fs->ctx, (u32)(slot - fs->slot), slot->chain.readable_len, room);
            lock_acquire(&fs->dev.lock);
        }
    }
    fs->pumping = false;
    lock_release(&fs->dev.lock);
    return !budget;
}

static void done(void *ctx, u32 index, u32 len)
{
    struct virtio_fs *fs = ctx;
    struct virtio_fs_slot *slot = &fs->slot[index];
    struct virtq *q = &fs->dev.queue[slot->queue];

    lock_acquire(&fs->dev.lock);
    if (virtq_is_current(q, slot->chain.token)) {
        const u8 *from = fs->fs->slot(fs->fs->ctx, index);
        size_t n = virtq_chain_write(q, &slot->chain, 0, from, len < FS_ROOM ? len : FS_ROOM);

        virtio_push_locked(&fs->dev, slot->queue, slot->chain.token, (u32)n);
        virtio_signal_locked(&fs->dev, slot->queue);
    }
    slot->busy = false;
    lock_release(&fs->dev.lock);
    (void)pump(fs); /* left-over work is taken up by the next reply or notification */
}

static bool notify(struct virtio_dev *dev, u32 queue)
{
    return queue < QUEUES && pump(fs_of(dev));
}

static const struct virtio_class virtio_fs_class = {
    .name = "virtio-fs",
    .id = VIRTIO_ID_FS,
    .queue_count = QUEUES,
    .queue_size = {64, VIRTQ_SIZE_MAX},
    .notify = notify,
};

void virtio_fs_init(struct virtio_fs *fs, const struct virtio_fs_config *config)
{
    const struct fs_device device = {done, fs};

    memset(fs, 0, sizeof(*fs));
    fs->fs = config->fs;
    for (u32 i = 0; i < FS_TAG_SIZE && config->tag[i]; i++)
        fs->config[i] = (u8)config->tag[i];
    le32_store(fs->config + FS_TAG_SIZE, QUEUES - 1);
    virtio_init(&fs->dev, &virtio_fs_class, 0, fs->config, sizeof(fs->config));
    fs->fs->attach(fs->fs->ctx, &device);
}
