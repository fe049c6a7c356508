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
#include "machine/virt_map.h"

#include <errno.h>
#include <libfdt.h>

/* A tree in the making: the first error sticks and silences all later calls. */
struct tree {
    void *fdt;
    int error;
    const struct machine_config *config;
};

static void tree_do(struct tree *t, int result)
{
    if (!t->error && result < 0)
        t->error = result;
}

static void node_begin(struct tree *t, const char *name)
{
    tree_do(t, fdt_begin_node(t->fdt, name));
}

/* A node named name@base. */
static void node_begin_at(struct tree *t, const char *name, u64 base)
{
    char full[48];

    fmt_print(full, sizeof(full), "%s@%llx", name, (unsigned long long)base);
    node_begin(t, full);
}

static void node_end(struct tree *t)
{
    tree_do(t, fdt_end_node(t->fdt));
}

static void prop_bytes(struct tree *t, const char *name, const void *bytes, size_t len)
{
    tree_do(t, fdt_property(t->fdt, name, bytes, (int)len));
}

static void prop_flag(struct tree *t, const char *name)
{
    prop_bytes(t, name, NULL, 0);
}

static void prop_string(struct tree *t, const char *name, const char *text)
{
    prop_bytes(t, name, text, strlen(text) + 1);
}

static void prop_cell(struct tree *t, const char *name, u32 value)
{
    tree_do(t, fdt_property_u32(t->fdt, name, value));
}

static void prop_u64(struct tree *t, const char *name, u64 value)
{
    tree_do(t, fdt_property_u64(t->fdt, name, value));
}

/* A list of strings, given with '\n' between them. */
static void prop_strings(struct tree *t, const char *name, const char *list)
{
    size_t len = strlen(list) + 1;
    void *place = NULL;

    tree_do(t, fdt_property_placeholder(t->fdt, name, (int)len, &place));
    if (t->error)
        return;
    for (size_t i = 0; i < len; i++)
        ((char *)place)[i] = list[i] == '\n' ? '\0' : list[i];
}

static void prop_cells(struct tree *t, const char *name, const u32 *cells, size_t count)
{
    u8 *place = NULL;

    tree_do(t, fdt_property_placeholder(t->fdt, name, (int)(4 * count), (void **)&place));
    if (t->error)
        return;
    for (size_t i = 0; i < count; i++)
        be32_store(place + 4 * i, cells[i]);
}

static void prop_reg(struct tree *t, u64 base, u64 size)
{
    const u32 cells[] = {(u32)(base >> 32), (u32)base, (u32)(size >> 32), (u32)size};

    prop_cells(t, "reg", cells, ARRAY_SIZE(cells));
}

/* Phandles as QEMU hands them out: the last hart first, its cpu node before its controller. */
static u32 phandle_cpu(const struct tree *t, u32 hart)
{
    return 1 + 2 * (t->config->hart_count - 1 - hart);
}

static u32 phandle_intc(const struct tree *t, u32 hart)
{
    return phandle_cpu(t, hart) + 1;
}

static u32 phandle_plic(const struct tree *t)
{
    return 2 * t->config->hart_count + 1;
}

static u32 phandle_test(const struct tree *t)
{
    return phandle_plic(t) + 1;
}

static void prop_irq(struct tree *t, u32 irq)
{
    prop_cell(t, "interrupts", irq);
    prop_cell(t, "interrupt-parent", phandle_plic(t));
}

/* For each hart: its controller with line first, then with line second. */
static void prop_hart_irqs(struct tree *t, u32 first, u32 second)
{
    u32 cells[4 * MACHINE_HARTS_MAX];
    u32 n = 0;

    for (u32 hart = 0; hart < t->config->hart_count; hart++) {
        cells[n++] = phandle_intc(t, hart);
        cells[n++] = first;
        cells[n++] = phandle_intc(t, hart);
        cells[n++] = second;
    }
    prop_cells(t, "interrupts-extended", cells, n);
}

static void put_block_size(struct tree *t, const char *name, u32 bytes)
{
    if (bytes)
        prop_cell(t, name, bytes);
}

static void put_cpu(struct tree *t, u32 hart)
{
    const struct machine_config *c = t->config;

    node_begin_at(t, "cpu", hart);
    prop_cell(t, "phandle", phandle_cpu(t, hart));
    prop_string(t, "device_type", "cpu");
    prop_cell(t, "reg", hart);
    prop_string(t, "status", "okay");
    prop_string(t, "compatible", "riscv");
    prop_string(t, "riscv,isa", c->isa);
    prop_string(t, "riscv,isa-base", "rv64i");
    prop_strings(t, "riscv,isa-extensions", c->isa_extensions);
    prop_string(t, "mmu-type", c->mmu_type);
    put_block_size(t, "riscv,cbom-block-size", c->cbom_block);
    put_block_size(t, "riscv,cboz-block-size", c->cboz_block);
    put_block_size(t, "riscv,cbop-block-size", c->cbop_block);
    node_begin(t, "interrupt-controller");
    prop_cell(t, "#interrupt-cells", 1);
    prop_flag(t, "interrupt-controller");
    prop_string(t, "compatible", "riscv,cpu-intc");
    prop_cell(t, "phandle", phandle_intc(t, hart));
    node_end(t);
    node_end(t);
}

static void put_cpus(struct tree *t)
{
    char name[16];

    node_begin(t, "cpus");
    prop_cell(t, "#address-cells", 1);
    prop_cell(t, "#size-cells", 0);
    prop_cell(t, "timebase-frequency", (u32)MACHINE_TIMEBASE_HZ);
    for (u32 hart = 0; hart < t->config->hart_count; hart++)
        put_cpu(t, hart);
    node_begin(t, "cpu-map");
    node_begin(t, "cluster0");
    for (u32 hart = 0; hart < t->config->hart_count; hart++) {
        fmt_print(name, sizeof(name), "core%u", hart);
        node_begin(t, name);
        prop_cell(t, "cpu", phandle_cpu(t, hart));
        node_end(t);
    }
    node_end(t);
    node_end(t);
    node_end(t);
}

static void put_chosen(struct tree *t, const u8 seed[VIRT_RNG_SEED_SIZE])
{
    const struct machine_config *c = t->config;

    node_begin(t, "chosen");
    prop_string(t, "stdout-path", "/soc/serial@10000000");
    if (c->bootargs && c->bootargs[0])
        prop_string(t, "bootargs", c->bootargs);
    if (c->initrd_size) {
        prop_u64(t, "linux,initrd-start", c->initrd);
        prop_u64(t, "linux,initrd-end", c->initrd + c->initrd_size);
    }
    prop_bytes(t, "rng-seed", seed, VIRT_RNG_SEED_SIZE);
    node_end(t);
}

static void put_syscon(struct tree *t, const char *name, const char *compatible, u32 value)
{
    node_begin(t, name);
    prop_cell(t, "value", value);
    prop_cell(t, "offset", 0);
    prop_cell(t, "regmap", phandle_test(t));
    prop_string(t, "compatible", compatible);
    node_end(t);
}

/* What U-Boot heeds: doc/device-tree-bindings/config.txt there. */
static void put_config(struct tree *t)
{
    if (!t->config->boot_delay)
        return;
    node_begin(t, "config");
    prop_cell(t, "bootdelay", t->config->boot_delay - 1);
    node_end(t);
}

static void put_memory(struct tree *t)
{
    node_begin_at(t, "memory", VIRT_RAM_BASE);
    prop_string(t, "device_type", "memory");
    prop_reg(t, VIRT_RAM_BASE, t->config->ram_size);
    node_end(t);
}

static void put_fw_cfg(struct tree *t)
{
    node_begin_at(t, "fw-cfg", VIRT_FW_CFG_BASE);
    prop_flag(t, "dma-coherent");
    prop_reg(t, VIRT_FW_CFG_BASE, VIRT_FW_CFG_SIZE);
    prop_string(t, "compatible", "qemu,fw-cfg-mmio");
    node_end(t);
}

static void put_flash(struct tree *t)
{
    const u32 size = (u32)MACHINE_FLASH_SIZE, base = (u32)VIRT_FLASH_BASE;
    const u32 reg[] = {0, base, 0, size, 0, base + size, 0, size};

    node_begin_at(t, "flash", VIRT_FLASH_BASE);
    prop_cell(t, "bank-width", 4);
    prop_cells(t, "reg", reg, ARRAY_SIZE(reg));
    prop_string(t, "compatible", "cfi-flash");
    node_end(t);
}

static void put_rtc_and_uart(struct tree *t)
{
    node_begin_at(t, "rtc", VIRT_RTC_BASE);
    prop_irq(t, VIRT_IRQ_RTC);
    prop_reg(t, VIRT_RTC_BASE, VIRT_RTC_SIZE);
    prop_string(t, "compatible", "google,goldfish-rtc");
    node_end(t);
    node_begin_at(t, "serial", VIRT_UART_BASE);
    prop_irq(t, VIRT_IRQ_UART);
    prop_cell(t, "clock-frequency", VIRT_UART_CLOCK);
    prop_reg(t, VIRT_UART_BASE, VIRT_UART_SIZE);
    prop_string(t, "compatible", "ns16550a");
    node_end(t);
}

static void put_test(struct tree *t)
{
    node_begin_at(t, "test", VIRT_TEST_BASE);
    prop_cell(t, "phandle", phandle_test(t));
    prop_reg(t, VIRT_TEST_BASE, VIRT_TEST_SIZE);
    prop_strings(t, "compatible", "sifive,test1\nsifive,test0\nsyscon");
    node_end(t);
}

/* INTx of device d, pin p arrives at line (d + p) % 4: the PCI-to-PCI bridge swizzle. */
static void put_pcie_interrupt_map(struct tree *t)
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
    prop_cells(t, "interrupt-map-mask", mask, ARRAY_SIZE(mask));
    prop_cells(t, "interrupt-map", map, n);
}

static void put_pcie(struct tree *t)
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

    node_begin_at(t, "pci", VIRT_ECAM_BASE);
    put_pcie_interrupt_map(t);
    prop_cells(t, "ranges", ranges, ARRAY_SIZE(ranges));
    prop_reg(t, VIRT_ECAM_BASE, VIRT_ECAM_SIZE);
    prop_flag(t, "dma-coherent");
    prop_cells(t, "bus-range", buses, ARRAY_SIZE(buses));
    prop_cell(t, "linux,pci-domain", 0);
    prop_string(t, "device_type", "pci");
    prop_string(t, "compatible", "pci-host-ecam-generic");
    prop_cell(t, "#size-cells", 2);
    prop_cell(t, "#interrupt-cells", 1);
    prop_cell(t, "#address-cells", 3);
    node_end(t);
}

static void put_virtio(struct tree *t)
{
    /* Linux numbers disks in the order of the nodes: slot 0 shall be vda. QEMU lists 7 first. */
    for (u32 slot = 0; slot < MACHINE_VIRTIO_MAX; slot++) {
        u64 base = VIRT_VIRTIO_BASE + slot * VIRT_VIRTIO_SIZE;

        if (!virt_has_slot(t->config, slot))
            continue;
        node_begin_at(t, "virtio_mmio", base);
        prop_irq(t, virt_irq_virtio(slot));
        prop_reg(t, base, VIRT_VIRTIO_SIZE);
        prop_string(t, "compatible", "virtio,mmio");
        node_end(t);
    }
}

static void put_sswi_irqs(struct tree *t)
{
    u32 cells[2 * MACHINE_HARTS_MAX];
    u32 n = 0;

    for (u32 hart = 0; hart < t->config->hart_count; hart++) {
        cells[n++] = phandle_intc(t, hart);
        cells[n++] = MIP_SSIP;
    }
    prop_cells(t, "interrupts-extended", cells, n);
}

static void put_interrupt_controllers(struct tree *t)
{
    node_begin_at(t, "plic", VIRT_PLIC_BASE);
    prop_cell(t, "phandle", phandle_plic(t));
    prop_cell(t, "riscv,ndev", VIRT_IRQ_LAST);
    prop_reg(t, VIRT_PLIC_BASE, VIRT_PLIC_SIZE);
    prop_hart_irqs(t, MIP_MEIP, MIP_SEIP);
    prop_flag(t, "interrupt-controller");
    prop_strings(t, "compatible", "sifive,plic-1.0.0\nriscv,plic0");
    prop_cell(t, "#address-cells", 0);
    prop_cell(t, "#interrupt-cells", 1);
    node_end(t);
    node_begin_at(t, "clint", VIRT_CLINT_BASE);
    prop_hart_irqs(t, MIP_MSIP, MIP_MTIP);
    prop_reg(t, VIRT_CLINT_BASE, VIRT_CLINT_SIZE);
    prop_strings(t, "compatible", "sifive,clint0\nriscv,clint0");
    node_end(t);
    node_begin_at(t, "sswi", VIRT_SSWI_BASE);
    put_sswi_irqs(t);
    prop_reg(t, VIRT_SSWI_BASE, VIRT_SSWI_SIZE);
    prop_flag(t, "interrupt-controller");
    prop_cell(t, "#interrupt-cells", 0);
    prop_string(t, "compatible", "riscv,aclint-sswi");
    node_end(t);
}

static void put_soc(struct tree *t)
{
    node_begin(t, "soc");
    prop_cell(t, "#address-cells", 2);
    prop_cell(t, "#size-cells", 2);
    prop_string(t, "compatible", "simple-bus");
    prop_flag(t, "ranges");
    put_rtc_and_uart(t);
    put_test(t);
    put_pcie(t);
    put_virtio(t);
    put_interrupt_controllers(t);
    node_end(t);
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
    struct tree t = {.fdt = buf, .config = config};

    tree_do(&t, fdt_create(buf, size > INT32_MAX ? INT32_MAX : (int)size));
    tree_do(&t, fdt_finish_reservemap(buf));
    node_begin(&t, "");
    prop_cell(&t, "#address-cells", 2);
    prop_cell(&t, "#size-cells", 2);
    prop_string(&t, "compatible", "riscv-virtio");
    prop_string(&t, "model", "riscv-virtio,cosm");
    put_fw_cfg(&t);
    put_flash(&t);
    put_chosen(&t, seed);
    put_config(&t);
    put_syscon(&t, "poweroff", "syscon-poweroff", VIRT_FINISHER_PASS);
    put_syscon(&t, "reboot", "syscon-reboot", VIRT_FINISHER_RESET);
    put_memory(&t);
    put_cpus(&t);
    put_soc(&t);
    node_end(&t);
    tree_do(&t, fdt_finish(buf));
    if (!t.error)
        tree_do(&t, add_room(buf, size));
    if (t.error)
        return err_set(err, ENOSPC, "the device tree does not fit in %zu bytes: %s", size,
                       fdt_strerror(t.error));
    *used = fdt_totalsize(buf);
    return 0;
}
