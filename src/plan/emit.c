/* SPDX-License-Identifier: BSD-2-Clause */
/* The structure that the hypervisor gets, of a configuration that is loaded. */
#include "plan/plan.h"

#include "plan/guest_dtb.h"

#include <string.h>

static void emit_board(const struct plan *p, struct metal_config *c)
{
    const struct plan_board *b = &p->board;

    c->board = (struct metal_board){
        .timebase = b->timebase,
        .ram_hpa = b->ram.base,
        .ram_size = b->ram.size,
        .self_hpa = p->self_hpa,
        .self_size = p->self_size,
        .uart_hpa = b->uart,
        .uart_shift = b->uart_shift,
        .intc = b->intc,
        .sources = b->sources,
        .hart_count = b->hart_count,
        .vector_size = p->vector_size,
        .all_stopped = p->all_stopped,
        .iommu_hpa = b->iommu.base,
        .iommu_first = p->dma.iommu_first,
        .iommu_count = p->dma.iommu_count,
        .pci_hpa = p->dma.is_pci ? p->dma.range[0].base : 0,
        .dma_partition = p->dma_node ? p->dma_partition : METAL_NONE,
    };
    if (b->intc == METAL_INTC_PLIC) {
        c->board.plic_hpa = b->plic.base;
        c->board.plic_size = b->plic.size;
        c->board.sswi_hpa = b->sswi.size ? b->sswi.base : 0;
        return;
    }
    c->board.aplic_hpa = b->aplic.base;
    c->board.aplic_size = b->aplic.size;
    c->board.imsic_hpa = b->imsic.base;
    c->board.imsic_guest_bits = b->imsic_guest_bits;
    c->board.imsic_hart_bits = b->imsic_hart_bits;
    c->board.imsic_group_shift = b->imsic_group_shift;
    c->board.imsic_ids = b->imsic_ids;
}

static void emit_harts(const struct plan *p, struct metal_config *c)
{
    const bool aia = p->board.intc == METAL_INTC_AIA;
    u32 next = 0;

    for (u32 h = 0; h < p->board.hart_count; h++) {
        const struct plan_board_hart *b = &p->board.hart[h];
        struct metal_hart *hart = &c->hart[h];

        *hart = (struct metal_hart){
            .hart_id = b->id,
            .mode = p->hart[h].mode,
            .plic_context = aia ? 0 : b->plic_context,
            .imsic_index = (u16)(aia ? b->imsic_index : 0),
            .sswi_index = (u16)(aia ? 0 : b->sswi_index),
            .vcpu_first = (u16)next,
        };
        for (; next < p->vcpu_count && p->vcpu[next].hart == h; next++)
            hart->vcpu_count++;
    }
}

static void emit_vcpus(const struct plan *p, struct metal_config *c)
{
    u32 first[METAL_PARTITIONS_MAX] = {0};

    for (u32 i = 1; i < p->partition_count; i++)
        first[i] = first[i - 1] + p->partition[i - 1].vcpu_count;
    c->vcpu_count = (u16)p->vcpu_count;
    for (u32 i = 0; i < p->vcpu_count; i++) {
        const struct plan_vcpu *v = &p->vcpu[i];

        c->vcpu[i] = (struct metal_vcpu){
            .partition = (u16)v->partition,
            .number = (u16)v->number,
            .hart = (u16)v->hart,
            .guest_file = (u16)v->guest_file,
            .priority = v->priority,
            .budget = v->budget,
            .period = v->period,
        };
        c->vcpu_of[first[v->partition] + v->number] = (u16)i;
    }
    for (u32 i = 0; i < p->partition_count; i++) {
        c->partition[i].vcpu_first = (u16)first[i];
        c->partition[i].vcpu_count = (u16)p->partition[i].vcpu_count;
    }
}

static u32 last_source(const struct plan_partition *part)
{
    u32 n = METAL_SOURCES_MAX - 1;

    while (n && !part->source[n].node)
        n--;
    return n;
}

static void emit_partitions(const struct plan *p, struct metal_config *c)
{
    const bool aia = p->board.intc == METAL_INTC_AIA;

    c->partition_count = (u16)p->partition_count;
    for (u32 i = 0; i < p->partition_count; i++) {
        const struct plan_partition *from = &p->partition[i];
        struct metal_partition *to = &c->partition[i];

        memcpy(to->name, from->name, sizeof(to->name));
        to->rights = from->rights | (from->vector ? METAL_MAY_VECTOR : 0);
        to->sources = last_source(from);
        to->vmid = i + 1;
        to->start = from->start;
        to->entry = from->entry;
        to->arg = from->arg;
        to->intc_gpa = aia ? GUEST_APLIC : GUEST_PLIC;
        to->uart_gpa = from->console ? GUEST_UART : 0;
        to->imsic_gpa = aia ? GUEST_IMSIC : 0;
        to->watchdog = from->watchdog;
        for (u32 e = 0; e < METAL_EVENTS; e++)
            to->rule[e] =
                (struct metal_rule){from->rule[e].action, from->rule[e].plan, from->rule[e].limit};
    }
}

/* The guest file of each vCPU is a region of its own. */
static u32 emit_files(struct metal_config *c, const struct plan_region *r, u32 n)
{
    const struct metal_partition *part = &c->partition[r->partition];

    for (u32 i = 0; i < part->vcpu_count; i++) {
        const struct metal_vcpu *v = &c->vcpu[c->vcpu_of[part->vcpu_first + i]];

        c->region[n++] = (struct metal_region){
            .gpa = r->gpa + i * PLAN_PAGE,
            .hpa = imsic_hpa(&c->board, c->hart[v->hart].imsic_index) + v->guest_file * PLAN_PAGE,
            .size = PLAN_PAGE,
            .flags = METAL_REGION_READ | METAL_REGION_WRITE | METAL_REGION_DEVICE,
            .partition = r->partition};
    }
    return n;
}

static void emit_regions(const struct plan *p, struct metal_config *c)
{
    u32 n = 0, next = 0;

    for (u32 part = 0; part < p->partition_count; part++) {
        c->partition[part].region_first = (u16)n;
        for (; next < p->region_count && p->region[next].partition == part; next++) {
            const struct plan_region *r = &p->region[next];

            if (r->kind == PLAN_IMSIC)
                n = emit_files(c, r, n);
            if (r->kind > PLAN_WINDOW)
                continue;
            c->region[n++] = (struct metal_region){.gpa = r->gpa,
                                                   .hpa = r->hpa,
                                                   .size = r->size,
                                                   .flags = r->flags,
                                                   .partition = part};
        }
        c->partition[part].region_count = (u16)(n - c->partition[part].region_first);
    }
    c->region_count = (u16)n;
}

static void emit_images(const struct plan *p, struct metal_config *c)
{
    c->image_count = (u16)p->image_count;
    for (u32 i = 0; i < p->image_count; i++) {
        const struct plan_image *from = &p->image[i];
        struct metal_partition *part = &c->partition[from->partition];

        c->image[i] = (struct metal_image){.offset = from->offset,
                                           .size = from->size,
                                           .gpa = from->gpa,
                                           .partition = from->partition};
        memcpy(c->image[i].sha256, from->sha256, sizeof(from->sha256));
        if (!part->image_count++)
            part->image_first = (u16)i;
    }
}

/* Where its interrupts are taken, if the hypervisor takes them. */
static u16 first_hart(const struct metal_config *c, u32 partition)
{
    return c->vcpu[c->vcpu_of[c->partition[partition].vcpu_first]].hart;
}

static void emit_irqs(const struct plan *p, struct metal_config *c)
{
    u32 n = 0;

    for (u32 board = 1; board <= p->board.sources; board++) {
        if (board == p->board.iommu_source && p->dma.iommu_count)
            c->irq[n++] = (struct metal_irq){.partition = (u16)p->dma_partition,
                                             .source = (u16)board,
                                             .hart = first_hart(c, p->dma_partition)};
        for (u32 i = 0; i < p->partition_count; i++) {
            for (u32 s = 1; s < METAL_SOURCES_MAX; s++) {
                if (p->partition[i].source[s].board_source == board)
                    c->irq[n++] = (struct metal_irq){.partition = (u16)i,
                                                     .source = (u16)board,
                                                     .virtual_source = (u16)s,
                                                     .hart = first_hart(c, i)};
            }
        }
    }
    c->irq_count = (u16)n;
}

/* In the order in which number_doorbells counted them. */
static void emit_doorbells(const struct plan *p, struct metal_config *c)
{
    u32 n = 0;

    for (u32 part = 0; part < p->partition_count; part++) {
        for (u32 i = 0; i < p->channel_count; i++) {
            const struct plan_channel *ch = &p->channel[i];

            for (u32 e = 0; e < ch->end_count; e++) {
                if (ch->end[e].partition != part || ch->end[e].doorbell == METAL_NONE)
                    continue;
                for (u32 to = e ? 0 : 1; to < (e ? 1 : ch->end_count); to++)
                    c->doorbell[n++] =
                        (struct metal_doorbell){.from = (u16)part,
                                                .to = (u16)ch->end[to].partition,
                                                .virtual_source = (u16)ch->end[to].source};
            }
        }
    }
    c->doorbell_count = (u16)n;
}

static void emit_vdevs(const struct plan *p, struct metal_config *c)
{
    c->vdev_count = (u16)p->vdev_count;
    for (u32 i = 0; i < p->vdev_count; i++) {
        const struct plan_vdev *v = &p->vdev[i];

        c->vdev[i] = (struct metal_vdev){
            .gpa = v->gpa,
            .size = v->size,
            .partition = (u16)v->partition,
            .service = (u16)v->service,
            .virtual_source = (u16)v->source,
            .service_source = (u16)v->service_source,
            .notify_offset = (u32)v->notify_offset,
        };
    }
}

static void emit_plans(const struct plan *p, struct metal_config *c)
{
    c->plan_count = (u16)p->schedule_count;
    for (u32 i = 0; i < p->schedule_count; i++) {
        const struct plan_schedule *s = &p->schedule[i];
        struct metal_plan *to = &c->plan[i];

        memcpy(to->name, s->name, sizeof(to->name));
        to->frame = s->frame;
        for (u32 h = 0; h < p->board.hart_count; h++) {
            to->window_count[h] = s->window_count[h];
            for (u32 w = 0; w < s->window_count[h]; w++)
                to->window[h][w] = (struct metal_window){.start = s->window[h][w].start,
                                                         .length = s->window[h][w].length,
                                                         .vcpu = (u16)s->window[h][w].vcpu};
        }
    }
}

void plan_emit(const struct plan *p, u64 image_bytes, struct metal_config *c)
{
    memset(c, 0, sizeof(*c));
    c->magic = METAL_MAGIC;
    c->version = METAL_VERSION;
    c->bytes = sizeof(*c);
    c->image_bytes = image_bytes;
    memcpy(c->source_sha256, p->source_sha256, sizeof(c->source_sha256));
    emit_board(p, c);
    emit_harts(p, c);
    emit_vcpus(p, c);
    emit_partitions(p, c);
    emit_regions(p, c);
    emit_images(p, c);
    emit_irqs(p, c);
    emit_doorbells(p, c);
    emit_vdevs(p, c);
    emit_plans(p, c);
}
