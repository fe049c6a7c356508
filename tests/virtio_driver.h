/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver's side of virtio-mmio for tests: builds split and packed rings in fake guest memory
 * and speaks to the device through its registers only.
 */
#ifndef COSM_TESTS_VIRTIO_DRIVER_H
#define COSM_TESTS_VIRTIO_DRIVER_H

#include "device/virtio/mmio.h"
#include "tests/fake.h"
#include "tests/test.h"

#define DRIVER_RAM      UINT64_C(0x80000000)
#define DRIVER_RAM_SIZE (2 * MIB)
#define DRIVER_LINE     3

/* Registers, as the driver knows them. */
enum {
    R_MAGIC = 0x00,
    R_VERSION = 0x04,
    R_DEVICE_ID = 0x08,
    R_VENDOR = 0x0c,
    R_DEVICE_FEATURES = 0x10,
    R_DEVICE_FEATURES_SEL = 0x14,
    R_DRIVER_FEATURES = 0x20,
    R_DRIVER_FEATURES_SEL = 0x24,
    R_QUEUE_SEL = 0x30,
    R_QUEUE_SIZE_MAX = 0x34,
    R_QUEUE_SIZE = 0x38,
    R_QUEUE_READY = 0x44,
    R_QUEUE_NOTIFY = 0x50,
    R_ISR = 0x60,
    R_ACK = 0x64,
    R_STATUS = 0x70,
    R_QUEUE_DESC = 0x80,
    R_QUEUE_DRIVER = 0x90,
    R_QUEUE_DEVICE = 0xa0,
    R_GENERATION = 0xfc,
    R_CONFIG = 0x100,
};

enum { D_NEXT = 1, D_WRITE = 2, D_INDIRECT = 4, D_AVAIL = 0x80, D_USED = 0x8000 };

struct driver_queue {
    u16 size;
    gpa_t desc, driver, device;
    u16 next_desc; /* split: next free descriptor; packed: next ring position */
    u16 avail;     /* split: index published */
    u16 used;      /* next used entry to look at */
    bool avail_wrap, used_wrap;
    u16 slots[65536]; /* packed: ring entries of buffer id */
};

struct driver {
    struct gmem gmem;
    _Atomic u64 written; /* bytes that were told of */
    struct fake_irq irq;
    struct fake_log log_lines;
    struct log log;
    struct virtio_mmio mmio;
    u64 features; /* accepted */
    gpa_t next;   /* of the bump allocator */
    u16 next_id;
    struct driver_queue queue[VIRTIO_QUEUES_MAX];
};

struct driver_seg {
    gpa_t gpa;
    u32 len;
    bool write;
};

static inline u32 driver_get(struct driver *d, u32 reg)
{
    return (u32)fake_read(&d->mmio.device, reg, 4);
}

static inline void driver_put(struct driver *d, u32 reg, u32 value)
{
    fake_write(&d->mmio.device, reg, 4, value);
}

static inline void driver_put_area(struct driver *d, u32 reg, u64 gpa)
{
    driver_put(d, reg, (u32)gpa);
    driver_put(d, reg + 4, (u32)(gpa >> 32));
}

static inline u8 *driver_at(struct driver *d, gpa_t gpa)
{
    return fake_gmem_at(&d->gmem, gpa);
}

static inline gpa_t driver_alloc(struct driver *d, u64 len)
{
    gpa_t gpa = d->next;

    d->next = align_up(d->next + len, 64);
    ASSERT(range_within(gpa, len, DRIVER_RAM, DRIVER_RAM_SIZE));
    memset(driver_at(d, gpa), 0, len);
    return gpa;
}

static inline void driver_told(void *ctx, gpa_t gpa, u64 len)
{
    ((struct driver *)ctx)->written += len;
}

/* Plugs dev (NULL: nothing) into a slot with fresh memory. */
static inline struct driver *driver_create(struct virtio_dev *dev)
{
    struct driver *d = calloc(1, sizeof(*d));
    struct virtio_mmio_config config = {.id = "virtio0", .base = 0x10001000, .dev = dev};

    ASSERT(d);
    fake_gmem_init(&d->gmem, DRIVER_RAM, DRIVER_RAM_SIZE);
    d->gmem.written = driver_told;
    d->gmem.ctx = d;
    d->log = fake_log_port(&d->log_lines);
    d->next = DRIVER_RAM;
    config.log = &d->log;
    config.irq = fake_irq_line(&d->irq, DRIVER_LINE);
    config.gmem = &d->gmem;
    virtio_mmio_init(&d->mmio, &config);
    device_reset(&d->mmio.device);
    return d;
}

static inline void driver_destroy(struct driver *d)
{
    device_fini(&d->mmio.device);
    fake_gmem_fini(&d->gmem);
    free(d);
}

static inline u64 driver_offered(struct driver *d)
{
    u64 features;

    driver_put(d, R_DEVICE_FEATURES_SEL, 0);
    features = driver_get(d, R_DEVICE_FEATURES);
    driver_put(d, R_DEVICE_FEATURES_SEL, 1);
    return features | (u64)driver_get(d, R_DEVICE_FEATURES) << 32;
}

/* Up to FEATURES_OK; false if the device refuses. */
static inline bool driver_negotiate(struct driver *d, u64 features)
{
    driver_put(d, R_STATUS, 0);
    driver_put(d, R_STATUS, VIRTIO_ACKNOWLEDGE);
    driver_put(d, R_STATUS, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
    for (u32 word = 0; word < 2; word++) {
        driver_put(d, R_DRIVER_FEATURES_SEL, word);
        driver_put(d, R_DRIVER_FEATURES, (u32)(features >> (32 * word)));
    }
    driver_put(d, R_STATUS, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK);
    d->features = features;
    return driver_get(d, R_STATUS) & VIRTIO_FEATURES_OK;
}

/* Allocates and announces a queue of size entries, at most what the device has. */
static inline void driver_queue_up(struct driver *d, u32 index, u16 size)
{
    struct driver_queue *q = &d->queue[index];
    u32 max;

    memset(q, 0, sizeof(*q));
    driver_put(d, R_QUEUE_SEL, index);
    max = driver_get(d, R_QUEUE_SIZE_MAX);
    if (!max)
        return;
    q->size = size < max ? size : (u16)max;
    q->desc = driver_alloc(d, 16 * (u64)q->size);
    q->driver = driver_alloc(d, 6 + 2 * (u64)q->size);
    q->device = driver_alloc(d, 6 + 8 * (u64)q->size);
    q->avail_wrap = q->used_wrap = true;
    driver_put(d, R_QUEUE_SIZE, q->size);
    driver_put_area(d, R_QUEUE_DESC, q->desc);
    driver_put_area(d, R_QUEUE_DRIVER, q->driver);
    driver_put_area(d, R_QUEUE_DEVICE, q->device);
    driver_put(d, R_QUEUE_READY, 1);
}

/* From reset to DRIVER_OK with all queues of size entries. */
static inline void driver_start(struct driver *d, u64 features, u16 size)
{
    CHECK(driver_negotiate(d, features | VIRTIO_F_VERSION_1));
    for (u32 i = 0; i < VIRTIO_QUEUES_MAX; i++)
        driver_queue_up(d, i, size);
    driver_put(d, R_STATUS, driver_get(d, R_STATUS) | VIRTIO_DRIVER_OK);
    CHECK_EQ(driver_get(d, R_STATUS), 0xf);
}

static inline bool driver_is_packed(const struct driver *d)
{
    return d->features & VIRTIO_F_RING_PACKED;
}

/* Writes a descriptor of the ring's kind. last is next (split) or id (packed). */
static inline void driver_desc(struct driver *d, gpa_t at, gpa_t gpa, u32 len, u16 flags, u16 last)
{
    u8 *raw = driver_at(d, at);

    le64_store(raw, gpa);
    le32_store(raw + 8, len);
    le16_store(raw + (driver_is_packed(d) ? 14 : 12), flags);
    le16_store(raw + (driver_is_packed(d) ? 12 : 14), last);
}

static inline void driver_publish(struct driver *d, struct driver_queue *q, u16 head)
{
    le16_store(driver_at(d, q->driver + 4 + 2 * (u64)(q->avail % q->size)), head);
    q->avail++;
    ASSERT(gmem_store16_release(&d->gmem, q->driver + 2, q->avail));
}

static inline u16 driver_seg_flags(const struct driver_seg *seg, bool more)
{
    return (u16)((seg->write ? D_WRITE : 0) | (more ? D_NEXT : 0));
}

static inline u16 driver_offer_split(struct driver *d, struct driver_queue *q,
                                     const struct driver_seg *seg, u32 count)
{
    u16 head = q->next_desc, at = head;

    for (u32 i = 0; i < count; i++) {
        u16 next = (u16)((at + 1) % q->size);

        driver_desc(d, q->desc + 16 * (u64)at, seg[i].gpa, seg[i].len,
                    driver_seg_flags(&seg[i], i + 1 < count), next);
        at = next;
    }
    q->next_desc = at;
    driver_publish(d, q, head);
    return head;
}

static inline u16 driver_offer_packed(struct driver *d, struct driver_queue *q,
                                      const struct driver_seg *seg, u32 count, u16 extra)
{
    u16 id = d->next_id++, at = q->next_desc, head_flags = 0, head = at;

    q->slots[id] = (u16)count;
    for (u32 i = 0; i < count; i++) {
        u16 flags = (u16)(driver_seg_flags(&seg[i], i + 1 < count) | extra |
                          (q->avail_wrap ? D_AVAIL : D_USED));

        if (i == 0)
            head_flags = flags;
        else
            le16_store(driver_at(d, q->desc + 16 * (u64)at + 14), flags);
        le64_store(driver_at(d, q->desc + 16 * (u64)at), seg[i].gpa);
        le32_store(driver_at(d, q->desc + 16 * (u64)at + 8), seg[i].len);
        le16_store(driver_at(d, q->desc + 16 * (u64)at + 12), id);
        if (++at == q->size) {
            at = 0;
            q->avail_wrap = !q->avail_wrap;
        }
    }
    ASSERT(gmem_store16_release(&d->gmem, q->desc + 16 * (u64)head + 14, head_flags));
    q->next_desc = at;
    return id;
}

/* The chain in an indirect table, which is one descriptor of the ring. */
static inline u16 driver_offer_indirect(struct driver *d, struct driver_queue *q,
                                        const struct driver_seg *seg, u32 count)
{
    gpa_t table = driver_alloc(d, 16 * (u64)count);
    struct driver_seg one = {table, 16 * count, false};
    u16 head = q->next_desc;

    for (u32 i = 0; i < count; i++)
        driver_desc(d, table + 16 * (u64)i, seg[i].gpa, seg[i].len,
                    driver_seg_flags(&seg[i], i + 1 < count), (u16)(i + 1));
    if (driver_is_packed(d))
        return driver_offer_packed(d, q, &one, 1, D_INDIRECT);
    driver_desc(d, q->desc + 16 * (u64)head, table, 16 * count, D_INDIRECT, 0);
    q->next_desc = (u16)((head + 1) % q->size);
    driver_publish(d, q, head);
    return head;
}

/* Puts a chain into the ring, indirect if that was negotiated. Returns its id. */
static inline u16 driver_offer(struct driver *d, u32 queue, const struct driver_seg *seg, u32 count)
{
    struct driver_queue *q = &d->queue[queue];

    if (d->features & VIRTIO_F_INDIRECT_DESC)
        return driver_offer_indirect(d, q, seg, count);
    return driver_is_packed(d) ? driver_offer_packed(d, q, seg, count, 0)
                               : driver_offer_split(d, q, seg, count);
}

static inline void driver_kick(struct driver *d, u32 queue)
{
    driver_put(d, R_QUEUE_NOTIFY, queue);
}

/* Takes the next used chain. False: none; id and len are all ones. */
static inline bool driver_used(struct driver *d, u32 queue, u16 *id, u32 *len)
{
    struct driver_queue *q = &d->queue[queue];
    const u8 *raw;
    u16 flags;

    *id = 0xffff;
    *len = UINT32_MAX;
    if (!driver_is_packed(d)) {
        ASSERT(gmem_load16_acquire(&d->gmem, q->device + 2, &flags));
        if (flags == q->used)
            return false;
        raw = driver_at(d, q->device + 4 + 8 * (u64)(q->used % q->size));
        *id = (u16)le32_load(raw);
        *len = le32_load(raw + 4);
        q->used++;
        return true;
    }
    raw = driver_at(d, q->desc + 16 * (u64)q->used);
    ASSERT(gmem_load16_acquire(&d->gmem, q->desc + 16 * (u64)q->used + 14, &flags));
    if (!!(flags & D_AVAIL) != q->used_wrap || !!(flags & D_USED) != q->used_wrap)
        return false;
    *len = le32_load(raw + 8);
    *id = le16_load(raw + 12);
    q->used = (u16)(q->used + q->slots[*id]);
    if (q->used >= q->size) {
        q->used = (u16)(q->used - q->size);
        q->used_wrap = !q->used_wrap;
    }
    return true;
}

/* Did the device interrupt for this reason? Acknowledges it. */
static inline bool driver_interrupted(struct driver *d, u32 isr)
{
    u32 pending = driver_get(d, R_ISR);

    CHECK_EQ(d->irq.level[DRIVER_LINE], pending != 0);
    driver_put(d, R_ACK, isr);
    return pending & isr;
}

static inline bool driver_needs_reset(struct driver *d)
{
    return driver_get(d, R_STATUS) & VIRTIO_NEEDS_RESET;
}

/* Every combination of the ring features: call with i from 0 to DRIVER_MODES - 1. */
#define DRIVER_MODES 8
static inline u64 driver_mode(u32 i)
{
    return (i & 1 ? VIRTIO_F_RING_PACKED : 0) | (i & 2 ? VIRTIO_F_INDIRECT_DESC : 0) |
           (i & 4 ? VIRTIO_F_EVENT_IDX : 0);
}

#endif
