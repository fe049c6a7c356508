/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs a script of bus accesses on the platform devices, at the addresses of the virt board: the
 * lines "r ADDRESS SIZE" (prints the value, or "fault") and "w ADDRESS SIZE VALUE" on stdin, all
 * numbers hexadecimal. tests/device/qemu_compare.py runs the same script on QEMU.
 */
#include "device/aclint.h"
#include "device/cfi_flash.h"
#include "device/finisher.h"
#include "device/fw_cfg.h"
#include "device/goldfish_rtc.h"
#include "device/pcie_host.h"
#include "device/plic.h"
#include "device/uart16550.h"

#include "tests/fake.h"

#include <inttypes.h>

#define HARTS 2

static struct plic plic;
static struct aclint aclint;
static struct uart16550 uart;
static struct goldfish_rtc rtc;
static struct finisher finisher;
static struct fw_cfg fw;
static struct cfi_flash flash;
static struct pcie_host pcie;
static struct device_map map;
static struct gmem gmem;
static struct fake_clock fake_time;

static void make_controllers(void)
{
    static const struct irq_line none[2 * HARTS];
    static const struct timer_port timer[HARTS];
    struct plic_config plic_setup = {.id = "plic", .base = 0xc000000, .context_count = 2 * HARTS};
    struct aclint_config aclint_setup = {.id = "aclint", .base = 0x2000000, .hart_count = HARTS};

    plic_setup.output = none;
    plic_init(&plic, &plic_setup);
    aclint_setup.clock = fake_clock_port(&fake_time);
    aclint_setup.msip = aclint_setup.mtip = none;
    aclint_setup.timer = timer;
    aclint_init(&aclint, &aclint_setup);
}

static void make_devices(void)
{
    struct uart16550_config uart_setup = {.id = "uart", .base = 0x10000000};
    struct goldfish_rtc_config rtc_setup = {.id = "rtc", .base = 0x101000};
    struct finisher_config finisher_setup = {.id = "test", .base = 0x100000};
    struct fw_cfg_config fw_setup = {.id = "fw-cfg", .base = 0x10100000, .gmem = &gmem};
    struct cfi_flash_config flash_setup = {.id = "flash1", .base = 0x22000000};
    struct pcie_host_config pcie_setup = {
        .id = "pcie", .base = 0x30000000, .window = {0x3000000, 0x40000000, 0x400000000}};

    uart_setup.irq = plic_input(&plic, 10);
    uart16550_init(&uart, &uart_setup);
    rtc_setup.clock = fake_clock_port(&fake_time);
    rtc_setup.irq = plic_input(&plic, 11);
    goldfish_rtc_init(&rtc, &rtc_setup);
    finisher_init(&finisher, &finisher_setup);
    fake_gmem_init(&gmem, 0x80000000, 0x100000);
    fw_cfg_init(&fw, &fw_setup);
    flash_setup.array = calloc(1, CFI_FLASH_SIZE);
    ASSERT(flash_setup.array);
    cfi_flash_init(&flash, &flash_setup);
    pcie_host_init(&pcie, &pcie_setup);
}

static void run(const char *line)
{
    struct bus bus = device_map_bus(&map);
    u64 gpa, value = 0;
    unsigned size;
    char op;

    if (sscanf(line, "%c %" SCNx64 " %x %" SCNx64, &op, &gpa, &size, &value) < 3)
        return;
    if (op == 'w')
        (void)bus.write(bus.ctx, gpa, size, value);
    else if (bus.read(bus.ctx, gpa, size, &value))
        printf("%" PRIx64 "\n", value);
    else
        printf("fault\n");
}

int main(void)
{
    char line[128];

    make_controllers();
    make_devices();
    if (!device_map_add(&map, &plic.dev) || !device_map_add(&map, &aclint.dev) ||
        !device_map_add(&map, &uart.dev) || !device_map_add(&map, &rtc.dev) ||
        !device_map_add(&map, &finisher.dev) || !device_map_add(&map, &fw.dev) ||
        !device_map_add(&map, &flash.dev) || !pcie_host_map(&pcie, &map))
        return 1;
    while (fgets(line, sizeof(line), stdin))
        run(line);
    return 0;
}
