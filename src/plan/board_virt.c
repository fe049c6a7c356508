/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device tree of QEMU's virt (7.2, hw/riscv/virt.c), as far as a hypervisor and its partitions
 * have use for it. A test holds it against the tree that QEMU itself writes.
 */
#include "plan/board.h"

#include "base/checked.h"
#include "base/fmt.h"
#include "machine/tree.h"

#include <errno.h>
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

#define PCI_ECAM UINT64_C(0x30000000)
#define PCI_HIGH (16 * GIB) /* size of its upper window, which lies at a multiple of that */

#define ISA "rv64imafdc%sh_zicsr_zifencei_zihintpause_zba_zbb_zbc_zbs_%ssstc"

enum {
    HART_INTC = 1, /* phandles: of hart n's controller HART_INTC + n */
    INTC = 100,    /* PLIC or APLIC */
    IMSIC,
    IOMMU = 0x8000,
    PCI_IRQ = 32,
    IOMMU_IRQ = 36,
    IRQ_EDGE = 1,
    SOURCES = 96,
    IRQ_LEVEL = 4,
    IRQ_S_EXT = 9,
    IRQ_M_EXT = 11,
};

static void put_cpus(struct tree *t, const struct plan_virt *v)
{
    char isa[128];

    fmt_print(isa, sizeof(isa), ISA, v->vector ? "v" : "", v->aia ? "smaia_ssaia_" : "");
    tree_begin(t, "cpus");
    tree_cell(t, "#address-cells", 1);
    tree_cell(t, "#size-cells", 0);
    tree_cell(t, "timebase-frequency", 10000000);
    for (u32 n = 0; n < v->harts; n++) {
        tree_begin_at(t, "cpu", n);
        tree_string(t, "device_type", "cpu");
        tree_cell(t, "reg", n);
        tree_string(t, "compatible", "riscv");
        tree_string(t, "riscv,isa", v->isa ? v->isa : isa);
        tree_string(t, "mmu-type", "riscv,sv48");
        tree_begin(t, "interrupt-controller");
        tree_cell(t, "#interrupt-cells", 1);
        tree_flag(t, "interrupt-controller");
        tree_string(t, "compatible", "riscv,cpu-intc");
        tree_cell(t, "phandle", HART_INTC + n);
        tree_end(t);
        tree_end(t);
    }
    tree_end(t);
}

/* A device with one interrupt; 0: without. */
static void put_device(struct tree *t, const struct plan_virt *v, const char *name,
                       const char *compatible, const struct plan_range *reg, u32 irq)
{
    const u32 cells[2] = {irq, IRQ_LEVEL};

    tree_begin_at(t, name, reg->base);
    if (irq) {
        tree_cells(t, "interrupts", cells, v->aia ? 2 : 1);
        tree_cell(t, "interrupt-parent", INTC);
    }
    if (!strcmp(name, "serial"))
        tree_cell(t, "clock-frequency", 3686400);
    tree_reg(t, reg->base, reg->size);
    tree_strings(t, "compatible", compatible);
    tree_end(t);
}

static void put_devices(struct tree *t, const struct plan_virt *v)
{
    static const struct {
        const char *name, *compatible;
        struct plan_range reg;
        u32 irq;
    } devices[] = {
        {"rtc", "google,goldfish-rtc", {0x101000, 0x1000}, 11},
        {"serial", "ns16550a", {0x10000000, 0x100}, 10},
        {"test", "sifive,test1\nsifive,test0\nsyscon", {0x100000, 0x1000}, 0},
        {"fw-cfg", "qemu,fw-cfg-mmio", {0x10100000, 0x18}, 0},
        {"flash", "cfi-flash", {0x20000000, 0x4000000}, 0},
    };

    for (u32 i = 0; i < ARRAY_SIZE(devices); i++)
        put_device(t, v, devices[i].name, devices[i].compatible, &devices[i].reg, devices[i].irq);
    for (u32 n = 0; n < 8; n++) {
        struct plan_range reg = {0x10001000 + n * UINT64_C(0x1000), 0x1000};

        put_device(t, v, "virtio_mmio", "virtio,mmio", &reg, n + 1);
    }
}

/* Pins are swizzled by slot. */
static void put_pci_lines(struct tree *t, const struct plan_virt *v)
{
    const u32 mask[] = {3 << 11, 0, 0, 7};
    u32 cells[16 * 7], n = 0;

    for (u32 slot = 0; slot < 4; slot++) {
        for (u32 pin = 0; pin < 4; pin++) {
            const u32 line[] = {slot << 11, 0, 0, pin + 1, INTC, PCI_IRQ + (slot + pin) % 4,
                                IRQ_LEVEL};

            memcpy(cells + n, line, sizeof(line));
            n += v->aia ? 7 : 6;
        }
    }
    tree_cells(t, "interrupt-map-mask", mask, ARRAY_SIZE(mask));
    tree_cells(t, "interrupt-map", cells, n);
}

static void put_pci(struct tree *t, const struct plan_virt *v)
{
    const u64 high = align_up(0x80000000 + v->memory, PCI_HIGH);
    const u32 top = (u32)(high >> 32);
    const u32 ranges[] = {0x1000000, 0,          0,         0,          0x3000000,
                          0,         0x10000,    0x2000000, 0,          0x40000000,
                          0,         0x40000000, 0,         0x40000000, 0x3000000,
                          top,       (u32)high,  top,       (u32)high,  PCI_HIGH >> 32,
                          0};
    const u32 buses[] = {0, 255}, all[] = {0, IOMMU, 0, 0x10000};

    tree_begin_at(t, "pci", PCI_ECAM);
    tree_string(t, "compatible", "pci-host-ecam-generic");
    tree_string(t, "device_type", "pci");
    tree_cell(t, "#address-cells", 3);
    tree_cell(t, "#size-cells", 2);
    tree_cell(t, "#interrupt-cells", 1);
    tree_cell(t, "linux,pci-domain", 0);
    tree_flag(t, "dma-coherent");
    tree_cells(t, "bus-range", buses, 2);
    tree_reg(t, PCI_ECAM, 256 * MIB);
    tree_cells(t, "ranges", ranges, ARRAY_SIZE(ranges));
    put_pci_lines(t, v);
    if (v->iommu)
        tree_cells(t, "iommu-map", all, ARRAY_SIZE(all));
    tree_end(t);
}

/* Four wires, of which the hypervisor lets it use the first alone. With a PLIC, too, QEMU gives
 * each a type. */
static void put_iommu(struct tree *t)
{
    u32 cells[8];

    for (u32 i = 0; i < 4; i++) {
        cells[2 * i] = IOMMU_IRQ + i;
        cells[2 * i + 1] = IRQ_EDGE;
    }
    tree_begin_at(t, "iommu", 0x3010000);
    tree_string(t, "compatible", "riscv,iommu");
    tree_cell(t, "#iommu-cells", 1);
    tree_cell(t, "phandle", IOMMU);
    tree_reg(t, 0x3010000, 0x1000);
    tree_cell(t, "interrupt-parent", INTC);
    tree_cells(t, "interrupts", cells, ARRAY_SIZE(cells));
    tree_end(t);
}

static void put_hart_irqs(struct tree *t, const struct plan_virt *v, bool machine_too)
{
    u32 cells[4 * METAL_HARTS_MAX], n = 0;

    for (u32 hart = 0; hart < v->harts; hart++) {
        if (machine_too) {
            cells[n++] = HART_INTC + hart;
            cells[n++] = IRQ_M_EXT;
        }
        cells[n++] = HART_INTC + hart;
        cells[n++] = IRQ_S_EXT;
    }
    tree_cells(t, "interrupts-extended", cells, n);
}

static void put_plic(struct tree *t, const struct plan_virt *v)
{
    tree_begin_at(t, "plic", 0xc000000);
    tree_cell(t, "phandle", INTC);
    tree_cell(t, "riscv,ndev", SOURCES);
    tree_reg(t, 0xc000000, 0x600000);
    put_hart_irqs(t, v, true);
    tree_flag(t, "interrupt-controller");
    tree_strings(t, "compatible", "sifive,plic-1.0.0\nriscv,plic0");
    tree_cell(t, "#interrupt-cells", 1);
    tree_end(t);
}

/* A hart has 1 + guests files, rounded up to a power of two. */
static u32 guest_bits(u32 guests)
{
    u32 bits = 0;

    while (1u << bits < guests + 1)
        bits++;
    return bits;
}

static void put_aia(struct tree *t, const struct plan_virt *v)
{
    tree_begin_at(t, "aplic", 0xd000000);
    tree_cell(t, "phandle", INTC);
    tree_cell(t, "riscv,num-sources", SOURCES);
    tree_reg(t, 0xd000000, 0x8000);
    tree_cell(t, "msi-parent", IMSIC);
    tree_flag(t, "interrupt-controller");
    tree_cell(t, "#interrupt-cells", 2);
    tree_string(t, "compatible", "riscv,aplic");
    tree_end(t);
    tree_begin_at(t, "imsics", 0x28000000);
    tree_cell(t, "phandle", IMSIC);
    tree_cell(t, "riscv,guest-index-bits", guest_bits(v->aia_guests));
    tree_cell(t, "riscv,num-ids", 255);
    tree_reg(t, 0x28000000, (u64)v->harts << guest_bits(v->aia_guests) << 12);
    put_hart_irqs(t, v, false);
    tree_flag(t, "msi-controller");
    tree_flag(t, "interrupt-controller");
    tree_cell(t, "#interrupt-cells", 0);
    tree_string(t, "compatible", "riscv,imsics");
    tree_end(t);
}

static void put_all(struct tree *t, const struct plan_virt *v)
{
    tree_begin(t, "");
    tree_cell(t, "#address-cells", 2);
    tree_cell(t, "#size-cells", 2);
    tree_string(t, "compatible", "riscv-virtio");
    tree_begin(t, "chosen");
    tree_string(t, "stdout-path", "/soc/serial@10000000");
    tree_end(t);
    tree_begin_at(t, "memory", 0x80000000);
    tree_string(t, "device_type", "memory");
    tree_reg(t, 0x80000000, v->memory);
    tree_end(t);
    put_cpus(t, v);
    tree_begin(t, "soc");
    tree_cell(t, "#address-cells", 2);
    tree_cell(t, "#size-cells", 2);
    tree_string(t, "compatible", "simple-bus");
    tree_flag(t, "ranges");
    put_devices(t, v);
    put_pci(t, v);
    if (v->iommu)
        put_iommu(t);
    if (v->aia)
        put_aia(t, v);
    else
        put_plic(t, v);
    tree_end(t);
    tree_end(t);
}

int plan_board_virt(const struct plan_virt *v, void **fdt, size_t *size, struct err *err)
{
    const size_t isa = v->isa ? strlen(v->isa) : 128;
    const size_t room = 16 * KIB + v->harts * (512 + isa);
    struct tree t = {.fdt = malloc(room)};

    if (!t.fdt)
        return err_set(err, ENOMEM, "no memory for the board's device tree");
    tree_do(&t, fdt_create(t.fdt, (int)room));
    tree_do(&t, fdt_finish_reservemap(t.fdt));
    put_all(&t, v);
    tree_do(&t, fdt_finish(t.fdt));
    if (t.error) {
        free(t.fdt);
        return err_set(err, ENOSPC, "the board's device tree cannot be made: %s",
                       fdt_strerror(t.error));
    }
    *fdt = t.fdt;
    *size = fdt_totalsize(t.fdt);
    return 0;
}
