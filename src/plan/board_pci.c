/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A board's IOMMU (binding riscv,iommu), which devices are behind it, and its PCI hosts (IEEE 1275
 * PCI bus binding; pci-host-ecam-generic, pci-iommu of Linux's bindings).
 */
#include "plan/board_pci.h"

#include "base/bits.h"
#include "base/checked.h"
#include "plan/dt.h"

#include <errno.h>
#include <libfdt.h>

#define IO_MAX (64 * GIB) /* what the hypervisor maps of registers; metal/paging.h */

void board_iommu_read(struct plan_board *b)
{
    int node;

    DT_EACH(b->fdt, node)
    {
        if (b->iommu.size || fdt_node_check_compatible(b->fdt, node, "riscv,iommu") ||
            !dt_is_okay(b->fdt, node) || !dt_reg(b->fdt, node, 0, &b->iommu.base, &b->iommu.size) ||
            b->iommu.base >= IO_MAX)
            continue; /* one that is a PCI device has no such registers */
        b->iommu_phandle = fdt_get_phandle(b->fdt, node);
        if (dt_cell(b->fdt, node, "interrupt-parent", 0, b->intc_phandle) == b->intc_phandle)
            b->iommu_source = dt_cell(b->fdt, node, "interrupts", 0, 0);
        if (b->iommu_source > b->sources)
            b->iommu_source = 0;
    }
}

/* As many ids of requesters as buses have: all of them go to the IOMMU, or it holds nothing. */
static void read_iommu_map(const struct plan_board *b, struct plan_device *d)
{
    const void *fdt = b->fdt;
    u64 from = (u64)dt_cell(fdt, d->node, "bus-range", 0, 0) << 8;
    u64 end = ((u64)dt_cell(fdt, d->node, "bus-range", 1, 255) + 1) << 8;
    u32 first = dt_cell(fdt, d->node, "iommu-map", 0, 0);
    u32 base = dt_cell(fdt, d->node, "iommu-map", 2, 0);
    u32 count = dt_cell(fdt, d->node, "iommu-map", 3, 0);

    if (dt_cell(fdt, d->node, "iommu-map", 1, 0) != b->iommu_phandle || from < first ||
        end > (u64)first + count || from >= end ||
        fdt_getprop(fdt, d->node, "iommu-map-mask", NULL))
        return;
    d->iommu_first = (u32)(from - first + base);
    d->iommu_count = (u32)(end - from);
}

void board_behind_iommu(const struct plan_board *b, struct plan_device *d)
{
    int len = 0;

    if (!b->iommu_phandle)
        return;
    if (d->is_pci) {
        read_iommu_map(b, d);
    } else if (fdt_getprop(b->fdt, d->node, "iommus", &len) && len == 8 &&
               dt_cell(b->fdt, d->node, "iommus", 0, 0) == b->iommu_phandle) {
        d->iommu_first = dt_cell(b->fdt, d->node, "iommus", 1, 0);
        d->iommu_count = 1;
    }
    /* The hypervisor's directory has one page for all ids, and ids of 24 bits. */
    if (d->iommu_count & (d->iommu_count - 1) ||
        (d->iommu_count && d->iommu_first % d->iommu_count) || d->iommu_first >= BIT(24))
        d->iommu_count = 0;
}

bool board_pci_line(const struct plan_board *b, int node, u32 index, struct board_line *line)
{
    const void *fdt = b->fdt;
    int intc = fdt_node_offset_by_phandle(fdt, b->intc_phandle), len = 0;
    u32 above = intc < 0 ? 0 : dt_cell(fdt, intc, "#address-cells", 0, 0);
    u32 step = PCI_CHILD_CELLS + 1 + above + b->intc_cells, at = index * step;

    if (!fdt_getprop(fdt, node, "interrupt-map", &len) || above > 2 || at + step > (u32)len / 4)
        return false;
    for (u32 i = 0; i < PCI_CHILD_CELLS; i++)
        line->child[i] = dt_cell(fdt, node, "interrupt-map", at + i, 0);
    line->parent = dt_cell(fdt, node, "interrupt-map", at + PCI_CHILD_CELLS, 0);
    at += PCI_CHILD_CELLS + 1 + above;
    line->irq.source = dt_cell(fdt, node, "interrupt-map", at, 0);
    line->irq.type = b->intc_cells > 1 ? dt_cell(fdt, node, "interrupt-map", at + 1, 0) : 0;
    return true;
}

static int read_lines(const struct plan_board *b, struct plan_device *d, struct err *err)
{
    struct board_line line;

    for (u32 i = 0; board_pci_line(b, d->node, i, &line); i++) {
        u32 known = 0;

        while (known < d->irq_count && d->irq[known].source != line.irq.source)
            known++;
        if (line.parent != b->intc_phandle || !line.irq.source || line.irq.source > b->sources)
            return err_set(err, EINVAL,
                           "'%s' has an interrupt that does not come from the board's controller",
                           d->name);
        if (known == BOARD_IRQS)
            return err_set(err, EINVAL, "'%s' has more than %u interrupts", d->name, BOARD_IRQS);
        d->irq[known] = line.irq;
        d->irq_count += known == d->irq_count;
    }
    return 0;
}

/* Where its devices' registers appear: "ranges", of three cells of PCI's, two of the board's, two
 * of size. */
static int read_windows(const struct plan_board *b, struct plan_device *d, struct err *err)
{
    const u32 above = (u32)fdt_address_cells(b->fdt, fdt_parent_offset(b->fdt, d->node));
    const u32 step = 3 + above + 2;
    int len = 0;

    if (!fdt_getprop(b->fdt, d->node, "ranges", &len) || above != 2)
        return err_set(err, EINVAL, "'%s' has no ranges with addresses of two cells", d->name);
    for (u32 at = 0; at + step <= (u32)len / 4; at += step) {
        struct plan_range *r = &d->range[d->range_count];

        if (d->range_count == BOARD_RANGES)
            return err_set(err, EINVAL, "'%s' has more than %u ranges", d->name, BOARD_RANGES - 1);
        *r = (struct plan_range){dt_u64(b->fdt, d->node, "ranges", at + 3),
                                 dt_u64(b->fdt, d->node, "ranges", at + 5)};
        if (r->base + r->size < r->base ||
            range_overlaps(r->base, r->size, b->ram.base, b->ram.size))
            return err_set(err, EINVAL, "'%s' has a range at 0x%llx that overlaps memory", d->name,
                           (unsigned long long)r->base);
        d->range_count++;
    }
    return 0;
}

int board_pci_read(const struct plan_board *b, struct plan_device *d, struct err *err)
{
    int r;

    if (fdt_node_check_compatible(b->fdt, d->node, "pci-host-ecam-generic") ||
        fdt_address_cells(b->fdt, d->node) != 3 || fdt_size_cells(b->fdt, d->node) != 2)
        return err_set(err, EINVAL,
                       "'%s' is a bus with an interrupt map that is no PCI host of the kind "
                       "pci-host-ecam-generic, and cannot be given to a partition",
                       d->name);
    d->is_pci = true;
    d->range_count = 1; /* of its own registers; further ones are unknown */
    if (d->range[0].base + MIB > IO_MAX || d->range[0].size < MIB)
        return err_set(err, EINVAL, "'%s' has its configuration space beyond 64G, or not whole",
                       d->name);
    r = read_windows(b, d, err);
    return r ? r : read_lines(b, d, err);
}
