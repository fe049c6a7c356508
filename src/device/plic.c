/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Platform-Level Interrupt Controller (RISC-V PLIC Specification 1.0.0).
 *
 * Theory of operation. Wires are levels and a gateway forwards nothing between claim and
 * completion, so a source pends while its level is high and nobody has claimed it. Sources are
 * kept as bit sets, one per priority too: the best source of a context is the lowest bit of
 * (pending & enabled & at priority p) for the greatest p, in a few word operations.
 *
 * The device's lock is "the plic lock": devices set wires while they hold their own.
 */
#include "device/plic.h"

#include "base/assert.h"
#include "base/mem.h"

#define ENABLE_WORDS 32 /* words of enable bits that the layout gives each context */

static struct plic *plic_of(struct device *dev)
{
    return CONTAINER_OF(dev, struct plic, dev);
}

static u32 pending_word(const struct plic *plic, u32 word)
{
    return plic->level[word] & ~plic->claimed[word];
}

/* The source that the context would claim, of priorities above threshold; 0: none. */
static u32 best_source(const struct plic *plic, const struct plic_context *context, u32 threshold)
{
    u32 ready[PLIC_WORDS], any = 0;

    for (u32 w = 0; w < PLIC_WORDS; w++) {
        ready[w] = pending_word(plic, w) & context->enable[w];
        any |= ready[w];
    }
    for (u32 p = PLIC_PRIORITY_MAX; any && p > threshold; p--) {
        for (u32 w = 0; w < PLIC_WORDS; w++) {
            u32 hits = ready[w] & plic->at_priority[p][w];
            if (hits)
                return w * 32 + (u32)__builtin_ctz(hits);
        }
    }
    return 0;
}

static void update_context_locked(struct plic *plic, struct plic_context *context)
{
    bool raise = best_source(plic, context, context->threshold) != 0;

    if (raise != context->raised) {
        context->raised = raise;
        irq_set(&context->output, raise);
    }
}

/* Source changed: whoever has enabled it may see another output. */
static void update_source_locked(struct plic *plic, u32 source)
{
    u32 word = source / 32, bit = 1u << source % 32;

    for (u32 i = 0; i < plic->context_count; i++) {
        if (plic->context[i].enable[word] & bit)
            update_context_locked(plic, &plic->context[i]);
    }
}

static void set_source(void *ctx, u32 source, bool level)
{
    struct plic *plic = ctx;
    u32 word = source / 32, bit = 1u << source % 32;

    device_lock(&plic->dev);
    if (!(plic->level[word] & bit) == level) {
        plic->level[word] ^= bit;
        update_source_locked(plic, source);
    }
    device_unlock(&plic->dev);
}

static u64 claim_read(struct device *dev, u32 index)
{
    struct plic *plic = plic_of(dev);
    u32 source;

    if (index >= plic->context_count)
        return 0;
    source = best_source(plic, &plic->context[index], 0); /* section 9: whatever the threshold */
    if (source) {
        plic->claimed[source / 32] |= 1u << source % 32;
        update_source_locked(plic, source);
    }
    return source;
}

static void completed(struct device *dev, u32 index, u64 value)
{
    struct plic *plic = plic_of(dev);
    u32 source = (u32)value, word = source / 32, bit = 1u << source % 32;

    if (index >= plic->context_count || source >= PLIC_SOURCES)
        return;
    if (!(plic->context[index].enable[word] & bit) || !(plic->claimed[word] & bit))
        return; /* section 10: silently ignored */
    plic->claimed[word] &= ~bit;
    update_source_locked(plic, source);
}

static u64 threshold_read(struct device *dev, u32 index)
{
    struct plic *plic = plic_of(dev);

    return index < plic->context_count ? plic->context[index].threshold : 0;
}

static void threshold_wrote(struct device *dev, u32 index, u64 value)
{
    struct plic *plic = plic_of(dev);

    if (index >= plic->context_count)
        return;
    plic->context[index].threshold = value & PLIC_PRIORITY_MAX;
    update_context_locked(plic, &plic->context[index]);
}

static u64 enable_read(struct device *dev, u32 index)
{
    struct plic *plic = plic_of(dev);
    u32 context = index / ENABLE_WORDS, word = index % ENABLE_WORDS;

    if (context >= plic->context_count || word >= PLIC_WORDS)
        return 0;
    return plic->context[context].enable[word];
}

static void enable_wrote(struct device *dev, u32 index, u64 value)
{
    struct plic *plic = plic_of(dev);
    u32 context = index / ENABLE_WORDS, word = index % ENABLE_WORDS;

    if (context >= plic->context_count || word >= PLIC_WORDS)
        return;
    plic->context[context].enable[word] = (u32)value & (word ? ~0u : ~1u); /* no source 0 */
    update_context_locked(plic, &plic->context[context]);
}

static u64 pending_read(struct device *dev, u32 index)
{
    return pending_word(plic_of(dev), index);
}

/* Element 0 of the register array is source 1. */
static void priority_wrote(struct device *dev, u32 index, u64 value)
{
    struct plic *plic = plic_of(dev);
    u32 source = index + 1, word = source / 32, bit = 1u << source % 32;

    for (u32 p = 0; p <= PLIC_PRIORITY_MAX; p++)
        plic->at_priority[p][word] &= ~bit;
    plic->at_priority[plic->priority[source]][word] |= bit;
    update_source_locked(plic, source);
}

/* The wires stay as the devices hold them. */
static void plic_reset(struct device *dev)
{
    struct plic *plic = plic_of(dev);

    memset(plic->claimed, 0, sizeof(plic->claimed));
    memset(plic->at_priority, 0, sizeof(plic->at_priority));
    for (u32 i = 0; i < plic->context_count; i++) {
        struct plic_context *context = &plic->context[i];

        memset(context->enable, 0, sizeof(context->enable));
        context->threshold = 0;
        update_context_locked(plic, context);
    }
}

/* The registers of every interrupt come first: the table is searched in order. */
static const struct reg plic_regs[] = {
    {"claim", 0x200004, 4, .count = PLIC_CONTEXTS_MAX, .stride = 0x1000, .field = REG_NO_FIELD,
     .read = claim_read, .wrote = completed},
    {"threshold", 0x200000, 4, .count = PLIC_CONTEXTS_MAX, .stride = 0x1000, .field = REG_NO_FIELD,
     .read = threshold_read, .wrote = threshold_wrote},
    {"enable", 0x2000, 4, .count = PLIC_CONTEXTS_MAX * ENABLE_WORDS, .field = REG_NO_FIELD,
     .read = enable_read, .wrote = enable_wrote},
    {"pending", 0x1000, 4, .count = PLIC_WORDS, .field = REG_NO_FIELD, .read = pending_read},
    {"priority", 0x4, 4, .count = PLIC_SOURCES - 1, .field = offsetof(struct plic, priority[1]),
     .rw = PLIC_PRIORITY_MAX, .wrote = priority_wrote},
};

static const struct device_class plic_class = {
    .name = "plic",
    .mmio_size = PLIC_SIZE,
    .regs = plic_regs,
    .reg_count = ARRAY_SIZE(plic_regs),
    .reset = plic_reset,
    .read = device_read_zero,
    .write = device_write_ignored,
    .compatible = "sifive,plic-1.0.0\nriscv,plic0",
};

void plic_init(struct plic *plic, const struct plic_config *config)
{
    ASSERT(config->context_count <= PLIC_CONTEXTS_MAX);
    memset(plic, 0, sizeof(*plic));
    device_init(&plic->dev, &plic_class, config->id, config->base, config->log);
    plic->context_count = config->context_count;
    for (u32 i = 0; i < config->context_count; i++)
        plic->context[i].output = config->output[i];
    device_reset(&plic->dev);
}

struct irq_line plic_input(struct plic *plic, u32 source)
{
    ASSERT(source > 0 && source < PLIC_SOURCES);
    return (struct irq_line){set_source, plic, source};
}
