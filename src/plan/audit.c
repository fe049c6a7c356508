/* SPDX-License-Identifier: BSD-2-Clause */
/* The rules of a finished configuration. */
#include "plan/audit.h"

#include "base/checked.h"

#define PAGE      UINT64_C(4096)
#define GPA_LIMIT (UINT64_C(1) << 41) /* Sv39x4 */
#define HPA_LIMIT (UINT64_C(1) << 56)

/* --- Counts and indices --- */

static bool is_slice(u32 first, u32 count, u32 of)
{
    return first <= of && count <= of - first;
}

static bool harts_are_counted(const struct metal_config *c)
{
    for (u32 h = 0; h < c->board.hart_count; h++) {
        const struct metal_hart *hart = &c->hart[h];

        if (!is_slice(hart->vcpu_first, hart->vcpu_count, c->vcpu_count))
            return false;
    }
    return true;
}

static bool rules_are_counted(const struct metal_config *c, const struct metal_partition *part)
{
    for (u32 e = 0; e < METAL_EVENTS; e++) {
        const struct metal_rule *r = &part->rule[e];

        if (r->action > METAL_ACTION_HALT ||
            (r->action == METAL_ACTION_PLAN && r->plan >= c->plan_count))
            return false;
    }
    return true;
}

static bool partitions_are_counted(const struct metal_config *c)
{
    for (u32 i = 0; i < c->partition_count; i++) {
        const struct metal_partition *part = &c->partition[i];

        if (!is_slice(part->vcpu_first, part->vcpu_count, c->vcpu_count) || !part->vcpu_count ||
            !is_slice(part->region_first, part->region_count, c->region_count) ||
            !is_slice(part->image_first, part->image_count, c->image_count) ||
            part->sources >= METAL_SOURCES_MAX || part->vmid != i + 1 ||
            !rules_are_counted(c, part))
            return false;
    }
    return true;
}

static bool tables_are_counted(const struct metal_config *c)
{
    return c->board.hart_count <= METAL_HARTS_MAX && c->partition_count <= METAL_PARTITIONS_MAX &&
           c->vcpu_count <= METAL_VCPUS_MAX && c->region_count <= METAL_REGIONS_MAX &&
           c->image_count <= METAL_IMAGES_MAX && c->irq_count <= METAL_IRQS_MAX &&
           c->doorbell_count <= METAL_DOORBELLS_MAX && c->vdev_count <= METAL_VDEVS_MAX &&
           c->plan_count <= METAL_PLANS_MAX && (!c->plan_count || c->plan_first < c->plan_count);
}

static bool board_is_sane(const struct metal_board *b)
{
    return range_within(b->ram_hpa, b->ram_size, 0, HPA_LIMIT) &&
           range_within(b->self_hpa, b->self_size, b->ram_hpa, b->ram_size) &&
           range_within(b->uart_hpa, PAGE, 0, HPA_LIMIT) &&
           range_within(b->iommu_hpa, PAGE, 0, HPA_LIMIT) &&
           range_within(b->sswi_hpa, PAGE, 0, HPA_LIMIT) &&
           range_within(b->plic_hpa, b->plic_size, 0, HPA_LIMIT) &&
           range_within(b->aplic_hpa, b->aplic_size, 0, HPA_LIMIT);
}

/* What the IOMMU is told: whose devices are, and which ids they have. */
static bool devices_have_one_owner(const struct metal_config *c)
{
    const struct metal_board *b = &c->board;

    if (b->dma_partition == METAL_NONE)
        return !b->iommu_count;
    return b->dma_partition < c->partition_count && !(b->iommu_count & (b->iommu_count - 1)) &&
           (!b->iommu_count || !(b->iommu_first & (b->iommu_count - 1)));
}

const char *audit_counts(const struct metal_config *c)
{
    if (!board_is_sane(&c->board))
        return "the board's ranges wrap, or the hypervisor lies outside of its memory";
    if (!devices_have_one_owner(c))
        return "devices with DMA have no owner, or ids that are no power of two";
    if (!tables_are_counted(c) || !harts_are_counted(c) || !partitions_are_counted(c))
        return "a count or an index is beyond its table";
    return NULL;
}

/* --- Regions --- */

static bool is_region(const struct metal_region *r)
{
    return r->size && !((r->gpa | r->hpa | r->size) % PAGE) &&
           range_within(r->gpa, r->size, 0, GPA_LIMIT) &&
           range_within(r->hpa, r->size, 0, HPA_LIMIT);
}

/* What the hypervisor maps of itself (metal/paging.c): large pages behind its first 2 MiB. */
static u64 self_size(const struct metal_board *b)
{
    return b->self_size > 2 * MIB ? align_up(b->self_size, 2 * MIB) : b->self_size;
}

static bool is_kept(const struct metal_config *c, const struct metal_region *r)
{
    const struct metal_board *b = &c->board;

    if (range_overlaps(r->hpa, r->size, b->self_hpa, self_size(b)) ||
        range_overlaps(r->hpa, r->size, b->uart_hpa, b->uart_hpa ? PAGE : 0) ||
        range_overlaps(r->hpa, r->size, b->iommu_hpa, b->iommu_hpa ? PAGE : 0))
        return true;
    if (b->intc == METAL_INTC_PLIC)
        return range_overlaps(r->hpa, r->size, b->plic_hpa, b->plic_size) ||
               range_overlaps(r->hpa, r->size, b->sswi_hpa, b->sswi_hpa ? PAGE : 0);
    for (u32 h = 0; h < b->hart_count; h++) {
        if (range_overlaps(r->hpa, r->size, imsic_hpa(b, c->hart[h].imsic_index), PAGE))
            return true;
    }
    return range_overlaps(r->hpa, r->size, b->aplic_hpa, b->aplic_size);
}

static bool is_served(const struct metal_config *c, u32 service, u32 driver)
{
    for (u32 i = 0; i < c->vdev_count; i++) {
        if (c->vdev[i].service == service && c->vdev[i].partition == driver)
            return true;
    }
    return false;
}

/* The ends of a channel, or memory and a service's window onto it: the same piece, whole. */
static bool is_declared(const struct metal_config *c, const struct metal_region *a,
                        const struct metal_region *b)
{
    bool first = a->flags & METAL_REGION_SHARED, second = b->flags & METAL_REGION_SHARED;

    if (a->hpa != b->hpa || a->size != b->size || a->partition == b->partition)
        return false;
    if (first && second)
        return true;
    return (first && is_served(c, a->partition, b->partition)) ||
           (second && is_served(c, b->partition, a->partition));
}

static bool is_apart(const struct metal_config *c, const struct metal_region *a,
                     const struct metal_region *b)
{
    if (a->partition == b->partition && range_overlaps(a->gpa, a->size, b->gpa, b->size))
        return false;
    return !range_overlaps(a->hpa, a->size, b->hpa, b->size) || is_declared(c, a, b);
}

static const char *audit_region(const struct metal_config *c, u32 index)
{
    const struct metal_region *r = &c->region[index];
    const struct metal_board *b = &c->board;

    if (!is_region(r))
        return "a region has no size, or is not of pages, or leaves the address space";
    if (r->flags & METAL_REGION_DEVICE ? range_overlaps(r->hpa, r->size, b->ram_hpa, b->ram_size)
                                       : !range_within(r->hpa, r->size, b->ram_hpa, b->ram_size))
        return "memory lies outside of the board's, or a device in it";
    if (r->flags & METAL_REGION_EXEC && r->flags & (METAL_REGION_DEVICE | METAL_REGION_SHARED))
        return "a device or shared memory is executable";
    if (is_kept(c, r))
        return "a region meets the hypervisor, or a device that it keeps to itself";
    for (u32 j = 0; j < index; j++) {
        if (!is_apart(c, r, &c->region[j]))
            return "two regions meet that are no channel's or window's";
    }
    return NULL;
}

static bool region_is_its_partitions(const struct metal_config *c, u32 index)
{
    u32 owner = c->region[index].partition;

    return owner < c->partition_count && index >= c->partition[owner].region_first &&
           index - c->partition[owner].region_first < c->partition[owner].region_count;
}

const char *audit_regions(const struct metal_config *c)
{
    u32 count = 0;

    for (u32 i = 0; i < c->partition_count; i++)
        count += c->partition[i].region_count;
    if (count != c->region_count)
        return "a region has no partition";
    for (u32 i = 0; i < c->region_count; i++) {
        const char *wrong =
            region_is_its_partitions(c, i) ? audit_region(c, i) : "a region is in another's list";
        if (wrong)
            return wrong;
    }
    return NULL;
}

/* --- Time --- */

static bool windows_are_right(const struct metal_config *c, const struct metal_plan *plan, u32 hart)
{
    const struct metal_hart *h = &c->hart[hart];
    u64 end = 0;

    for (u32 i = 0; i < plan->window_count[hart]; i++) {
        const struct metal_window *w = &plan->window[hart][i];

        if (!w->length || w->start < end || !range_within(w->start, w->length, 0, plan->frame))
            return false;
        if (w->vcpu < h->vcpu_first || w->vcpu - h->vcpu_first >= h->vcpu_count)
            return false;
        end = w->start + w->length;
    }
    return !plan->window_count[hart] || h->mode == METAL_HART_CYCLIC;
}

const char *audit_windows(const struct metal_config *c)
{
    for (u32 p = 0; p < c->plan_count; p++) {
        const struct metal_plan *plan = &c->plan[p];

        if (!plan->frame || plan->frame >> 62)
            return "a plan has no frame, or one beyond 2^62 ticks";
        for (u32 h = 0; h < c->board.hart_count; h++) {
            if (plan->window_count[h] > METAL_WINDOWS_MAX || !windows_are_right(c, plan, h))
                return "windows are out of order, beyond their frame, or of another hart's vCPUs";
        }
    }
    return NULL;
}

/* In parts of 2^32, rounded down as the compiler does. */
static u64 share(const struct metal_vcpu *v)
{
    return v->budget ? (u64)(((u128)v->budget << 32) / v->period) : 0;
}

static const char *audit_hart(const struct metal_config *c, u32 hart, u32 *next)
{
    const struct metal_hart *h = &c->hart[hart];
    u64 sum = 0;

    if (h->vcpu_first != *next || h->mode > METAL_HART_PRIORITY ||
        (h->mode == METAL_HART_UNUSED) != !h->vcpu_count ||
        (h->mode == METAL_HART_EXCLUSIVE && h->vcpu_count != 1))
        return "a hart has not the vCPUs of its mode";
    if (h->mode == METAL_HART_CYCLIC && !c->plan_count)
        return "a cyclic hart has no plan";
    *next += h->vcpu_count;
    for (u32 i = h->vcpu_first; i < *next; i++) {
        const struct metal_vcpu *v = &c->vcpu[i];

        if (v->hart != hart)
            return "a vCPU is on another hart than its place says";
        if (v->budget > v->period)
            return "a budget is above its period";
        sum += share(v);
    }
    return sum >> 32 > 1 || (sum >> 32 && (u32)sum) ? "budgets are above their hart's time" : NULL;
}

static bool vcpus_are_numbered(const struct metal_config *c, u32 partition)
{
    const struct metal_partition *part = &c->partition[partition];

    for (u32 n = 0; n < part->vcpu_count; n++) {
        u32 index = c->vcpu_of[part->vcpu_first + n];

        if (index >= c->vcpu_count || c->vcpu[index].partition != partition ||
            c->vcpu[index].number != n)
            return false;
    }
    return true;
}

const char *audit_vcpus(const struct metal_config *c)
{
    u32 next = 0, owned = 0;

    for (u32 h = 0; h < c->board.hart_count; h++) {
        const char *wrong = audit_hart(c, h, &next);

        if (wrong)
            return wrong;
    }
    for (u32 p = 0; p < c->partition_count; p++) {
        owned += c->partition[p].vcpu_count;
        if (!vcpus_are_numbered(c, p))
            return "a partition's vCPUs are not those that the table gives it";
    }
    return next != c->vcpu_count || owned != next ? "a vCPU has no hart or no partition" : NULL;
}

/* --- Images, interrupts --- */

static bool is_loadable(const struct metal_config *c, const struct metal_image *m)
{
    const struct metal_partition *part = &c->partition[m->partition];

    for (u32 i = 0; i < part->region_count; i++) {
        const struct metal_region *r = &c->region[part->region_first + i];

        if (r->flags & METAL_REGION_EXEC && range_within(m->gpa, m->size, r->gpa, r->size))
            return true;
    }
    return false;
}

const char *audit_images(const struct metal_config *c)
{
    for (u32 i = 0; i < c->image_count; i++) {
        const struct metal_image *m = &c->image[i];

        if (m->partition >= c->partition_count || m->offset % 8 || m->gpa % 8 ||
            !range_within(m->offset, m->size, 0, c->image_bytes))
            return "an image is not in cosm-metal.bin, or nobody's";
        if (!is_loadable(c, m))
            return "an image is not in executable memory of its partition";
    }
    return NULL;
}

static bool is_source(const struct metal_config *c, u32 partition, u32 source)
{
    return partition < c->partition_count && source && source <= c->partition[partition].sources;
}

const char *audit_interrupts(const struct metal_config *c)
{
    for (u32 i = 0; i < c->irq_count; i++) {
        const struct metal_irq *irq = &c->irq[i];

        bool own = c->board.iommu_hpa && !irq->virtual_source &&
                   irq->partition == c->board.dma_partition; /* the hypervisor's, of the IOMMU */

        if (!irq->source || irq->source > c->board.sources || irq->hart >= c->board.hart_count ||
            (i && irq->source <= c->irq[i - 1].source) ||
            !(own || is_source(c, irq->partition, irq->virtual_source)))
            return "an interrupt of the board is nobody's, or two's";
    }
    for (u32 i = 0; i < c->doorbell_count; i++) {
        const struct metal_doorbell *d = &c->doorbell[i];

        if (d->from >= c->partition_count || (i && d->from < c->doorbell[i - 1].from) ||
            d->from == d->to || !is_source(c, d->to, d->virtual_source))
            return "a doorbell rings nobody";
    }
    for (u32 i = 0; i < c->vdev_count; i++) {
        const struct metal_vdev *v = &c->vdev[i];

        if (v->partition == v->service || !is_source(c, v->partition, v->virtual_source) ||
            !is_source(c, v->service, v->service_source))
            return "a virtual device rings nobody";
    }
    return NULL;
}

const char *audit_config(const struct metal_config *c)
{
    static const char *(*const rules[])(const struct metal_config *) = {
        audit_counts, audit_regions, audit_windows, audit_vcpus, audit_images, audit_interrupts,
    };
    const char *wrong = NULL;

    for (u32 i = 0; i < ARRAY_SIZE(rules) && !wrong; i++)
        wrong = rules[i](c);
    return wrong;
}
