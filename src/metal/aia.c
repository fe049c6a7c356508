/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts on boards with an IMSIC. Kicks are messages to HS-mode's own file of a hart. What a
 * partition's APLIC sends is a store into a guest file; a wired source of the board that is the
 * partition's has its counterpart in the board's APLIC set up to send straight into that file.
 */
#include "metal/aia.h"

#include "metal/csr.h"
#include "metal/iommu.h"
#include "metal/low.h"
#include "metal/paging.h"
#include "metal/spinlock.h"
#include "metal/vaplic.h"

/* Interrupt identities of HS-mode's own files. */
#define EID_KICK  KICK
#define EID_IOMMU 2

/* Registers of an IMSIC file behind siselect and vsiselect (section 3.8); of the last two, those
 * with even numbers alone. */
#define EIDELIVERY  0x70
#define EITHRESHOLD 0x72
#define EIP0        0x80
#define EIE0        0xc0

/* The board's APLIC (chapter 4). */
#define DOMAINCFG    0x0000
#define SOURCECFG(s) (4 * (u64)(s))
#define SETIP(s)     (0x1c00 + (u64)(s) / 32 * 4)
#define SETIPNUM     0x1cdc
#define IN_CLRIP(s)  (0x1d00 + (u64)(s) / 32 * 4)
#define CLRIPNUM     0x1ddc
#define SETIENUM     0x1edc
#define CLRIENUM     0x1fdc
#define TARGET(s)    (0x3000 + 4 * (u64)(s))

#define DOMAINCFG_IE_MSI 0x104
#define SOURCECFG_EDGE   4
#define TARGET_HART      18
#define TARGET_GUEST     12
#define TARGET_EIID      0x7ff

static struct aia_domain {
    struct vaplic vaplic;
    struct spinlock lock;
} domains[METAL_PARTITIONS_MAX];

static volatile u32 *reg(u64 offset)
{
    return (volatile u32 *)paging_io(metal_config.board.aplic_hpa + offset);
}

static volatile u32 *file_of(const struct hart *h, u32 file)
{
    return paging_io(imsic_hpa(&metal_config.board, h->config->imsic_index) + 4096 * (u64)file);
}

/* The source of the board that is a partition's; all who ask know that there is one. */
static u32 board_source(const struct partition *p, u32 source)
{
    const struct metal_irq *irq = metal_config.irq;

    while (irq->partition != p->index || irq->virtual_source != source)
        irq++;
    return irq->source;
}

static void send(void *ctx, u32 number, u32 eiid)
{
    const struct vcpu *v = partition_vcpu(ctx, number);

    fence_to_device(); /* who gets it sees what was stored before */
    *file_of(v->hart, v->config->guest_file) = eiid;
}

/* A target of 0 goes to the first vCPU with identity 0, which no file takes. */
static u32 board_target(struct partition *p, u32 target)
{
    const struct vcpu *v = partition_vcpu(p, target >> TARGET_HART);

    return (u32)v->hart->config->imsic_index << TARGET_HART |
           (u32)v->config->guest_file << TARGET_GUEST | (target & TARGET_EIID);
}

static void wired_set(void *ctx, u32 source, enum vaplic_wired what, u32 value)
{
    u32 s = board_source(ctx, source);

    switch (what) {
    case VAPLIC_MODE:
        *reg(SOURCECFG(s)) = value;
        break;
    case VAPLIC_TARGET:
        *reg(TARGET(s)) = board_target(ctx, value);
        break;
    case VAPLIC_ENABLE:
        *reg(value ? SETIENUM : CLRIENUM) = s;
        break;
    default:
        *reg(value ? SETIPNUM : CLRIPNUM) = s;
        break;
    }
}

static bool wired_get(void *ctx, u32 source, enum vaplic_wired what)
{
    u32 s = board_source(ctx, source);

    return *reg(what == VAPLIC_INPUT ? IN_CLRIP(s) : SETIP(s)) >> s % 32 & 1;
}

static const struct vaplic_port port = {send, wired_set, wired_get};

void aia_init(void)
{
    for (u32 i = 0; i < METAL_PARTITIONS_MAX; i++)
        metal.partition[i].domain = &domains[i];
    for (u32 i = 0; i < metal_config.board.hart_count; i++)
        metal.hart[i].kick = file_of(&metal.hart[i], 0); /* HS-mode's own */
    for (u32 s = 1; s <= metal_config.board.sources; s++)
        *reg(SOURCECFG(s)) = 0;
    for (u32 i = 0; i < metal_config.irq_count; i++) {
        const struct metal_irq *irq = &metal_config.irq[i];
        if (irq->virtual_source)
            continue;
        *reg(SOURCECFG(irq->source)) = SOURCECFG_EDGE;
        *reg(TARGET(irq->source)) =
            (u32)metal_config.hart[irq->hart].imsic_index << TARGET_HART | EID_IOMMU;
        *reg(SETIENUM) = irq->source;
    }
    *reg(DOMAINCFG) = DOMAINCFG_IE_MSI;
}

static void own_write(u32 select, u64 value)
{
    csr_write(siselect, select);
    csr_write(sireg, value);
}

static void guest_write(u32 select, u64 value)
{
    csr_write(vsiselect, select);
    csr_write(vsireg, value);
}

/* Nothing enabled, nothing pending. */
static void file_reset(void (*write)(u32 select, u64 value))
{
    write(EIDELIVERY, 0);
    write(EITHRESHOLD, 0);
    for (u32 i = 0; i <= metal_config.board.imsic_ids / 64; i++) {
        write(EIE0 + 2 * i, 0);
        write(EIP0 + 2 * i, 0);
    }
}

void aia_init_hart(struct hart *h)
{
    (void)h;
    csr_write(hvictl, 0);
    csr_write(hviprio1, 0);
    csr_write(hviprio2, 0);
    csr_write(hgeie, 0);
    csr_set(hie, BIT(IRQ_SGEI));
    file_reset(own_write);
    own_write(EIE0, BIT(EID_KICK));
    own_write(EIDELIVERY, 1);
}

bool aia_external(struct hart *h)
{
    u64 top;

    (void)h;
    __asm__ volatile("csrrw %0, stopei, zero" : "=r"(top)::"memory");
    if (top >> 16 == EID_IOMMU)
        iommu_external();
    return top;
}

/* The IOMMU's interrupt takes the time of the partition whose devices it is about. */
void aia_switch(const struct partition *to)
{
    u64 owner = to && to->index == metal_config.board.dma_partition ? BIT(EID_IOMMU) : 0;

    if (metal_config.board.iommu_hpa)
        own_write(EIE0, BIT(EID_KICK) | owner);
}

void aia_start(struct vcpu *v)
{
    if (!v->config->guest_file)
        return;
    file_reset(guest_write);
    csr_write(vsiselect, v->csr.vsiselect);
}

void aia_listen(const struct hart *h, bool (*is_awaited)(const struct vcpu *v))
{
    const struct vcpu *v = &metal.vcpu[h->config->vcpu_first];
    u64 files = 0;

    for (u32 i = 0; i < h->config->vcpu_count; i++, v++) {
        if (v->state == VCPU_WAITING && v->csr.vsie & BIT(IRQ_SEI) && is_awaited(v))
            files |= BIT(v->config->guest_file);
    }
    csr_write(hgeie, files);
}

void aia_reset(struct partition *p)
{
    struct aia_domain *d = p->domain;
    u64 wired = 0;

    for (u32 i = 0; i < metal_config.irq_count; i++) {
        if (metal_config.irq[i].partition == p->index)
            wired |= BIT(metal_config.irq[i].virtual_source);
    }
    spin_acquire(&d->lock);
    vaplic_reset(&d->vaplic, &port, p, p->config->vcpu_count, p->config->sources, wired);
    spin_release(&d->lock);
}

void aia_wire(const struct partition *p, u32 source, bool level, bool then)
{
    struct aia_domain *d = p->domain;

    spin_acquire(&d->lock);
    vaplic_level(&d->vaplic, source, level);
    vaplic_level(&d->vaplic, source, then);
    spin_release(&d->lock);
}

s64 aia_read(const struct partition *p, u64 offset)
{
    /* No register changes when it is read, and each is one load: so no lock. */
    return offset < VAPLIC_SIZE ? (s64)vaplic_read(&p->domain->vaplic, offset) : -1;
}

bool aia_write(const struct partition *p, u64 offset, u32 width, u64 value)
{
    struct aia_domain *d = p->domain;
    bool known;

    spin_acquire(&d->lock);
    known = vaplic_access(&d->vaplic, offset, width, true, &value);
    spin_release(&d->lock);
    return known;
}
