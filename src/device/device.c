/* SPDX-License-Identifier: BSD-2-Clause */
/* Device core: finds the register of an access, checks its width, applies masks, calls back. */
#include "device/device.h"

#include "base/bits.h"

/* The register element that an access meets. */
struct hit {
    const struct reg *reg;
    u32 index;
    u32 byte; /* first byte of the access within the element */
};

static u64 size_mask(u32 size)
{
    return size >= 8 ? ~UINT64_C(0) : BIT(8 * size) - 1;
}

static u32 reg_stride(const struct reg *reg)
{
    return reg->stride ? reg->stride : reg->width;
}

static u32 reg_count(const struct reg *reg)
{
    return reg->count ? reg->count : 1;
}

static bool reg_find(const struct device_class *cls, u64 offset, u32 size, struct hit *hit)
{
    for (u32 i = 0; i < cls->reg_count; i++) {
        const struct reg *reg = &cls->regs[i];
        u32 stride = reg_stride(reg);
        u64 distance = offset - reg->offset;
        u8 widths = reg->widths ? reg->widths : reg->width;

        if (offset < reg->offset || distance >= (u64)reg_count(reg) * stride)
            continue;
        hit->reg = reg;
        hit->index = (u32)(distance / stride);
        hit->byte = (u32)(distance % stride);
        if (hit->byte >= reg->width)
            continue;
        return (widths & size) && (size <= reg->width - hit->byte || hit->byte == 0);
    }
    return false;
}

static void *reg_field(struct device *dev, const struct reg *reg, u32 index)
{
    return (u8 *)dev + reg->field + (size_t)index * reg->width;
}

static u64 field_load(const void *field, u32 width)
{
    switch (width) {
    case 1:
        return *(const u8 *)field;
    case 2:
        return *(const u16 *)field;
    case 4:
        return *(const u32 *)field;
    default:
        return *(const u64 *)field;
    }
}

static void field_store(void *field, u32 width, u64 value)
{
    switch (width) {
    case 1:
        *(u8 *)field = (u8)value;
        break;
    case 2:
        *(u16 *)field = (u16)value;
        break;
    case 4:
        *(u32 *)field = (u32)value;
        break;
    default:
        *(u64 *)field = value;
    }
}

/* The value as the register's owner keeps it, for merging a partial write. */
static u64 reg_current(struct device *dev, const struct hit *hit)
{
    const struct reg *reg = hit->reg;

    if (reg->field != REG_NO_FIELD)
        return field_load(reg_field(dev, reg, hit->index), reg->width);
    return reg->read ? reg->read(dev, hit->index) : 0;
}

static u64 reg_read(struct device *dev, const struct hit *hit, u32 size)
{
    const struct reg *reg = hit->reg;
    u64 value = reg->read ? reg->read(dev, hit->index) : reg_current(dev, hit);

    return (value & size_mask(reg->width)) >> (8 * hit->byte) & size_mask(size);
}

static void reg_write(struct device *dev, const struct hit *hit, u32 size, u64 value)
{
    const struct reg *reg = hit->reg;
    u64 mask = (size_mask(size) << (8 * hit->byte)) & size_mask(reg->width);
    u64 written = (value << (8 * hit->byte)) & mask;
    u64 whole = written;

    if (mask != size_mask(reg->width))
        whole |= reg_current(dev, hit) & ~mask;
    if (reg->field != REG_NO_FIELD) {
        void *field = reg_field(dev, reg, hit->index);
        u64 old = field_load(field, reg->width);
        u64 now = bits_merge(old, reg->rw & mask, written) & ~(reg->w1c & written);

        if (now != old)
            field_store(field, reg->width, now);
    }
    if (reg->wrote)
        reg->wrote(dev, hit->index, whole);
}

void device_init(struct device *dev, const struct device_class *cls, const char *id, gpa_t base,
                 const struct log *log)
{
    *dev = (struct device){.cls = cls, .id = id, .base = base, .log = log};
}

void device_fini(struct device *dev)
{
    if (dev->cls->fini)
        dev->cls->fini(dev);
}

void device_lock(struct device *dev)
{
    lock_acquire(&dev->lock);
}

void device_unlock(struct device *dev)
{
    bool deferred = dev->deferred;

    dev->deferred = false;
    lock_release(&dev->lock);
    if (deferred)
        dev->cls->deferred(dev);
}

void device_reset(struct device *dev)
{
    const struct device_class *cls = dev->cls;

    device_lock(dev);
    for (u32 i = 0; i < cls->reg_count; i++) {
        const struct reg *reg = &cls->regs[i];

        if (reg->field == REG_NO_FIELD)
            continue;
        for (u32 index = 0; index < reg_count(reg); index++)
            field_store(reg_field(dev, reg, index), reg->width, reg->reset);
    }
    if (cls->reset)
        cls->reset(dev);
    device_unlock(dev);
}

static bool is_access(const struct device *dev, u64 offset, u32 size)
{
    u64 limit = dev->cls->mmio_size;

    return is_pow2(size) && size <= 8 && offset % size == 0 && offset < limit &&
           size <= limit - offset;
}

static bool dispatch(struct device *dev, u64 offset, u32 size, u64 *value, bool write)
{
    const struct device_class *cls = dev->cls;
    struct hit hit;

    if (reg_find(cls, offset, size, &hit)) {
        if (write)
            reg_write(dev, &hit, size, *value);
        else
            *value = reg_read(dev, &hit, size);
        return true;
    }
    if (write)
        return cls->write && cls->write(dev, offset, size, *value & size_mask(size));
    if (!cls->read || !cls->read(dev, offset, size, value))
        return false;
    *value &= size_mask(size);
    return true;
}

static bool access_device(struct device *dev, u64 offset, u32 size, u64 *value, bool write)
{
    bool answered = false;

    if (is_access(dev, offset, size)) {
        if (!dev->cls->unlocked)
            device_lock(dev);
        answered = dispatch(dev, offset, size, value, write);
        if (!dev->cls->unlocked)
            device_unlock(dev);
    }
    if (!answered)
        log_guest(dev->log, &dev->limit, dev->id, "no %s of %u bytes at offset 0x%llx",
                  write ? "write" : "read", size, (unsigned long long)offset);
    return answered;
}

bool device_read(struct device *dev, u64 offset, u32 size, u64 *value)
{
    return access_device(dev, offset, size, value, false);
}

bool device_write(struct device *dev, u64 offset, u32 size, u64 value)
{
    return access_device(dev, offset, size, &value, true);
}

bool device_read_zero(struct device *dev, u64 offset, u32 size, u64 *value)
{
    *value = 0;
    return size == 4;
}

bool device_write_ignored(struct device *dev, u64 offset, u32 size, u64 value)
{
    return size == 4;
}
