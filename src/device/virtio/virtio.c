/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtio device core: status machine, features, configuration space, reset. See virtio.h. */
#include "device/virtio/virtio.h"

#include "base/assert.h"
#include "base/mem.h"

#define RING_FEATURES \
    (VIRTIO_F_VERSION_1 | VIRTIO_F_RING_PACKED | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX)

void virtio_init(struct virtio_dev *dev, const struct virtio_class *cls, u64 features, u8 *config,
                 u32 config_size)
{
    memset(dev, 0, sizeof(*dev));
    dev->cls = cls;
    dev->offered = features | RING_FEATURES;
    dev->config = config;
    dev->config_size = config_size;
    dev->queue_count = cls->queue_count;
    ASSERT(cls->queue_count <= VIRTIO_QUEUES_MAX);
    for (u32 i = 0; i < cls->queue_count; i++) {
        ASSERT(cls->queue_size[i] <= VIRTQ_SIZE_MAX);
        dev->queue[i].size_max = cls->queue_size[i];
        virtq_reset(&dev->queue[i]);
    }
}

void virtio_limit_queues(struct virtio_dev *dev, u32 count)
{
    ASSERT(count && count <= dev->cls->queue_count);
    dev->queue_count = count;
}

void virtio_attach(struct virtio_dev *dev, const struct virtio_transport *transport,
                   const struct gmem *gmem, const struct log *log)
{
    dev->transport = *transport;
    dev->gmem = gmem;
    dev->log = log;
}

bool virtio_is_running_locked(const struct virtio_dev *dev)
{
    return (dev->status & (VIRTIO_DRIVER_OK | VIRTIO_NEEDS_RESET | VIRTIO_FAILED)) ==
           VIRTIO_DRIVER_OK;
}

bool virtio_has_locked(const struct virtio_dev *dev, u64 feature)
{
    return (dev->accepted & feature) == feature;
}

static void interrupt_locked(struct virtio_dev *dev, u32 isr, u32 cause)
{
    dev->isr |= isr;
    if (dev->transport.level)
        dev->transport.level(dev->transport.ctx, true);
    if (dev->transport.message)
        dev->transport.message(dev->transport.ctx, cause);
}

void virtio_fail_locked(struct virtio_dev *dev, const char *why)
{
    if (dev->status & VIRTIO_NEEDS_RESET)
        return;
    log_guest(dev->log, &dev->limit, dev->cls->name, "device needs reset: %s", why);
    dev->status |= VIRTIO_NEEDS_RESET;
    if (dev->status & VIRTIO_DRIVER_OK)
        interrupt_locked(dev, VIRTIO_ISR_CONFIG, VIRTIO_CAUSE_CONFIG);
}

void virtio_lost(struct virtio_dev *dev)
{
    lock_acquire(&dev->lock);
    dev->status |= VIRTIO_NEEDS_RESET;
    interrupt_locked(dev, VIRTIO_ISR_CONFIG, VIRTIO_CAUSE_CONFIG);
    lock_release(&dev->lock);
}

bool virtio_pop_locked(struct virtio_dev *dev, u32 queue, struct virtq_chain *chain)
{
    struct virtq *q = &dev->queue[queue];

    if (!virtio_is_running_locked(dev))
        return false;
    switch (virtq_pop(q, chain)) {
    case VIRTQ_GOT:
        return true;
    case VIRTQ_BROKEN:
        virtio_fail_locked(dev, q->broken);
        return false;
    default:
        return false;
    }
}

void virtio_push_all_locked(struct virtio_dev *dev, u32 queue, const struct virtq_used *used,
                            u32 count)
{
    struct virtq *q = &dev->queue[queue];

    if (!virtio_is_running_locked(dev))
        return;
    virtq_push_all(q, used, count);
    if (q->broken)
        virtio_fail_locked(dev, q->broken);
}

void virtio_push_locked(struct virtio_dev *dev, u32 queue, struct virtq_token token, u32 written)
{
    struct virtq_used used = {token, written};

    virtio_push_all_locked(dev, queue, &used, 1);
}

void virtio_signal_locked(struct virtio_dev *dev, u32 queue)
{
    if (virtio_is_running_locked(dev) && virtq_should_notify(&dev->queue[queue]))
        interrupt_locked(dev, VIRTIO_ISR_QUEUE, queue);
}

void virtio_config_changed_locked(struct virtio_dev *dev)
{
    dev->config_generation++;
    if (virtio_is_running_locked(dev))
        interrupt_locked(dev, VIRTIO_ISR_CONFIG, VIRTIO_CAUSE_CONFIG);
}

void virtio_reset(struct virtio_dev *dev)
{
    lock_acquire(&dev->lock);
    for (u32 i = 0; i < dev->queue_count; i++)
        virtq_reset(&dev->queue[i]);
    dev->status = 0;
    dev->accepted = 0;
    dev->isr = 0;
    if (dev->transport.level)
        dev->transport.level(dev->transport.ctx, false);
    if (dev->cls->reset_locked)
        dev->cls->reset_locked(dev);
    lock_release(&dev->lock);
    /* Until here a request in flight could still write into memory that the driver takes back. */
    if (dev->cls->drain)
        dev->cls->drain(dev);
}

static bool features_ok_locked(struct virtio_dev *dev)
{
    if (!(dev->accepted & ~dev->offered) && (dev->accepted & VIRTIO_F_VERSION_1))
        return true;
    log_guest(dev->log, &dev->limit, dev->cls->name, "features 0x%llx refused",
              (unsigned long long)dev->accepted);
    return false;
}

void virtio_set_status(struct virtio_dev *dev, u32 status)
{
    const u32 writable =
        VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK | VIRTIO_FAILED;

    if (!status) {
        virtio_reset(dev);
        return;
    }
    lock_acquire(&dev->lock);
    /* Bits are only ever added: a driver takes them back by reset alone (2.1.1). */
    status = (status & writable) | dev->status;
    if ((status & ~dev->status & VIRTIO_FEATURES_OK) && !features_ok_locked(dev))
        status &= ~(u32)VIRTIO_FEATURES_OK;
    if ((status & VIRTIO_DRIVER_OK) && !(status & VIRTIO_FEATURES_OK)) {
        log_guest(dev->log, &dev->limit, dev->cls->name, "DRIVER_OK before FEATURES_OK");
        status &= ~(u32)VIRTIO_DRIVER_OK;
    }
    dev->status = status;
    lock_release(&dev->lock);
}

u32 virtio_status(struct virtio_dev *dev)
{
    u32 status;

    lock_acquire(&dev->lock);
    status = dev->status;
    lock_release(&dev->lock);
    return status;
}

u64 virtio_offered(struct virtio_dev *dev)
{
    return dev->offered;
}

void virtio_accept(struct virtio_dev *dev, u32 word, u32 features)
{
    if (word > 1) /* there are no features beyond 63 */
        return;
    lock_acquire(&dev->lock);
    if (!(dev->status & VIRTIO_FEATURES_OK))
        dev->accepted =
            bits_merge(dev->accepted, (u64)UINT32_MAX << (32 * word), (u64)features << (32 * word));
    lock_release(&dev->lock);
}

u32 virtio_isr(struct virtio_dev *dev)
{
    u32 isr;

    lock_acquire(&dev->lock);
    isr = dev->isr;
    lock_release(&dev->lock);
    return isr;
}

void virtio_ack(struct virtio_dev *dev, u32 isr)
{
    lock_acquire(&dev->lock);
    dev->isr &= ~isr;
    if (dev->transport.level)
        dev->transport.level(dev->transport.ctx, dev->isr != 0);
    lock_release(&dev->lock);
}

u32 virtio_config_generation(struct virtio_dev *dev)
{
    u32 generation;

    lock_acquire(&dev->lock);
    generation = dev->config_generation;
    lock_release(&dev->lock);
    return generation;
}

u64 virtio_config_read(struct virtio_dev *dev, u64 at, u32 size)
{
    u64 value = ~UINT64_C(0) >> (64 - 8 * size);
    u8 raw[8] = {0};

    if (!range_within(at, size, 0, dev->config_size))
        return value;
    lock_acquire(&dev->lock);
    memcpy(raw, dev->config + at, size);
    lock_release(&dev->lock);
    return le64_load(raw);
}

bool virtio_config_write(struct virtio_dev *dev, u64 at, u32 size, u64 value)
{
    bool follow;

    if (!dev->cls->config_write_locked || !range_within(at, size, 0, dev->config_size))
        return false;
    lock_acquire(&dev->lock);
    follow = dev->cls->config_write_locked(dev, at, size, value);
    lock_release(&dev->lock);
    return follow;
}

bool virtio_notify(struct virtio_dev *dev, u32 queue)
{
    if (queue >= dev->queue_count && queue != VIRTIO_CAUSE_CONFIG)
        return false;
    return dev->cls->notify(dev, queue);
}

/* The queue if it exists and the driver may set it up now, else NULL. */
static struct virtq *queue_idle_locked(struct virtio_dev *dev, u32 queue)
{
    if (queue >= dev->queue_count || dev->queue[queue].ready)
        return NULL;
    return &dev->queue[queue];
}

u32 virtio_queue_size_max(struct virtio_dev *dev, u32 queue)
{
    return queue < dev->queue_count ? dev->queue[queue].size_max : 0;
}

void virtio_queue_set_size(struct virtio_dev *dev, u32 queue, u32 size)
{
    struct virtq *q;

    lock_acquire(&dev->lock);
    q = queue_idle_locked(dev, queue);
    if (q)
        q->size = size <= q->size_max ? (u16)size : 0; /* 0: refused at start */
    lock_release(&dev->lock);
}

static gpa_t *queue_area(struct virtq *q, enum virtio_area area)
{
    switch (area) {
    case VIRTIO_AREA_DESC:
        return &q->desc;
    case VIRTIO_AREA_DRIVER:
        return &q->driver;
    default:
        return &q->device;
    }
}

void virtio_queue_set_area(struct virtio_dev *dev, u32 queue, enum virtio_area area, u64 mask,
                           u64 bits)
{
    struct virtq *q;

    lock_acquire(&dev->lock);
    q = queue_idle_locked(dev, queue);
    if (q)
        *queue_area(q, area) = bits_merge(*queue_area(q, area), mask, bits);
    lock_release(&dev->lock);
}

u64 virtio_queue_area(struct virtio_dev *dev, u32 queue, enum virtio_area area)
{
    u64 gpa = 0;

    lock_acquire(&dev->lock);
    if (queue < dev->queue_count)
        gpa = *queue_area(&dev->queue[queue], area);
    lock_release(&dev->lock);
    return gpa;
}

static void queue_up_locked(struct virtio_dev *dev, u32 queue)
{
    struct virtq *q = queue_idle_locked(dev, queue);

    if (!q)
        return;
    if (!(dev->status & VIRTIO_FEATURES_OK))
        log_guest(dev->log, &dev->limit, dev->cls->name, "queue %u set up before FEATURES_OK",
                  queue);
    else if (!virtq_start(q, dev->gmem, dev->accepted))
        virtio_fail_locked(dev, "a queue has an unusable size or address");
}

void virtio_queue_set_ready(struct virtio_dev *dev, u32 queue, bool ready)
{
    bool down = false;

    lock_acquire(&dev->lock);
    if (ready) {
        queue_up_locked(dev, queue);
    } else if (queue < dev->queue_count && dev->queue[queue].ready) {
        virtq_reset(&dev->queue[queue]);
        down = true;
    }
    lock_release(&dev->lock);
    if (down && dev->cls->drain)
        dev->cls->drain(dev);
}

bool virtio_queue_is_ready(struct virtio_dev *dev, u32 queue)
{
    bool ready;

    lock_acquire(&dev->lock);
    ready = queue < dev->queue_count && dev->queue[queue].ready;
    lock_release(&dev->lock);
    return ready;
}
