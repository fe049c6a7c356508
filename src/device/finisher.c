/* SPDX-License-Identifier: BSD-2-Clause */
/* SiFive test finisher: the low half of a written word is the action, the high half its code. */
#include "device/finisher.h"

#include "base/mem.h"

static struct finisher *finisher_of(struct device *dev)
{
    return CONTAINER_OF(dev, struct finisher, dev);
}

static void finish_wrote(struct device *dev, u32 index, u64 value)
{
    struct finisher *finisher = finisher_of(dev);

    switch (value & 0xffff) {
    case FINISHER_FAIL:
    case FINISHER_PASS:
    case FINISHER_RESET:
        finisher->request = (u32)value;
        dev->deferred = true;
        break;
    default:
        log_guest(dev->log, &dev->limit, dev->id, "unknown request 0x%x", (u32)value);
    }
}

/* The board stops harts or resets devices from within exit: no lock may be held. */
static void finisher_deferred(struct device *dev)
{
    struct finisher *finisher = finisher_of(dev);
    u32 request;

    device_lock(dev);
    request = finisher->request;
    finisher->request = 0;
    device_unlock(dev);
    if (request && finisher->exit)
        finisher->exit(finisher->ctx, (enum finisher_action)(request & 0xffff), request >> 16);
}

static void finisher_reset(struct device *dev)
{
    finisher_of(dev)->request = 0;
}

static const struct reg finisher_regs[] = {
    {"finish", 0x0, 4, W2 | W4, .field = REG_NO_FIELD, .wrote = finish_wrote},
};

static const struct device_class finisher_class = {
    .name = "finisher",
    .mmio_size = FINISHER_SIZE,
    .regs = finisher_regs,
    .reg_count = ARRAY_SIZE(finisher_regs),
    .reset = finisher_reset,
    .read = device_read_zero,
    .write = device_write_ignored,
    .deferred = finisher_deferred,
    .compatible = "sifive,test1\nsifive,test0\nsyscon",
};

void finisher_init(struct finisher *finisher, const struct finisher_config *config)
{
    memset(finisher, 0, sizeof(*finisher));
    device_init(&finisher->dev, &finisher_class, config->id, config->base, config->log);
    finisher->exit = config->exit;
    finisher->ctx = config->ctx;
    device_reset(&finisher->dev);
}
