/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACLINT (RISC-V ACLINT Specification 1.0-rc4) in the layout of SiFive's CLINT.
 *
 * mtime is the VM's clock in ticks plus an offset, which a write of mtime and a reset change; the
 * offset is atomic so that rdtime needs no lock. A timer is only an alarm clock: whenever it fires
 * or a register changes, the comparison is made anew under the lock.
 */
#include "device/aclint.h"

#include "base/assert.h"
#include "base/checked.h"
#include "base/mem.h"

#define TICK_NS (UINT64_C(1000000000) / ACLINT_HZ)

static struct aclint *aclint_of(struct device *dev)
{
    return CONTAINER_OF(dev, struct aclint, dev);
}

static u64 clock_ticks(const struct aclint *aclint)
{
    return clock_now(&aclint->clock) / TICK_NS;
}

u64 aclint_time(const struct aclint *aclint)
{
    /* Relaxed: a lone value; a hart that reads time early by a moment reads the old mtime. */
    return clock_ticks(aclint) + atomic_load_explicit(&aclint->offset, memory_order_relaxed);
}

u64 aclint_deadline_ns(const struct aclint *aclint, u64 time)
{
    u64 offset = atomic_load_explicit(&aclint->offset, memory_order_relaxed);
    u64 ticks = clock_ticks(aclint), now = ticks + offset, ns;

    if (time <= now)
        return ticks * TICK_NS;
    if (!checked_add(ticks, time - now, &ticks) || !checked_mul(ticks, TICK_NS, &ns))
        return CLOCK_NEVER;
    return ns;
}

/* Drives MTIP of a hart and sets its alarm. */
static void compare_locked(struct aclint *aclint, u32 index)
{
    struct aclint_hart *hart = &aclint->hart[index];
    u64 mtimecmp = aclint->mtimecmp[index];
    bool level = aclint_time(aclint) >= mtimecmp;

    if (level != hart->mtip_level) {
        hart->mtip_level = level;
        irq_set(&hart->mtip, level);
    }
    timer_arm(&hart->timer, level ? CLOCK_NEVER : aclint_deadline_ns(aclint, mtimecmp));
}

void aclint_timer_fired(void *ctx, u32 hart)
{
    struct aclint *aclint = ctx;

    ASSERT(hart < aclint->hart_count);
    device_lock(&aclint->dev);
    compare_locked(aclint, hart);
    device_unlock(&aclint->dev);
}

static void msip_wrote(struct device *dev, u32 index, u64 value)
{
    struct aclint *aclint = aclint_of(dev);

    if (index < aclint->hart_count)
        irq_set(&aclint->hart[index].msip, aclint->msip[index]);
    else
        aclint->msip[index] = 0;
}

static void mtimecmp_wrote(struct device *dev, u32 index, u64 value)
{
    struct aclint *aclint = aclint_of(dev);

    if (index < aclint->hart_count)
        compare_locked(aclint, index);
    else
        aclint->mtimecmp[index] = 0;
}

static u64 mtimecmp_read(struct device *dev, u32 index)
{
    struct aclint *aclint = aclint_of(dev);

    return index < aclint->hart_count ? aclint->mtimecmp[index] : 0;
}

static u64 mtime_read(struct device *dev, u32 index)
{
    return aclint_time(aclint_of(dev));
}

static void set_time_locked(struct aclint *aclint, u64 time)
{
    atomic_store_explicit(&aclint->offset, time - clock_ticks(aclint), memory_order_relaxed);
    for (u32 i = 0; i < aclint->hart_count; i++)
        compare_locked(aclint, i);
}

static void mtime_wrote(struct device *dev, u32 index, u64 value)
{
    set_time_locked(aclint_of(dev), value);
}

static void aclint_reset(struct device *dev)
{
    struct aclint *aclint = aclint_of(dev);

    for (u32 i = 0; i < aclint->hart_count; i++)
        irq_set(&aclint->hart[i].msip, false);
    set_time_locked(aclint, 0);
}

#define AT(f) offsetof(struct aclint, f)

static const struct reg aclint_regs[] = {
    {"mtimecmp", 0x4000, 8, W4 | W8, .count = ACLINT_HARTS_MAX, .field = AT(mtimecmp),
     .reset = UINT64_MAX, .rw = UINT64_MAX, .read = mtimecmp_read, .wrote = mtimecmp_wrote},
    {"mtime", 0xbff8, 8, W4 | W8, .field = REG_NO_FIELD, .read = mtime_read, .wrote = mtime_wrote},
    {"msip", 0x0, 4, .count = ACLINT_HARTS_MAX, .field = AT(msip), .rw = 1, .wrote = msip_wrote},
};

static const struct device_class aclint_class = {
    .name = "aclint",
    .mmio_size = ACLINT_SIZE,
    .regs = aclint_regs,
    .reg_count = ARRAY_SIZE(aclint_regs),
    .reset = aclint_reset,
    .read = device_read_zero,
    .write = device_write_ignored,
    .compatible = "sifive,clint0\nriscv,clint0",
};

void aclint_init(struct aclint *aclint, const struct aclint_config *config)
{
    ASSERT(config->hart_count <= ACLINT_HARTS_MAX);
    memset(aclint, 0, sizeof(*aclint));
    device_init(&aclint->dev, &aclint_class, config->id, config->base, config->log);
    aclint->clock = config->clock;
    aclint->hart_count = config->hart_count;
    for (u32 i = 0; i < config->hart_count; i++) {
        aclint->hart[i].msip = config->msip[i];
        aclint->hart[i].mtip = config->mtip[i];
        aclint->hart[i].timer = config->timer[i];
    }
    device_reset(&aclint->dev);
}

static void setssip_wrote(struct device *dev, u32 index, u64 value)
{
    struct aclint_sswi *sswi = CONTAINER_OF(dev, struct aclint_sswi, dev);

    if (index < sswi->hart_count && (value & 1))
        irq_set(&sswi->ssip[index], true);
}

static const struct reg sswi_regs[] = {
    {"setssip", 0x0, 4, .count = ACLINT_HARTS_MAX, .field = REG_NO_FIELD, .wrote = setssip_wrote},
};

static const struct device_class sswi_class = {
    .name = "aclint-sswi",
    .mmio_size = ACLINT_SSWI_SIZE,
    .regs = sswi_regs,
    .reg_count = ARRAY_SIZE(sswi_regs),
    .read = device_read_zero,
    .write = device_write_ignored,
    .compatible = "riscv,aclint-sswi",
};

void aclint_sswi_init(struct aclint_sswi *sswi, const struct aclint_sswi_config *config)
{
    ASSERT(config->hart_count <= ACLINT_HARTS_MAX);
    memset(sswi, 0, sizeof(*sswi));
    device_init(&sswi->dev, &sswi_class, config->id, config->base, config->log);
    sswi->hart_count = config->hart_count;
    for (u32 i = 0; i < config->hart_count; i++)
        sswi->ssip[i] = config->ssip[i];
}
