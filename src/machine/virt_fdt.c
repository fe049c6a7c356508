/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virt board's device tree, written front to back with libfdt's sequential calls.
 *
 * Nodes, names and properties are those of QEMU's machine; docs/device-tree.md lists each
 * difference with its reason, and a test holds that table against both trees. Phandles follow
 * QEMU's order of allocation too, so that the two trees compare as they stand.
 */
#include "machine/virt_fdt.h"

#include "base/fmt.h"
#include "base/mem.h"
#include "machine/tree.h"
#include "machine/virt_map.h"

#include <errno.h>
#include <libfdt.h>

/* A board's tree in the making. */
struct board_tree {
    struct tree tree;
    const struct machine_config *config;
};

/* Phandles as QEMU hands them out: the last hart first, its cpu node before its controller. */
static u32 phandle_cpu(const struct board_tree *t, u32 hart)
{
    return 1 + 2 * (t->config->hart_count - 1 - hart);
}

static u32 phandle_intc(const struct board_tree *t, u32 hart)
{
    return phandle_cpu(t, hart) + 1;
}

static u32 phandle_plic(const struct board_tree *t)
{
    return 2 * t->config->hart_count + 1;
}

static u32 phandle_test(const struct board_tree *t)
{
    return phandle_plic(t) + 1;
}

static void prop_irq(struct board_tree *t, u32 irq)
{
    tree_cell(&t->tree, "interrupts", irq);
    tree_cell(&t->tree, "interrupt-parent", phandle_plic(t));
}

/* For each hart: its controller with line first, then with line second. */
static void prop_hart_irqs(struct board_tree *t, u32 first, u32 second)
{
    u32 cells[4 * MACHINE_HARTS_MAX];
    u32 n = 0;

    for (u32 hart = 0; hart < t->config->hart_count; hart++) {
        cells[n++] = phandle_intc(t, hart);
        cells[n++] = first;
        cells[n++] = phandle_intc(t, hart);
        cells[n++] = second;
    }
    tree_cells(&t->tree, "interrupts-extended", cells, n);
}

static void put_block_size(struct board_tree *t, const char *name, u32 bytes)
{
    if (bytes)
        tree_cell(&t->tree, name, bytes);
}

static void put_cpu(struct board_tree *t, u32 hart)
{
    const struct machine_config *c = t->config;

    tree_begin_at(&t->tree, "cpu", hart);
    tree_cell(&t->tree, "phandle", phandle_cpu(t, hart));
    tree_string(&t->tree, "device_type", "cpu");
    tree_cell(&t->tree, "reg", hart);
    tree_string(&t->tree, "status", "okay");
    tree_string(&t->tree, "compatible", "riscv");
    tree_string(&t->tree, "riscv,isa", c->isa);
    tree_string(&t->tree, "riscv,isa-base", "rv64i");
    tree_strings(&t->tree, "riscv,isa-extensions", c->isa_extensions);
    tree_string(&t->tree, "mmu-type", c->mmu_type);
    put_block_size(t, "riscv,cbom-block-size", c->cbom_block);
    put_block_size(t, "riscv,cboz-block-size", c->cboz_block);
    put_block_size(t, "riscv,cbop-block-size", c->cbop_block);
    tree_begin(&t->tree, "interrupt-controller");
    tree_cell(&t->tree, "#interrupt-cells", 1);
    tree_flag(&t->tree, "interrupt-controller");
    tree_string(&t->tree, "compatible", "riscv,cpu-intc");
    tree_cell(&t->tree, "phandle", phandle_intc(t, hart));
    tree_end(&t->tree);
    tree_end(&t->tree);
}

static void put_cpus(struct board_tree *t)
{
    char name[16];

    tree_begin(&t->tree, "cpus");
    tree_cell(&t->tree, "#address-cells", 1);
    tree_cell(&t->tree, "#size-cells", 0);
    tree_cell(&t->tree, "timebase-frequency", (u32)MACHINE_TIMEBASE_HZ);
    for (u32 hart = 0; hart < t->config->hart_count; hart++)
        put_cpu(t, hart);
    tree_begin(&t->tree, "cpu-map");
    tree_begin(&t->tree, "cluster0");
    for (u32 hart = 0; hart < t->config->hart_count; hart++) {
        fmt_print(name, sizeof(name), "core%u", hart);
        tree_begin(&t->tree, name);
        tree_cell(&t->tree, "cpu", phandle_cpu(t, hart));
        tree_end(&t->tree);
    }
    tree_end(&t->tree);
    tree_end(&t->tree);
    tree_end(&t->tree);
}

static void put_chosen(struct board_tree *t, const u8 seed[VIRT_RNG_SEED_SIZE])
{
    const struct machine_config *c = t->config;

    tree_begin(&t->tree, "chosen");
    tree_string(&t->tree, "stdout-path", "/soc/serial@10000000");
    if (c->bootargs && c->bootargs[0])
        tree_string(&t->tree, "bootargs", c->bootargs);
    if (c->initrd_size) {
        tree_u64(&t->tree, "linux,initrd-start", c->initrd);
        tree_u64(&t->tree, "linux,initrd-end", c->initrd + c->initrd_size);
    }
    tree_bytes(&t->tree, "rng-seed", seed, VIRT_RNG_SEED_SIZE);
    tree_end(&t->tree);
}

static void put_syscon(struct board_tree *t, const char *name, const char *compatible, u32 value)
{
    tree_begin(&t->tree, name);
    tree_cell(&t->tree, "value", value);
    tree_cell(&t->tree, "offset", 0);
    tree_cell(&t->tree, "regmap", phandle_test(t));
    tree_string(&t->tree, "compatible", compatible);
    tree_end(&t->tree);
}

/* What U-Boot heeds: doc/device-tree-bindings/config.txt there. */
static void put_config(struct board_tree *t)
{
    if (!t->config->boot_delay)
        return;
    tree_begin(&t->tree, "config");
    tree_cell(&t->tree, "bootdelay", t->config->boot_delay - 1);
    tree_end(&t->tree);
}

static void put_memory(struct board_tree *t)
{
    tree_begin_at(&t->tree, "memory", VIRT_RAM_BASE);
    tree_string(&t->tree, "device_type", "memory");
    tree_reg(&t->tree, VIRT_RAM_BASE, t->config->ram_size);
    tree_end(&t->tree);
}

static void put_fw_cfg(struct board_tree *t)
{
    tree_begin_at(&t->tree, "fw-cfg", VIRT_FW_CFG_BASE);
    tree_flag(&t->tree, "dma-coherent");
    tree_reg(&t->tree, VIRT_FW_CFG_BASE, VIRT_FW_CFG_SIZE);
    tree_string(&t->tree, "compatible", "qemu,fw-cfg-mmio");
    tree_end(&t->tree);
}

static void put_flash(struct board_tree *t)
{
    const u32 size = (u32)MACHINE_FLASH_SIZE, base = (u32)VIRT_FLASH_BASE;
    const u32 reg[] = {0, base, 0, size, 0, base + size, 0, size};

    tree_begin_at(&t->tree, "flash", VIRT_FLASH_BASE);
    tree_cell(&t->tree, "bank-width", 4);
    tree_cells(&t->tree, "reg", reg, ARRAY_SIZE(reg));
    tree_string(&t->tree, "compatible", "cfi-flash");
    tree_end(&t->tree);
}

static void put_rtc_and_uart(struct board_tree *t)
{
    tree_begin_at(&t->tree, "rtc", VIRT_RTC_BASE);
    prop_irq(t, VIRT_IRQ_RTC);
    tree_reg(&t->tree, VIRT_RTC_BASE, VIRT_RTC_SIZE);
    tree_string(&t->tree, "compatible", "google,goldfish-rtc");
    tree_end(&t->tree);
    tree_begin_at(&t->tree, "serial", VIRT_UART_BASE);
    prop_irq(t, VIRT_IRQ_UART);
    tree_cell(&t->tree, "clock-frequency", VIRT_UART_CLOCK);
    tree_reg(&t->tree, VIRT_UART_BASE, VIRT_UART_SIZE);
    tree_string(&t->tree, "compatible", "ns16550a");
    tree_end(&t->tree);
}

static void put_test(struct board_tree *t)
{
    tree_begin_at(&t->tree, "test", VIRT_TEST_BASE);
    tree_cell(&t->tree, "phandle", phandle_test(t));
    tree_reg(&t->tree, VIRT_TEST_BASE, VIRT_TEST_SIZE);
    tree_strings(&t->tree, "compatible", "sifive,test1\nsifive,test0\nsyscon");
    tree_end(&t->tree);
}

/* INTx of device d, pin p arrives at line (d + p) % 4: the PCI-to-PCI bridge swizzle. */
static void put_pcie_interrupt_map(struct board_tree *t)
{
    const u32 mask[] = {3 << 11, 0, 0, 7};
    u32 map[16 * 6], n = 0;

    for (u32 dev = 0; dev < 4; dev++) {
        for (u32 pin = 0; pin < 4; pin++) {
            const u32 entry[] = {
                dev << 11, 0, 0, pin + 1, phandle_plic(t), VIRT_IRQ_PCIE + (dev + pin) % 4};
            memcpy(&map[n], entry, sizeof(entry));
            n += ARRAY_SIZE(entry);
        }
    }
    tree_cells(&t->tree, "interrupt-map-mask", mask, ARRAY_SIZE(mask));
    tree_cells(&t->tree, "interrupt-map", map, n);
}

static void put_pcie(struct board_tree *t)
{
    const u32 high = (u32)(virt_mmio64_base(t->config->ram_size) >> 32);
    /* Per window: space code (IEEE 1275: 1 I/O, 2 and 3 memory), PCI address, CPU address, size. */
    const u32 ranges[] = {0x01000000,
                          0,
                          0,
                          0,
                          (u32)VIRT_PIO_BASE,
                          0,
                          (u32)VIRT_PIO_SIZE,
                          0x02000000,
                          0,
                          (u32)VIRT_MMIO32_BASE,
                          0,
                          (u32)VIRT_MMIO32_BASE,
                          0,
                          (u32)VIRT_MMIO32_SIZE,
                          0x03000000,
                          high,
                          0,
                          high,
                          0,
                          VIRT_MMIO64_SIZE >> 32,
                          0};
    const u32 buses[] = {0, (u32)(VIRT_ECAM_SIZE >> 20) - 1};

    tree_begin_at(&t->tree, "pci", VIRT_ECAM_BASE);
    put_pcie_interrupt_map(t);
    tree_cells(&t->tree, "ranges", ranges, ARRAY_SIZE(ranges));
    tree_reg(&t->tree, VIRT_ECAM_BASE, VIRT_ECAM_SIZE);
    tree_flag(&t->tree, "dma-coherent");
    tree_cells(&t->tree, "bus-range", buses, ARRAY_SIZE(buses));
    tree_cell(&t->tree, "linux,pci-domain", 0);
    tree_string(&t->tree, "device_type", "pci");
    tree_string(&t->tree, "compatible", "pci-host-ecam-generic");
    tree_cell(&t->tree, "#size-cells", 2);
    tree_cell(&t->tree, "#interrupt-cells", 1);
    tree_cell(&t->tree, "#address-cells", 3);
    tree_end(&t->tree);
}

static void put_virtio(struct board_tree *t)
{
    /* Linux numbers disks in the order of the nodes: slot 0 shall be vda. QEMU lists 7 first. */
    for (u32 slot = 0; slot < MACHINE_VIRTIO_MAX; slot++) {
        u64 base = VIRT_VIRTIO_BASE + slot * VIRT_VIRTIO_SIZE;

        if (!virt_has_slot(t->config, slot))
            continue;
        tree_begin_at(&t->tree, "virtio_mmio", base);
        prop_irq(t, virt_irq_virtio(slot));
        tree_reg(&t->tree, base, VIRT_VIRTIO_SIZE);
        tree_string(&t->tree, "compatible", "virtio,mmio");
        tree_end(&t->tree);
    }
}

static void put_sswi_irqs(struct board_tree *t)
{
    u32 cells[2 * MACHINE_HARTS_MAX];
    u32 n = 0;

    for (u32 hart = 0; hart < t->config->hart_count; hart++) {
        cells[n++] = phandle_intc(t, hart);
        cells[n++] = MIP_SSIP;
    }
    tree_cells(&t->tree, "interrupts-extended", cells, n);
}

static void put_interrupt_controllers(struct board_tree *t)
{
    tree_begin_at(&t->tree, "plic", VIRT_PLIC_BASE);
    tree_cell(&t->tree, "phandle", phandle_plic(t));
    tree_cell(&t->tree, "riscv,ndev", VIRT_IRQ_LAST);
    tree_reg(&t->tree, VIRT_PLIC_BASE, VIRT_PLIC_SIZE);
    prop_hart_irqs(t, MIP_MEIP, MIP_SEIP);
    tree_flag(&t->tree, "interrupt-controller");
    tree_strings(&t->tree, "compatible", "sifive,plic-1.0.0\nriscv,plic0");
    tree_cell(&t->tree, "#address-cells", 0);
    tree_cell(&t->tree, "#interrupt-cells", 1);
    tree_end(&t->tree);
    tree_begin_at(&t->tree, "clint", VIRT_CLINT_BASE);
    prop_hart_irqs(t, MIP_MSIP, MIP_MTIP);
    tree_reg(&t->tree, VIRT_CLINT_BASE, VIRT_CLINT_SIZE);
    tree_strings(&t->tree, "compatible", "sifive,clint0\nriscv,clint0");
    tree_end(&t->tree);
    tree_begin_at(&t->tree, "sswi", VIRT_SSWI_BASE);
    put_sswi_irqs(t);
    tree_reg(&t->tree, VIRT_SSWI_BASE, VIRT_SSWI_SIZE);
    tree_flag(&t->tree, "interrupt-controller");
    tree_cell(&t->tree, "#interrupt-cells", 0);
    tree_string(&t->tree, "compatible", "riscv,aclint-sswi");
    tree_end(&t->tree);
}

static void put_soc(struct board_tree *t)
{
    tree_begin(&t->tree, "soc");
    tree_cell(&t->tree, "#address-cells", 2);
    tree_cell(&t->tree, "#size-cells", 2);
    tree_string(&t->tree, "compatible", "simple-bus");
    tree_flag(&t->tree, "ranges");
    put_rtc_and_uart(t);
    put_test(t);
    put_pcie(t);
    put_virtio(t);
    put_interrupt_controllers(t);
    tree_end(&t->tree);
}

/* U-Boot and the like write the command line into the tree where it lies; OpenSBI leaves such room.
 */
#define ROOM (4 * KIB)

size_t virt_fdt_bound(const struct machine_config *c)
{
    size_t per_hart = 1024 + strlen(c->isa) + strlen(c->isa_extensions) + strlen(c->mmu_type);

    return 16 * KIB + ROOM + c->hart_count * per_hart + (c->bootargs ? strlen(c->bootargs) : 0);
}

static int add_room(void *buf, size_t size)
{
    const size_t wanted = fdt_totalsize(buf) + ROOM;

    return wanted > size ? -FDT_ERR_NOSPACE : fdt_open_into(buf, buf, (int)wanted);
}

int virt_fdt_build(void *buf, size_t size, size_t *used, const struct machine_config *config,
                   const u8 seed[VIRT_RNG_SEED_SIZE], struct err *err)
{
    struct board_tree t = {.tree = {.fdt = buf}, .config = config};

    tree_do(&t.tree, fdt_create(buf, size > INT32_MAX ? INT32_MAX : (int)size));
    tree_do(&t.tree, fdt_finish_reservemap(buf));
    tree_begin(&t.tree, "");
    tree_cell(&t.tree, "#address-cells", 2);
    tree_cell(&t.tree, "#size-cells", 2);
    tree_string(&t.tree, "compatible", "riscv-virtio");
    tree_string(&t.tree, "model", "riscv-virtio,cosm");
    put_fw_cfg(&t);
    put_flash(&t);
    put_chosen(&t, seed);
    put_config(&t);
    put_syscon(&t, "poweroff", "syscon-poweroff", VIRT_FINISHER_PASS);
    put_syscon(&t, "reboot", "syscon-reboot", VIRT_FINISHER_RESET);
    put_memory(&t);
    put_cpus(&t);
    put_soc(&t);
    tree_end(&t.tree);
    tree_do(&t.tree, fdt_finish(buf));
    if (!t.tree.error)
        tree_do(&t.tree, add_room(buf, size));
    if (t.tree.error)
        return err_set(err, ENOSPC, "the device tree does not fit in %zu bytes: %s", size,
                       fdt_strerror(t.tree.error));
    *used = fdt_totalsize(buf);
    return 0;
}
