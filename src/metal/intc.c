/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts on boards with a PLIC: partitions see an emulated one. A wired interrupt of a
 * partition is taken by its vCPU 0's hart, only while one of the partition's vCPUs has that hart,
 * so it takes nobody else's time. It is completed at the board when the partition completes it.
 */
#include "metal/intc.h"

#include "metal/aia.h"
#include "metal/board_plic.h"
#include "metal/csr.h"
#include "metal/iommu.h"
#include "metal/paging.h"
#include "metal/vcpu.h"
#include "metal/vplic.h"

static struct vplic vplic[METAL_PARTITIONS_MAX];

static bool has_aia(void)
{
    return metal_config.board.intc == METAL_INTC_AIA;
}

static void init_kicks(void)
{
    for (u32 i = 0; metal_config.board.sswi_hpa && i < metal_config.board.hart_count; i++) {
        struct hart *h = &metal.hart[i];
        h->kick = paging_io(metal_config.board.sswi_hpa + 4 * (u64)h->config->sswi_index);
    }
}

void intc_init(void)
{
    if (has_aia()) {
        aia_init();
        return;
    }
    for (u32 i = 0; i < METAL_PARTITIONS_MAX; i++)
        metal.partition[i].vplic = &vplic[i];
    board_plic_init();
    init_kicks();
}

void intc_init_hart(struct hart *h)
{
    if (has_aia())
        aia_init_hart(h);
    else
        board_plic_init_hart(h);
}

/* The line of v's context, which is in, to its hart. */
static void line_set(const struct vplic *p, const struct vcpu *v)
{
    if (p->line & BIT(v->number))
        csr_set(hvip, BIT(IRQ_VSEI));
    else
        csr_clear(hvip, BIT(IRQ_VSEI));
}

/* Lines of p changed from before: its vCPUs learn of it. */
static void lines_tell(struct partition *p, u64 before)
{
    const struct vcpu *self = atomic_load_explicit(&hart_self()->current, memory_order_relaxed);
    u64 changed = before ^ p->vplic->line;

    for (; changed; changed &= changed - 1) {
        struct vcpu *v = partition_vcpu(p, (u32)__builtin_ctzll(changed));
        if (v == self)
            line_set(p->vplic, v);
        else
            vcpu_request(v, REQUEST_IRQ);
    }
}

void intc_reset(struct partition *p)
{
    if (has_aia()) {
        aia_reset(p);
        return;
    }
    vplic_reset(p->vplic, p->config->vcpu_count, p->config->sources);
    for (u32 i = 0; i < metal_config.irq_count; i++) {
        const struct metal_irq *irq = &metal_config.irq[i];
        if (irq->partition == p->index)
            board_plic_complete(&metal.hart[irq->hart],
                                irq->source); /* if it was taken and forgotten */
    }
}

void intc_switch(struct hart *h, const struct partition *from, const struct partition *to)
{
    if (from == to)
        return;
    if (has_aia()) {
        aia_switch(to);
        return;
    }
    /* On a hart of its own a device may wake who sleeps. */
    if (!to && h->config->mode == METAL_HART_EXCLUSIVE)
        return;
    for (u32 i = 0; i < metal_config.irq_count; i++) {
        const struct metal_irq *irq = &metal_config.irq[i];
        if (irq->hart != h->index)
            continue;
        if (from && irq->partition == from->index)
            board_plic_enable(h, irq->source, false);
        if (to && irq->partition == to->index)
            board_plic_enable(h, irq->source, true);
    }
}

void intc_listen(const struct hart *h, bool (*is_awaited)(const struct vcpu *v))
{
    if (has_aia())
        aia_listen(h, is_awaited);
}

void intc_start(struct vcpu *v)
{
    if (has_aia())
        aia_start(v);
}

void intc_refresh(struct vcpu *v)
{
    if (has_aia())
        return;
    line_set(v->partition->vplic, v);
}

static void change(struct partition *p, u32 source, bool level,
                   void (*how)(struct vplic *, u32, bool))
{
    struct vplic *vp = p->vplic;
    u64 before;

    spin_acquire(&vp->lock);
    before = vp->line;
    how(vp, source, level);
    lines_tell(p, before);
    spin_release(&vp->lock);
}

static void raise(struct vplic *p, u32 source, bool level)
{
    vplic_raise(p, source);
}

void intc_raise(struct partition *p, u32 source)
{
    if (has_aia())
        aia_wire(p, source, true, false);
    else
        change(p, source, true, raise);
}

void intc_level(struct partition *p, u32 source, bool level)
{
    if (has_aia())
        aia_wire(p, source, level, level);
    else
        change(p, source, level, vplic_level);
}

bool intc_external(struct hart *h)
{
    u32 source;

    if (has_aia())
        return aia_external(h);
    source = board_plic_claim(h);
    for (u32 i = 0; source && i < metal_config.irq_count; i++) {
        const struct metal_irq *irq = &metal_config.irq[i];
        if (irq->source != source)
            continue;
        if (!irq->virtual_source) {
            iommu_external();
            board_plic_complete(h, source);
            return true;
        }
        intc_raise(&metal.partition[irq->partition], irq->virtual_source);
    }
    return false;
}

static void completed_at_board(const struct partition *p, u32 source)
{
    for (u32 i = 0; i < metal_config.irq_count; i++) {
        const struct metal_irq *irq = &metal_config.irq[i];
        if (irq->partition == p->index && irq->virtual_source == source)
            board_plic_complete(&metal.hart[irq->hart], irq->source);
    }
}

/* An access that changes the controller. */
static NOINLINE bool change_by_access(struct partition *p, u64 offset, u32 width, bool write,
                                      u64 *value)
{
    struct vplic *vp = p->vplic;
    u32 completed;
    u64 before;
    bool known;

    spin_acquire(&vp->lock);
    before = vp->line;
    known = vplic_access(vp, offset, width, write, value, &completed);
    if (before != vp->line)
        lines_tell(p, before);
    spin_release(&vp->lock);
    if (completed)
        completed_at_board(p, completed);
    return known;
}

static NOINLINE s64 claim(struct partition *p, u64 offset)
{
    u64 value = 0;

    return change_by_access(p, offset, 4, false, &value) ? (s64)value : -1;
}

s64 intc_read(struct partition *p, u64 offset)
{
    const struct vplic *vp = p->vplic;

    if (UNLIKELY(offset % 4))
        return -1;
    if (!vp)
        return aia_read(p, offset);
    if (offset >= VPLIC_CONTEXTS)
        return claim(p, offset);
    return (s64)vplic_read(vp, offset); /* one load, so no lock */
}

bool intc_write(struct partition *p, u64 offset, u32 width, u64 value)
{
    return has_aia() ? aia_write(p, offset, width, value)
                     : change_by_access(p, offset, width, true, &value);
}
