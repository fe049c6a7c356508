/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libFuzzer target: bytes become accesses to the platform devices of a board of two harts, host
 * input, passing time and firing timers. Whatever a guest does, nothing crashes and no wire of
 * the PLIC hangs on after a reset.
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

#define HARTS    2
#define RAM      UINT64_C(0x80000000)
#define RAM_SIZE UINT64_C(0x10000)

enum { OP_READ, OP_WRITE, OP_RECEIVE, OP_ADVANCE, OP_FIRE, OP_RESET, OP_BREAK, OPS };

/* One step of the input. */
struct step {
    u8 op, device, width;
    u32 offset;
    u64 value;
};
#define STEP_BYTES 15

static struct {
    struct plic plic;
    struct aclint aclint;
    struct uart16550 uart;
    struct goldfish_rtc rtc;
    struct finisher finisher;
    struct fw_cfg fw;
    struct cfi_flash flash;
    struct pcie_host pcie;
    struct pci_function card;
    struct device_map map;
    struct gmem gmem;
    struct fake_irq irq;
    struct fake_clock clock;
    struct fake_timers timers;
    struct fake_chardev console;
    u8 file[64];
} board;

/* The offsets that mean something, besides random ones: one in two steps takes from here. */
static const u32 hot[] = {0x0,    0x4,      0x8,      0xc,    0x10,   0x14,     0x18,   0x40,
                          0x1000, 0x2000,   0x2080,   0x4000, 0x4008, 0xbff8,   0x8000, 0x8010,
                          0x8014, 0x200000, 0x200004, 0x803c, 0x8004, 0x201004, 0x8040, 0x40000};

static void board_exit(void *ctx, enum finisher_action action, u32 code)
{
    device_reset(ctx);
}

static bool card_read(struct pci_function *pci, u32 bar, u64 offset, u32 size, u64 *value)
{
    ASSERT(offset + size <= pci->bar[bar].size);
    *value = offset;
    return true;
}

static bool card_write(struct pci_function *pci, u32 bar, u64 offset, u32 size, u64 value)
{
    ASSERT(offset + size <= pci->bar[bar].size);
    pcie_host_intx(pci, value & 1);
    return true;
}

static const struct pci_function_class card_class = {"card", card_read, card_write, NULL, NULL};

static void make_controllers(void)
{
    struct irq_line external[2 * HARTS], msip[HARTS], mtip[HARTS];
    struct timer_port timer[HARTS];
    struct plic_config plic = {.id = "plic", .base = 0xc000000, .context_count = 2 * HARTS};
    struct aclint_config aclint = {.id = "aclint", .base = 0x2000000, .hart_count = HARTS};

    for (u32 i = 0; i < 2 * HARTS; i++)
        external[i] = fake_irq_line(&board.irq, i);
    for (u32 i = 0; i < HARTS; i++) {
        msip[i] = fake_irq_line(&board.irq, 10 + i);
        mtip[i] = fake_irq_line(&board.irq, 20 + i);
        timer[i] = fake_timer_port(&board.timers, i);
    }
    plic.output = external;
    plic_init(&board.plic, &plic);
    aclint.clock = fake_clock_port(&board.clock);
    aclint.msip = msip;
    aclint.mtip = mtip;
    aclint.timer = timer;
    aclint_init(&board.aclint, &aclint);
}

static void make_peripherals(void)
{
    struct uart16550_config uart = {.id = "uart", .base = 0x10000000};
    struct goldfish_rtc_config rtc = {.id = "rtc", .base = 0x101000};
    struct finisher_config finisher = {.id = "test", .base = 0x100000, .exit = board_exit};
    struct fw_cfg_config fw = {.id = "fw-cfg", .base = 0x10100000, .gmem = &board.gmem};

    uart.irq = plic_input(&board.plic, 10);
    uart.chardev = fake_chardev_port(&board.console);
    uart16550_init(&board.uart, &uart);
    rtc.clock = fake_clock_port(&board.clock);
    rtc.timer = fake_timer_port(&board.timers, HARTS);
    rtc.irq = plic_input(&board.plic, 11);
    goldfish_rtc_init(&board.rtc, &rtc);
    finisher.ctx = &board.uart.dev;
    finisher_init(&board.finisher, &finisher);
    fw_cfg_init(&board.fw, &fw);
    ASSERT(fw_cfg_add_writable(&board.fw, "etc/file", board.file, sizeof(board.file)));
}

static void make_large(u8 *array)
{
    struct cfi_flash_config flash = {.id = "flash", .base = 0x20000000, .array = array};
    struct pcie_host_config pcie = {
        .id = "pcie", .base = 0x30000000, .window = {0x3000000, 0x40000000, 0x400000000}};
    static const struct pci_ids ids = {0x1af4, 0x1042, 0x1af4, 0x1100, 1, 0x010000, 1};

    cfi_flash_init(&board.flash, &flash);
    for (u32 i = 0; i < 4; i++)
        pcie.intx[i] = plic_input(&board.plic, 32 + i);
    pcie_host_init(&board.pcie, &pcie);
    pci_function_init(&board.card, &card_class, &ids);
    pci_bar_set(&board.card, 0, PCI_BAR_IO, false, 0x20);
    pci_bar_set(&board.card, 1, PCI_BAR_MEM32, false, 0x1000);
    pci_bar_set(&board.card, 4, PCI_BAR_MEM64, true, 0x4000);
    (void)pci_capability_add(&board.card, 0x09, 16);
    ASSERT(pcie_host_add(&board.pcie, &board.card, 1));
}

static void board_make(void)
{
    static u8 *array;

    if (!array) /* once: 32 MiB, of which a guest of the fuzzer erases a block or two */
        array = calloc(1, CFI_FLASH_SIZE);
    ASSERT(array);
    memset(&board, 0, sizeof(board));
    board.clock.wall = UINT64_C(1800000000000000000);
    fake_gmem_init(&board.gmem, RAM, RAM_SIZE);
    make_controllers();
    make_peripherals();
    make_large(array);
    ASSERT(device_map_add(&board.map, &board.plic.dev));
    ASSERT(device_map_add(&board.map, &board.aclint.dev));
    ASSERT(device_map_add(&board.map, &board.uart.dev));
    ASSERT(device_map_add(&board.map, &board.rtc.dev));
    ASSERT(device_map_add(&board.map, &board.finisher.dev));
    ASSERT(device_map_add(&board.map, &board.fw.dev));
    ASSERT(device_map_add(&board.map, &board.flash.dev));
    ASSERT(pcie_host_map(&board.pcie, &board.map));
}

static void access_bus(const struct step *step)
{
    struct device *dev = board.map.device[step->device % board.map.count];
    struct bus bus = device_map_bus(&board.map);
    u64 offset = step->width & 4 ? hot[step->offset % ARRAY_SIZE(hot)] : step->offset, value = 0;
    u32 size = 1u << (step->width & 3);
    gpa_t gpa;

    offset %= dev->cls->mmio_size;
    gpa = dev->base + offset - offset % size;
    if (step->op % OPS == OP_READ)
        (void)bus.read(bus.ctx, gpa, size, &value);
    else
        (void)bus.write(bus.ctx, gpa, size, step->value);
}

static void fire_timers(void)
{
    for (u32 i = 0; i < HARTS; i++)
        aclint_timer_fired(&board.aclint, i);
    goldfish_rtc_fired(&board.rtc, 0);
}

static void run(const struct step *step)
{
    u8 bytes[8];

    switch (step->op % OPS) {
    case OP_RECEIVE:
        le64_store(bytes, step->value);
        (void)uart16550_receive(&board.uart, bytes, step->width % 9);
        break;
    case OP_ADVANCE:
        board.clock.now += step->value >> 20;
        board.clock.wall += step->value >> 20;
        break;
    case OP_FIRE:
        fire_timers();
        break;
    case OP_RESET:
        device_reset(board.map.device[step->device % board.map.count]);
        break;
    case OP_BREAK:
        uart16550_break(&board.uart);
        break;
    default:
        access_bus(step);
    }
}

/* Two passes, since the PLIC comes before some devices that hold its wires up. */
static void check_reset(void)
{
    device_map_reset(&board.map);
    device_map_reset(&board.map);
    for (u32 w = 0; w < PLIC_WORDS; w++)
        ASSERT(board.plic.level[w] == 0);
    for (u32 i = 0; i < FAKE_LINES; i++)
        ASSERT(!board.irq.level[i]);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    board_make();
    for (; size >= STEP_BYTES; data += STEP_BYTES, size -= STEP_BYTES) {
        struct step step = {data[0], data[1], data[2], le32_load(data + 3), le64_load(data + 7)};

        run(&step);
    }
    check_reset();
    fake_gmem_fini(&board.gmem);
    return 0;
}
