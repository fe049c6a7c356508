/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtio over MMIO: registers of VIRTIO 1.2, 4.2.2, layout version 2.
 *
 * The window's lock is held during an access and comes before the virtio device's. Kicks wait until
 * it is released (device_class.deferred), as devices then call their back ends.
 */
#include "device/virtio/mmio.h"

#define CONFIG_OFFSET 0x100
#define VENDOR        0x4d534f43 /* "COSM" */
#define KICK_CONFIG   BIT(31)

static struct virtio_mmio *mmio_of(struct device *dev)
{
    return CONTAINER_OF(dev, struct virtio_mmio, device);
}

static void kick(struct virtio_mmio *mmio, u32 queues)
{
    atomic_fetch_or_explicit(&mmio->kicks, queues, memory_order_relaxed);
    mmio->device.deferred = true;
}

static void deferred(struct device *dev)
{
    struct virtio_mmio *mmio = mmio_of(dev);
    u32 kicks = atomic_exchange_explicit(&mmio->kicks, 0, memory_order_acquire);
    u32 again = 0;

    for (u32 i = 0; i < 32; i++) {
        u32 queue = BIT(i) == KICK_CONFIG ? VIRTIO_CAUSE_CONFIG : i;

        if ((kicks & BIT(i)) && virtio_notify(mmio->dev, queue))
            again |= (u32)BIT(i);
    }
    /* What is left over waits for the driver's next access, see resume. */
    if (again)
        atomic_fetch_or_explicit(&mmio->kicks, again, memory_order_relaxed);
}

static void resume(struct virtio_mmio *mmio)
{
    if (atomic_load_explicit(&mmio->kicks, memory_order_relaxed))
        mmio->device.deferred = true;
}

bool virtio_mmio_go_on(struct virtio_mmio *mmio)
{
    device_lock(&mmio->device);
    resume(mmio);
    device_unlock(&mmio->device);
    return atomic_load_explicit(&mmio->kicks, memory_order_relaxed);
}

static u64 device_id_read(struct device *dev, u32 index)
{
    return mmio_of(dev)->dev ? mmio_of(dev)->dev->cls->id : 0;
}

static u64 features_read(struct device *dev, u32 index)
{
    struct virtio_mmio *mmio = mmio_of(dev);

    if (!mmio->dev || mmio->device_features_sel > 1)
        return 0;
    return (u32)(virtio_offered(mmio->dev) >> (32 * mmio->device_features_sel));
}

static void features_wrote(struct device *dev, u32 index, u64 value)
{
    struct virtio_mmio *mmio = mmio_of(dev);

    if (mmio->dev)
        virtio_accept(mmio->dev, mmio->driver_features_sel, (u32)value);
}

static u64 queue_size_max_read(struct device *dev, u32 index)
{
    struct virtio_mmio *mmio = mmio_of(dev);

    return mmio->dev ? virtio_queue_size_max(mmio->dev, mmio->queue_sel) : 0;
}

static void queue_size_wrote(struct device *dev, u32 index, u64 value)
{
    struct virtio_mmio *mmio = mmio_of(dev);

    if (mmio->dev)
        virtio_queue_set_size(mmio->dev, mmio->queue_sel, (u32)value);
}

static u64 queue_ready_read(struct device *dev, u32 index)
{
    struct virtio_mmio *mmio = mmio_of(dev);

    return mmio->dev ? virtio_queue_is_ready(mmio->dev, mmio->queue_sel) : 0;
}

static void queue_ready_wrote(struct device *dev, u32 index, u64 value)
{
    struct virtio_mmio *mmio = mmio_of(dev);

    if (mmio->dev)
        virtio_queue_set_ready(mmio->dev, mmio->queue_sel, value & 1);
}

static void queue_notify_wrote(struct device *dev, u32 index, u64 value)
{
    struct virtio_mmio *mmio = mmio_of(dev);

    if (mmio->dev && value < VIRTIO_QUEUES_MAX)
        kick(mmio, (u32)BIT(value));
}

static u64 isr_read(struct device *dev, u32 index)
{
    struct virtio_mmio *mmio = mmio_of(dev);

    resume(mmio);
    return mmio->dev ? virtio_isr(mmio->dev) : 0;
}

static void ack_wrote(struct device *dev, u32 index, u64 value)
{
    struct virtio_mmio *mmio = mmio_of(dev);

    resume(mmio);
    if (mmio->dev)
        virtio_ack(mmio->dev, (u32)value);
}

static u64 status_read(struct device *dev, u32 index)
{
    return mmio_of(dev)->dev ? virtio_status(mmio_of(dev)->dev) : 0;
}

static void selectors_reset(struct virtio_mmio *mmio)
{
    mmio->device_features_sel = mmio->driver_features_sel = mmio->queue_sel = 0;
    atomic_store_explicit(&mmio->kicks, 0, memory_order_relaxed);
}

static void status_wrote(struct device *dev, u32 index, u64 value)
{
    struct virtio_mmio *mmio = mmio_of(dev);

    if (!mmio->dev)
        return;
    virtio_set_status(mmio->dev, (u32)value);
    if (!(u32)value)
        selectors_reset(mmio);
    /* The driver may have filled queues before it was ready, without a kick. */
    if (value & VIRTIO_DRIVER_OK)
        kick(mmio, (u32)(BIT(mmio->dev->queue_count) - 1));
}

static u64 area_read(struct virtio_mmio *mmio, enum virtio_area area, u32 word)
{
    return mmio->dev ? (u32)(virtio_queue_area(mmio->dev, mmio->queue_sel, area) >> (32 * word))
                     : 0;
}

static void area_wrote(struct virtio_mmio *mmio, enum virtio_area area, u32 word, u64 value)
{
    if (mmio->dev)
        virtio_queue_set_area(mmio->dev, mmio->queue_sel, area, (u64)UINT32_MAX << (32 * word),
                              (u64)(u32)value << (32 * word));
}

static u64 desc_read(struct device *dev, u32 index)
{
    return area_read(mmio_of(dev), VIRTIO_AREA_DESC, index);
}

static void desc_wrote(struct device *dev, u32 index, u64 value)
{
    area_wrote(mmio_of(dev), VIRTIO_AREA_DESC, index, value);
}

static u64 driver_read(struct device *dev, u32 index)
{
    return area_read(mmio_of(dev), VIRTIO_AREA_DRIVER, index);
}

static void driver_wrote(struct device *dev, u32 index, u64 value)
{
    area_wrote(mmio_of(dev), VIRTIO_AREA_DRIVER, index, value);
}

static u64 device_area_read(struct device *dev, u32 index)
{
    return area_read(mmio_of(dev), VIRTIO_AREA_DEVICE, index);
}

static void device_area_wrote(struct device *dev, u32 index, u64 value)
{
    area_wrote(mmio_of(dev), VIRTIO_AREA_DEVICE, index, value);
}

static u64 generation_read(struct device *dev, u32 index)
{
    return mmio_of(dev)->dev ? virtio_config_generation(mmio_of(dev)->dev) : 0;
}

static u64 magic_read(struct device *dev, u32 index)
{
    return 0x74726976; /* "virt" */
}

static u64 version_read(struct device *dev, u32 index)
{
    return 2;
}

static u64 vendor_read(struct device *dev, u32 index)
{
    return VENDOR;
}

/* Write-only registers read as 0, as on QEMU. */
static u64 zero_read(struct device *dev, u32 index)
{
    return 0;
}

/* Length and base of a shared memory region that does not exist (4.2.2). */
static u64 ones_read(struct device *dev, u32 index)
{
    return UINT32_MAX;
}

#define RO(at, id, get)                                                          \
    {                                                                            \
        .name = id, .offset = at, .width = 4, .field = REG_NO_FIELD, .read = get \
    }
#define RW(at, id, get, put)                                                           \
    {                                                                                  \
        .name = id, .offset = at, .width = 4, .field = REG_NO_FIELD, .rw = UINT32_MAX, \
        .read = get, .wrote = put                                                      \
    }
#define PAIR(at, id, get, put)                                                                     \
    {                                                                                              \
        .name = id, .offset = at, .width = 4, .count = 2, .field = REG_NO_FIELD, .rw = UINT32_MAX, \
        .read = get, .wrote = put                                                                  \
    }
#define SELECTOR(at, id, memb)                                                             \
    {                                                                                      \
        .name = id, .offset = at, .width = 4, .field = offsetof(struct virtio_mmio, memb), \
        .rw = UINT32_MAX, .read = zero_read                                                \
    }

/* clang-format off */
static const struct reg regs[] = {
    RO(0x000, "MagicValue", magic_read),
    RO(0x004, "Version", version_read),
    RO(0x008, "DeviceID", device_id_read),
    RO(0x00c, "VendorID", vendor_read),
    RO(0x010, "DeviceFeatures", features_read),
    SELECTOR(0x014, "DeviceFeaturesSel", device_features_sel),
    RW(0x020, "DriverFeatures", zero_read, features_wrote),
    SELECTOR(0x024, "DriverFeaturesSel", driver_features_sel),
    SELECTOR(0x030, "QueueSel", queue_sel),
    RO(0x034, "QueueSizeMax", queue_size_max_read),
    RW(0x038, "QueueSize", zero_read, queue_size_wrote),
    RW(0x044, "QueueReady", queue_ready_read, queue_ready_wrote),
    RW(0x050, "QueueNotify", zero_read, queue_notify_wrote),
    RO(0x060, "InterruptStatus", isr_read),
    RW(0x064, "InterruptACK", zero_read, ack_wrote),
    RW(0x070, "Status", status_read, status_wrote),
    PAIR(0x080, "QueueDesc", desc_read, desc_wrote),
    PAIR(0x090, "QueueDriver", driver_read, driver_wrote),
    PAIR(0x0a0, "QueueDevice", device_area_read, device_area_wrote),
    RW(0x0ac, "SHMSel", zero_read, NULL),
    {.name = "SHMLenBase", .offset = 0x0b0, .width = 4, .count = 4, .field = REG_NO_FIELD,
     .read = ones_read},
    RO(0x0fc, "ConfigGeneration", generation_read),
};
/* clang-format on */

/* Configuration space, and holes between registers: these read as 0 and ignore writes. */
static bool other_read(struct device *dev, u64 offset, u32 size, u64 *value)
{
    struct virtio_mmio *mmio = mmio_of(dev);

    if (offset < CONFIG_OFFSET) {
        *value = 0;
        return size == 4;
    }
    *value = mmio->dev ? virtio_config_read(mmio->dev, offset - CONFIG_OFFSET, size) : 0;
    return true;
}

static bool other_write(struct device *dev, u64 offset, u32 size, u64 value)
{
    struct virtio_mmio *mmio = mmio_of(dev);

    if (offset < CONFIG_OFFSET)
        return size == 4;
    if (mmio->dev && virtio_config_write(mmio->dev, offset - CONFIG_OFFSET, size, value))
        kick(mmio, (u32)KICK_CONFIG);
    return true;
}

static void reset(struct device *dev)
{
    struct virtio_mmio *mmio = mmio_of(dev);

    selectors_reset(mmio);
    if (mmio->dev)
        virtio_reset(mmio->dev);
}

/* Back ends and devices part here: nothing is in flight afterwards. */
static void fini(struct device *dev)
{
    if (mmio_of(dev)->dev)
        virtio_reset(mmio_of(dev)->dev);
}

static const struct device_class virtio_mmio_class = {
    .name = "virtio-mmio",
    .mmio_size = VIRTIO_MMIO_SIZE,
    .regs = regs,
    .reg_count = ARRAY_SIZE(regs),
    .reset = reset,
    .read = other_read,
    .write = other_write,
    .deferred = deferred,
    .compatible = "virtio,mmio",
    .fini = fini,
};

static void level(void *ctx, bool on)
{
    struct virtio_mmio *mmio = ctx;

    irq_set(&mmio->irq, on);
}

void virtio_mmio_init(struct virtio_mmio *mmio, const struct virtio_mmio_config *config)
{
    struct virtio_transport transport = {.level = level, .ctx = mmio};

    *mmio = (struct virtio_mmio){.dev = config->dev, .irq = config->irq};
    device_init(&mmio->device, &virtio_mmio_class, config->id, config->base, config->log);
    if (mmio->dev)
        virtio_attach(mmio->dev, &transport, config->gmem, config->log);
}
