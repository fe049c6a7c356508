/* SPDX-License-Identifier: BSD-2-Clause */
/* An emulated PLIC. */
#include "metal/vplic.h"

#include "base/bits.h"
#include "base/mem.h"

#define PENDING      0x1000
#define ENABLE       0x2000
#define STRIDE_BITS  12 /* of a context's threshold and claim */
#define PRIORITY_MAX 7

void vplic_reset(struct vplic *p, u32 contexts, u32 sources)
{
    spin_acquire(&p->lock); /* somebody's doorbell may be at it */
    memset(&p->contexts, 0, sizeof(*p) - offsetof(struct vplic, contexts));
    p->contexts = contexts;
    p->sources = sources;
    spin_release(&p->lock);
}

/* The best source of context above a priority; 0: none. Of equal priorities the lowest wins. */
static u32 best(const struct vplic *p, u32 context, u32 priority)
{
    u32 found = 0;

    for (u64 left = p->pending & ~p->claimed & p->enable[context]; left; left &= left - 1) {
        u32 source = (u32)__builtin_ctzll(left);
        if (p->priority[source] > priority) {
            found = source;
            priority = p->priority[source];
        }
    }
    return found;
}

static void update(struct vplic *p)
{
    u64 line = 0;

    if (p->pending & ~p->claimed) {
        for (u32 i = 0; i < p->contexts; i++)
            line |= best(p, i, p->threshold[i]) ? BIT(i) : 0;
    }
    p->line = line;
}

static bool is_source(const struct vplic *p, u64 source)
{
    return source && source <= p->sources;
}

void vplic_raise(struct vplic *p, u32 source)
{
    if (!is_source(p, source))
        return;
    p->pending |= BIT(source);
    update(p);
}

void vplic_level(struct vplic *p, u32 source, bool level)
{
    if (!is_source(p, source))
        return;
    p->level = bits_merge(p->level, BIT(source), level ? BIT(source) : 0);
    if (level)
        p->pending |= BIT(source) & ~p->claimed; /* the gateway is closed until completion */
    update(p);
}

static u32 claim(struct vplic *p, u32 context)
{
    u32 source = best(p, context, 0); /* "Interrupt Claim Process": whatever the threshold */

    if (source) {
        p->pending &= ~BIT(source);
        p->claimed |= BIT(source);
    }
    return source;
}

static u32 complete(struct vplic *p, u32 context, u64 source)
{
    if (!is_source(p, source) || !(p->claimed & p->enable[context] & BIT(source)))
        return 0;
    p->claimed &= ~BIT(source);
    p->pending |= p->level & BIT(source);
    return (u32)source;
}

static u64 half(u64 bits, u64 word)
{
    return word < 2 ? bits >> 32 * word & UINT32_MAX : 0;
}

static void enable_write(struct vplic *p, u32 context, u64 word, u64 value)
{
    u64 all = GENMASK(p->sources, 0) & ~UINT64_C(1);

    if (word < 2)
        p->enable[context] =
            bits_merge(p->enable[context], UINT64_C(0xffffffff) << 32 * word, value << 32 * word) &
            all;
}

static u32 context_access(struct vplic *p, u64 offset, bool write, u64 *value)
{
    u64 context = offset >> STRIDE_BITS, reg = offset & ((1u << STRIDE_BITS) - 1);
    u32 completed = 0;

    if (context >= p->contexts)
        *value = 0;
    else if (reg == 0 && write)
        p->threshold[context] = *value & PRIORITY_MAX;
    else if (reg == 0)
        *value = p->threshold[context];
    else if (reg == 4 && write)
        completed = complete(p, (u32)context, *value);
    else
        *value = reg == 4 ? claim(p, (u32)context) : 0;
    return completed;
}

u64 vplic_read(const struct vplic *p, u64 offset)
{
    u64 context = (offset - ENABLE) >> 7;

    if (offset < PENDING) /* 0 where there is no source */
        return offset / 4 < METAL_SOURCES_MAX ? p->priority[offset / 4] : 0;
    if (offset < ENABLE)
        return half(p->pending, (offset - PENDING) / 4);
    return context < p->contexts ? half(p->enable[context], (offset & 0x7f) / 4) : 0;
}

static void write_register(struct vplic *p, u64 offset, u32 value)
{
    u64 context = (offset - ENABLE) >> 7;

    if (offset >= ENABLE && context < p->contexts)
        enable_write(p, (u32)context, (offset & 0x7f) / 4, value);
    else if (offset < PENDING && is_source(p, offset / 4))
        p->priority[offset / 4] = value & PRIORITY_MAX;
}

bool vplic_access(struct vplic *p, u64 offset, u32 width, bool write, u64 *value, u32 *completed)
{
    *completed = 0;
    if (width != 4 || offset % 4 || offset >= VPLIC_SIZE)
        return false;
    *value &= UINT32_MAX;
    if (offset >= VPLIC_CONTEXTS)
        *completed = context_access(p, offset - VPLIC_CONTEXTS, write, value);
    else if (write)
        write_register(p, offset, (u32)*value);
    else
        *value = vplic_read(p, offset);
    if (write || offset >= VPLIC_CONTEXTS)
        update(p);
    return true;
}
