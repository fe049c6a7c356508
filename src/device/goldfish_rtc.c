/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Goldfish real-time clock (Android emulator, "Goldfish virtual hardware").
 *
 * The guest sees wall time plus an offset, which it changes by writing the time. Reading TIME_LOW
 * latches TIME_HIGH; writing ALARM_LOW arms the alarm, so each pair has its order.
 */
#include "device/goldfish_rtc.h"

#include "base/bits.h"
#include "base/checked.h"
#include "base/mem.h"

static struct goldfish_rtc *rtc_of(struct device *dev)
{
    return CONTAINER_OF(dev, struct goldfish_rtc, dev);
}

static u64 rtc_time(const struct goldfish_rtc *rtc)
{
    return clock_wall(&rtc->clock) + rtc->offset;
}

static void update_irq_locked(struct goldfish_rtc *rtc)
{
    irq_set(&rtc->irq, rtc->irq_pending && rtc->irq_enabled);
}

/* The alarm goes off or its timer is set. */
static void compare_locked(struct goldfish_rtc *rtc)
{
    u64 now = rtc_time(rtc), deadline = CLOCK_NEVER;

    if (rtc->alarm_armed && rtc->alarm <= now) {
        rtc->alarm_armed = false;
        rtc->irq_pending = 1;
        update_irq_locked(rtc);
    }
    if (rtc->alarm_armed && !checked_add(clock_now(&rtc->clock), rtc->alarm - now, &deadline))
        deadline = CLOCK_NEVER;
    timer_arm(&rtc->timer, deadline);
}

void goldfish_rtc_fired(void *ctx, u32 unused)
{
    struct goldfish_rtc *rtc = ctx;

    device_lock(&rtc->dev);
    compare_locked(rtc);
    device_unlock(&rtc->dev);
}

static u64 time_low_read(struct device *dev, u32 index)
{
    struct goldfish_rtc *rtc = rtc_of(dev);
    u64 now = rtc_time(rtc);

    rtc->time_high = (u32)(now >> 32);
    return (u32)now;
}

static void set_time_locked(struct goldfish_rtc *rtc, u64 mask, u64 bits)
{
    u64 now = rtc_time(rtc);

    rtc->offset += bits_merge(now, mask, bits) - now;
    if (rtc->alarm_armed)
        compare_locked(rtc);
}

static void time_low_wrote(struct device *dev, u32 index, u64 value)
{
    set_time_locked(rtc_of(dev), UINT32_MAX, value);
}

static void time_high_wrote(struct device *dev, u32 index, u64 value)
{
    set_time_locked(rtc_of(dev), GENMASK(63, 32), value << 32);
}

static void alarm_low_wrote(struct device *dev, u32 index, u64 value)
{
    struct goldfish_rtc *rtc = rtc_of(dev);

    rtc->alarm = (u64)rtc->alarm_high << 32 | rtc->alarm_low;
    rtc->alarm_armed = true;
    compare_locked(rtc);
}

static u64 alarm_status_read(struct device *dev, u32 index)
{
    return rtc_of(dev)->alarm_armed;
}

static void irq_enabled_wrote(struct device *dev, u32 index, u64 value)
{
    update_irq_locked(rtc_of(dev));
}

static void clear_alarm_wrote(struct device *dev, u32 index, u64 value)
{
    struct goldfish_rtc *rtc = rtc_of(dev);

    rtc->alarm_armed = false;
    compare_locked(rtc);
}

static void clear_interrupt_wrote(struct device *dev, u32 index, u64 value)
{
    struct goldfish_rtc *rtc = rtc_of(dev);

    rtc->irq_pending = 0;
    update_irq_locked(rtc);
}

/* The time that the guest has set survives, as in a battery-backed clock. */
static void rtc_reset(struct device *dev)
{
    struct goldfish_rtc *rtc = rtc_of(dev);

    rtc->alarm = 0;
    rtc->alarm_armed = false;
    rtc->irq_pending = 0;
    update_irq_locked(rtc);
    compare_locked(rtc);
}

#define AT(f) offsetof(struct goldfish_rtc, f)

static const struct reg rtc_regs[] = {
    {"time-low", 0x00, 4, .field = REG_NO_FIELD, .read = time_low_read, .wrote = time_low_wrote},
    {"time-high", 0x04, 4, .field = AT(time_high), .wrote = time_high_wrote},
    {"alarm-low", 0x08, 4, .field = AT(alarm_low), .rw = UINT32_MAX, .wrote = alarm_low_wrote},
    {"alarm-high", 0x0c, 4, .field = AT(alarm_high), .rw = UINT32_MAX},
    {"irq-enabled", 0x10, 4, .field = AT(irq_enabled), .rw = 1, .wrote = irq_enabled_wrote},
    {"clear-alarm", 0x14, 4, .field = REG_NO_FIELD, .wrote = clear_alarm_wrote},
    {"alarm-status", 0x18, 4, .field = REG_NO_FIELD, .read = alarm_status_read},
    {"clear-interrupt", 0x1c, 4, .field = REG_NO_FIELD, .wrote = clear_interrupt_wrote},
};

static const struct device_class rtc_class = {
    .name = "goldfish-rtc",
    .mmio_size = GOLDFISH_RTC_SIZE,
    .regs = rtc_regs,
    .reg_count = ARRAY_SIZE(rtc_regs),
    .reset = rtc_reset,
    .read = device_read_zero,
    .write = device_write_ignored,
    .compatible = "google,goldfish-rtc",
};

void goldfish_rtc_init(struct goldfish_rtc *rtc, const struct goldfish_rtc_config *config)
{
    memset(rtc, 0, sizeof(*rtc));
    device_init(&rtc->dev, &rtc_class, config->id, config->base, config->log);
    rtc->clock = config->clock;
    rtc->timer = config->timer;
    rtc->irq = config->irq;
    device_reset(&rtc->dev);
}
