/* SPDX-License-Identifier: BSD-2-Clause */
/* The virt board: places its devices, wires them up and tells the guest of them. */
#include "machine/machine.h"

#include "base/assert.h"
#include "base/mem.h"
#include "device/aclint.h"
#include "device/cfi_flash.h"
#include "device/finisher.h"
#include "device/fw_cfg.h"
#include "device/goldfish_rtc.h"
#include "device/map.h"
#include "device/pcie_host.h"
#include "device/plic.h"
#include "device/uart16550.h"
#include "device/virtio/balloon.h"
#include "device/virtio/blk.h"
#include "device/virtio/console.h"
#include "device/virtio/fs.h"
#include "device/virtio/input.h"
#include "device/virtio/mmio.h"
#include "device/virtio/net.h"
#include "device/virtio/rng.h"
#include "device/virtio/vsock.h"
#include "machine/boot_rom.h"
#include "machine/virt_fdt.h"
#include "machine/virt_map.h"

#include <assert.h>
#include <errno.h>
#include <libfdt.h>
#include <stdlib.h>

/* What the tree tells of the devices is what they are. */
static_assert(VIRT_RAM_BASE == MACHINE_RAM_BASE, "one RAM");
static_assert(VIRT_TEST_SIZE == FINISHER_SIZE && VIRT_RTC_SIZE == GOLDFISH_RTC_SIZE, "sizes");
static_assert(VIRT_CLINT_SIZE == ACLINT_SIZE && VIRT_SSWI_SIZE == ACLINT_SSWI_SIZE, "sizes");
static_assert(VIRT_PLIC_SIZE == PLIC_SIZE && VIRT_UART_SIZE == UART16550_SIZE, "sizes");
static_assert(VIRT_FW_CFG_SIZE == FW_CFG_SIZE && MACHINE_FLASH_SIZE == CFI_FLASH_SIZE, "sizes");
static_assert(VIRT_ECAM_SIZE == PCIE_HOST_ECAM_SIZE && VIRT_PIO_SIZE == PCIE_HOST_PIO_SIZE,
              "sizes");
static_assert(VIRT_MMIO32_SIZE == PCIE_HOST_MEM32_SIZE && VIRT_MMIO64_SIZE == PCIE_HOST_MEM64_SIZE,
              "sizes");
static_assert(VIRT_UART_CLOCK == UART16550_CLOCK_HZ && MACHINE_TIMEBASE_HZ == ACLINT_HZ, "clocks");
static_assert((int)VIRT_IRQ_LAST == PLIC_SOURCES - 1, "sources");
static_assert((int)VIRT_IRQ_VIRTIO_MORE + MACHINE_VIRTIO_MAX - VIRT_VIRTIO_QEMU <=
                  (int)VIRT_IRQ_LAST + 1,
              "sources for all slots");
static_assert(VIRT_VIRTIO_BASE + MACHINE_VIRTIO_MAX * VIRT_VIRTIO_SIZE <= VIRT_FW_CFG_BASE,
              "slots end before the next device");
static_assert(2 * MACHINE_HARTS_MAX <= PLIC_CONTEXTS_MAX && MACHINE_HARTS_MAX <= ACLINT_HARTS_MAX,
              "harts");
static_assert((int)VIRT_FINISHER_PASS == FINISHER_PASS &&
                  (int)VIRT_FINISHER_RESET == FINISHER_RESET,
              "what the syscon nodes write");

/* A virtio-mmio slot and what is plugged in. The ports are copies that outlive the device. */
struct slot {
    struct virtio_mmio mmio;
    enum machine_virtio_kind kind;
    struct virtio_blk *blk; /* of kind; the others are NULL */
    struct virtio_console *console;
    struct virtio_rng *rng;
    struct virtio_net *net;
    struct virtio_vsock *vsock;
    struct virtio_fs *fs;
    struct virtio_balloon *balloon;
    struct virtio_input *button;
    char serial[sizeof(((struct machine_virtio *)0)->serial)];
};

struct machine {
    struct machine_ports ports;
    u32 hart_count;
    struct device_map map;
    struct finisher finisher;
    struct goldfish_rtc rtc;
    struct aclint aclint;
    struct aclint_sswi sswi;
    struct plic plic;
    struct uart16550 uart;
    struct fw_cfg fw_cfg;
    struct cfi_flash flash[2];
    struct pcie_host pcie;
    struct slot slot[MACHINE_VIRTIO_MAX];
    u8 fw_cfg_cpus[2];
    struct boot_rom boot;
    u8 *rom; /* VIRT_ROM_SIZE bytes */
    void *dtb;
    size_t dtb_size;
};

static const char *const slot_id[MACHINE_VIRTIO_MAX] = {
    "virtio0",  "virtio1",  "virtio2",  "virtio3",  "virtio4",  "virtio5",  "virtio6",  "virtio7",
    "virtio8",  "virtio9",  "virtio10", "virtio11", "virtio12", "virtio13", "virtio14", "virtio15",
    "virtio16", "virtio17", "virtio18", "virtio19", "virtio20", "virtio21", "virtio22", "virtio23"};

/* Addresses are constants: a device that does not fit is a mistake in virt_map.h. */
static void place(struct machine *m, struct device *dev)
{
    bool placed = device_map_add(&m->map, dev);

    ASSERT(placed);
}

static struct irq_line hart_line(const struct machine *m, u32 hart, enum machine_hart_irq bit)
{
    struct irq_line line = m->ports.hart_irq[hart];

    line.line = bit;
    return line;
}

static struct timer_port make_timer(const struct machine *m, void (*fire)(void *ctx, u32 arg),
                                    void *ctx, u32 arg)
{
    return m->ports.timers.create(m->ports.timers.ctx, fire, ctx, arg);
}

static void finisher_wrote(void *ctx, enum finisher_action action, u32 code)
{
    struct machine *m = ctx;
    enum machine_exit how = action == FINISHER_PASS    ? MACHINE_POWEROFF
                            : action == FINISHER_RESET ? MACHINE_REBOOT
                                                       : MACHINE_FAIL;

    m->ports.exit(m->ports.exit_ctx, how, code);
}

static void add_interrupt_controllers(struct machine *m)
{
    struct irq_line msip[MACHINE_HARTS_MAX], mtip[MACHINE_HARTS_MAX], ssip[MACHINE_HARTS_MAX];
    struct irq_line external[2 * MACHINE_HARTS_MAX];
    struct timer_port timer[MACHINE_HARTS_MAX];

    for (u32 hart = 0; hart < m->hart_count; hart++) {
        msip[hart] = hart_line(m, hart, MIP_MSIP);
        mtip[hart] = hart_line(m, hart, MIP_MTIP);
        ssip[hart] = hart_line(m, hart, MIP_SSIP);
        external[2 * hart] = hart_line(m, hart, MIP_MEIP);
        external[2 * hart + 1] = hart_line(m, hart, MIP_SEIP);
        timer[hart] = make_timer(m, aclint_timer_fired, &m->aclint, hart);
    }
    aclint_init(&m->aclint, &(struct aclint_config){.id = "aclint",
                                                    .base = VIRT_CLINT_BASE,
                                                    .log = m->ports.log,
                                                    .clock = m->ports.clock,
                                                    .hart_count = m->hart_count,
                                                    .msip = msip,
                                                    .mtip = mtip,
                                                    .timer = timer});
    place(m, &m->aclint.dev);
    aclint_sswi_init(&m->sswi, &(struct aclint_sswi_config){.id = "sswi",
                                                            .base = VIRT_SSWI_BASE,
                                                            .log = m->ports.log,
                                                            .hart_count = m->hart_count,
                                                            .ssip = ssip});
    place(m, &m->sswi.dev);
    plic_init(&m->plic, &(struct plic_config){.id = "plic",
                                              .base = VIRT_PLIC_BASE,
                                              .log = m->ports.log,
                                              .context_count = 2 * m->hart_count,
                                              .output = external});
    place(m, &m->plic.dev);
}

static void add_basics(struct machine *m)
{
    const struct machine_ports *p = &m->ports;

    finisher_init(&m->finisher, &(struct finisher_config){.id = "finisher",
                                                          .base = VIRT_TEST_BASE,
                                                          .log = p->log,
                                                          .exit = finisher_wrote,
                                                          .ctx = m});
    place(m, &m->finisher.dev);
    goldfish_rtc_init(&m->rtc, &(struct goldfish_rtc_config){
                                   .id = "rtc",
                                   .base = VIRT_RTC_BASE,
                                   .log = p->log,
                                   .clock = p->clock,
                                   .timer = make_timer(m, goldfish_rtc_fired, &m->rtc, 0),
                                   .irq = plic_input(&m->plic, VIRT_IRQ_RTC)});
    place(m, &m->rtc.dev);
    uart16550_init(&m->uart, &(struct uart16550_config){.id = "uart0",
                                                        .base = VIRT_UART_BASE,
                                                        .log = p->log,
                                                        .irq = plic_input(&m->plic, VIRT_IRQ_UART),
                                                        .chardev = p->console});
    place(m, &m->uart.dev);
}

static int add_fw_cfg(struct machine *m, const struct machine_config *config, struct err *err)
{
    bool added;

    fw_cfg_init(&m->fw_cfg, &(struct fw_cfg_config){.id = "fw_cfg",
                                                    .base = VIRT_FW_CFG_BASE,
                                                    .log = m->ports.log,
                                                    .gmem = m->ports.gmem});
    le16_store(m->fw_cfg_cpus, (u16)m->hart_count);
    added = fw_cfg_add(&m->fw_cfg, FW_CFG_NB_CPUS, m->fw_cfg_cpus, sizeof(m->fw_cfg_cpus));
    ASSERT(added);
    place(m, &m->fw_cfg.dev);
    for (u32 i = 0; i < config->fw_cfg_count; i++) {
        const struct machine_fw_cfg *item = &config->fw_cfg[i];

        if (!fw_cfg_add_file(&m->fw_cfg, item->name, item->data, item->len))
            return err_set(err, EINVAL, "the board takes no item '%s'", item->name);
    }
    return 0;
}

static void add_flash(struct machine *m, const struct machine_config *config)
{
    static const char *const id[2] = {"flash0", "flash1"};

    for (u32 i = 0; i < 2; i++) {
        cfi_flash_init(&m->flash[i],
                       &(struct cfi_flash_config){.id = id[i],
                                                  .base = VIRT_FLASH_BASE + i * MACHINE_FLASH_SIZE,
                                                  .log = m->ports.log,
                                                  .array = config->flash[i],
                                                  .readonly = config->flash_readonly[i]});
        place(m, &m->flash[i].dev);
    }
}

static void add_pcie(struct machine *m, const struct machine_config *config)
{
    struct pcie_host_config pcie = {
        .id = "pcie",
        .base = VIRT_ECAM_BASE,
        .window = {VIRT_PIO_BASE, VIRT_MMIO32_BASE, virt_mmio64_base(config->ram_size)},
        .log = m->ports.log,
    };
    bool mapped;

    for (u32 pin = 0; pin < 4; pin++)
        pcie.intx[pin] = plic_input(&m->plic, VIRT_IRQ_PCIE + pin);
    pcie_host_init(&m->pcie, &pcie);
    mapped = pcie_host_map(&m->pcie, &m->map);
    ASSERT(mapped);
}

/* Each makes what v describes; NULL: no memory. */

static struct virtio_dev *plug_blk(struct slot *s, const struct machine_virtio *v)
{
    s->blk = calloc(1, sizeof(*s->blk));
    if (!s->blk)
        return NULL;
    memcpy(s->serial, v->serial, sizeof(s->serial) - 1);
    virtio_blk_init(s->blk, &(struct virtio_blk_config){
                                .blk = v->blk, .serial = s->serial, .queues = v->queues});
    return virtio_blk_dev(s->blk);
}

static struct virtio_dev *plug_console(struct slot *s, const struct machine_virtio *v)
{
    s->console = calloc(1, sizeof(*s->console));
    if (!s->console)
        return NULL;
    virtio_console_init(s->console, &(struct virtio_console_config){.chardev = v->chardev});
    return virtio_console_dev(s->console);
}

static struct virtio_dev *plug_rng(struct slot *s, struct entropy entropy)
{
    s->rng = calloc(1, sizeof(*s->rng));
    if (!s->rng)
        return NULL;
    virtio_rng_init(s->rng, &(struct virtio_rng_config){.entropy = entropy});
    return virtio_rng_dev(s->rng);
}

static struct virtio_dev *plug_net(struct slot *s, const struct machine_virtio *v)
{
    struct virtio_net_config config = {.net = v->net, .server = v->server, .pairs = v->pairs};

    s->net = calloc(1, sizeof(*s->net));
    if (!s->net)
        return NULL;
    memcpy(config.mac, v->mac, sizeof(config.mac));
    virtio_net_init(s->net, &config);
    return virtio_net_dev(s->net);
}

static struct virtio_dev *plug_fs(struct slot *s, const struct machine_virtio *v)
{
    s->fs = calloc(1, sizeof(*s->fs));
    if (!s->fs)
        return NULL;
    virtio_fs_init(s->fs, &(struct virtio_fs_config){.fs = v->fs, .tag = v->tag});
    return virtio_fs_dev(s->fs);
}

static struct virtio_dev *plug_vsock(struct slot *s, const struct machine_virtio *v)
{
    s->vsock = calloc(1, sizeof(*s->vsock));
    if (!s->vsock)
        return NULL;
    virtio_vsock_init(s->vsock, &(struct virtio_vsock_config){.vsock = v->vsock, .cid = v->cid});
    return virtio_vsock_dev(s->vsock);
}

static struct virtio_dev *plug_balloon(struct slot *s, const struct machine_virtio *v)
{
    s->balloon = calloc(1, sizeof(*s->balloon));
    if (!s->balloon)
        return NULL;
    virtio_balloon_init(s->balloon, v->balloon);
    return virtio_balloon_dev(s->balloon);
}

static struct virtio_dev *plug_button(struct slot *s)
{
    static const u8 keys[] = {INPUT_KEY_POWER};

    s->button = calloc(1, sizeof(*s->button));
    if (!s->button)
        return NULL;
    virtio_input_init(s->button, &(struct virtio_input_config){
                                     .name = "Power button", .key = keys, .key_count = 1});
    return virtio_input_dev(s->button);
}

static struct virtio_dev *plug(struct machine *m, struct slot *s, const struct machine_virtio *v)
{
    switch (v->kind) {
    case MACHINE_VIRTIO_NONE:
        break;
    case MACHINE_VIRTIO_BLK:
        return plug_blk(s, v);
    case MACHINE_VIRTIO_CONSOLE:
        return plug_console(s, v);
    case MACHINE_VIRTIO_RNG:
        return plug_rng(s, m->ports.entropy);
    case MACHINE_VIRTIO_NET:
        return plug_net(s, v);
    case MACHINE_VIRTIO_FS:
        return plug_fs(s, v);
    case MACHINE_VIRTIO_VSOCK:
        return plug_vsock(s, v);
    case MACHINE_VIRTIO_BALLOON:
        return plug_balloon(s, v);
    case MACHINE_VIRTIO_BUTTON:
        return plug_button(s);
    }
    return NULL;
}

static bool add_virtio(struct machine *m, const struct machine_config *config)
{
    for (u32 i = 0; i < MACHINE_VIRTIO_MAX; i++) {
        struct slot *s = &m->slot[i];
        struct virtio_dev *dev;

        if (!virt_has_slot(config, i))
            continue;
        s->kind = config->virtio[i].kind;
        dev = plug(m, s, &config->virtio[i]);
        if (!dev && s->kind != MACHINE_VIRTIO_NONE)
            return false;
        virtio_mmio_init(
            &s->mmio, &(struct virtio_mmio_config){.id = slot_id[i],
                                                   .base = VIRT_VIRTIO_BASE + i * VIRT_VIRTIO_SIZE,
                                                   .log = m->ports.log,
                                                   .irq = plic_input(&m->plic, virt_irq_virtio(i)),
                                                   .gmem = m->ports.gmem,
                                                   .dev = dev});
        place(m, &s->mmio.device);
    }
    return true;
}

static int make_dtb(struct machine *m, const struct machine_config *config, struct err *err)
{
    u8 seed[VIRT_RNG_SEED_SIZE];
    size_t size = virt_fdt_bound(config);

    m->dtb = malloc(size);
    if (!m->dtb)
        return err_set(err, ENOMEM, "no memory for the device tree (%zu bytes)", size);
    entropy_fill(&m->ports.entropy, seed, sizeof(seed));
    return virt_fdt_build(m->dtb, size, &m->dtb_size, config, seed, err);
}

static int check_config(const struct machine_config *config, struct err *err)
{
    if (!config->hart_count || config->hart_count > MACHINE_HARTS_MAX)
        return err_set(err, EINVAL, "the virt board takes 1 to %d harts, not %u", MACHINE_HARTS_MAX,
                       config->hart_count);
    if (!config->ram_size || config->ram_size % 4096)
        return err_set(err, EINVAL, "RAM of %llu bytes is not a multiple of 4096",
                       (unsigned long long)config->ram_size);
    if (config->ram_size > VIRT_RAM_MAX)
        return err_set(err, EINVAL, "the virt board takes at most %llu MiB of RAM, not %llu",
                       (unsigned long long)(VIRT_RAM_MAX / MIB),
                       (unsigned long long)(config->ram_size / MIB));
    return 0;
}

static int add_rom(struct machine *m, struct err *err)
{
    struct gmem *gmem = m->ports.gmem;

    if (gmem->count == GMEM_REGIONS_MAX)
        return err_set(err, ENOSPC, "no memory region is left for the boot ROM");
    m->rom = calloc(1, VIRT_ROM_SIZE);
    if (!m->rom)
        return err_set(err, ENOMEM, "no memory for the boot ROM");
    gmem->region[gmem->count++] = (struct gmem_region){
        .base = VIRT_ROM_BASE, .size = VIRT_ROM_SIZE, .host = m->rom, .readonly = true};
    return 0;
}

int machine_create(struct machine **machine, const struct machine_config *config,
                   const struct machine_ports *ports, struct err *err)
{
    int rc = check_config(config, err);
    struct machine *m;

    if (rc)
        return rc;
    ASSERT(config->isa && config->isa_extensions && config->mmu_type);
    m = calloc(1, sizeof(*m));
    if (!m)
        return err_set(err, ENOMEM, "no memory for the board");
    m->ports = *ports;
    m->hart_count = config->hart_count;
    rc = make_dtb(m, config, err);
    if (!rc)
        rc = add_rom(m, err);
    if (!rc) {
        add_interrupt_controllers(m);
        add_basics(m);
        add_flash(m, config);
        add_pcie(m, config);
        rc = add_fw_cfg(m, config, err);
        if (!rc && !add_virtio(m, config))
            rc = err_set(err, ENOMEM, "no memory for the board's virtio devices");
    }
    if (rc) {
        machine_destroy(m);
        return rc;
    }
    *machine = m;
    return 0;
}

static void remove_rom(struct machine *m)
{
    struct gmem *gmem = m->ports.gmem;

    for (u32 i = 0; i < gmem->count; i++) {
        if (gmem->region[i].host == m->rom) {
            gmem->region[i] = gmem->region[--gmem->count];
            break;
        }
    }
    free(m->rom);
}

void machine_destroy(struct machine *m)
{
    if (!m)
        return;
    for (u32 i = 0; i < m->map.count; i++)
        device_fini(m->map.device[i]);
    for (u32 i = 0; i < MACHINE_VIRTIO_MAX; i++) {
        free(m->slot[i].blk);
        free(m->slot[i].console);
        free(m->slot[i].rng);
        free(m->slot[i].net);
        free(m->slot[i].vsock);
        free(m->slot[i].fs);
        free(m->slot[i].balloon);
        free(m->slot[i].button);
    }
    if (m->rom)
        remove_rom(m);
    free(m->dtb);
    free(m);
}

struct bus machine_bus(struct machine *m)
{
    return device_map_bus(&m->map);
}

static void reseed(struct machine *m)
{
    u8 seed[VIRT_RNG_SEED_SIZE];
    int chosen = fdt_path_offset(m->dtb, "/chosen"), rc;

    entropy_fill(&m->ports.entropy, seed, sizeof(seed));
    rc = fdt_setprop_inplace(m->dtb, chosen, "rng-seed", seed, sizeof(seed));
    ASSERT(!rc);
}

void machine_reset(struct machine *m)
{
    device_map_reset(&m->map);
    reseed(m);
    if (m->boot.entry)
        boot_rom_write(m->rom, &m->boot);
}

const void *machine_dtb(struct machine *m, size_t *size)
{
    *size = m->dtb_size;
    return m->dtb;
}

gpa_t machine_boot_rom(struct machine *m, gpa_t entry, gpa_t dtb, gpa_t next)
{
    m->boot.entry = entry;
    m->boot.dtb = dtb;
    m->boot.next = next;
    boot_rom_write(m->rom, &m->boot);
    return VIRT_ROM_BASE;
}

size_t machine_console_receive(struct machine *m, const u8 *bytes, size_t len)
{
    return uart16550_receive(&m->uart, bytes, len);
}

void machine_console_break(struct machine *m)
{
    uart16550_break(&m->uart);
}

bool machine_press_power(struct machine *m)
{
    bool pressed = false;

    for (u32 i = 0; i < MACHINE_VIRTIO_MAX; i++) {
        if (m->slot[i].button)
            pressed |= virtio_input_press(m->slot[i].button, INPUT_KEY_POWER);
    }
    return pressed;
}

static struct virtio_balloon *balloon_of(struct machine *m)
{
    for (u32 i = 0; i < MACHINE_VIRTIO_MAX; i++) {
        if (m->slot[i].balloon)
            return m->slot[i].balloon;
    }
    return NULL;
}

bool machine_balloon_set(struct machine *m, u64 bytes)
{
    struct virtio_balloon *b = balloon_of(m);

    if (b)
        virtio_balloon_set_target(b, bytes);
    return b;
}

bool machine_balloon_ask(struct machine *m)
{
    struct virtio_balloon *b = balloon_of(m);

    return b && virtio_balloon_ask(b);
}

bool machine_balloon_read(struct machine *m, struct balloon_state *state)
{
    struct virtio_balloon *b = balloon_of(m);

    if (b)
        virtio_balloon_read(b, state);
    return b;
}

size_t machine_virtio_console_receive(struct machine *m, u32 slot, const u8 *bytes, size_t len)
{
    if (slot >= MACHINE_VIRTIO_MAX || !m->slot[slot].console)
        return 0;
    return virtio_console_receive(m->slot[slot].console, bytes, len);
}

void machine_disk_resized(struct machine *m, u32 slot)
{
    if (slot < MACHINE_VIRTIO_MAX && m->slot[slot].blk)
        virtio_blk_resized(m->slot[slot].blk);
}

u64 machine_time(struct machine *m)
{
    return aclint_time(&m->aclint);
}

u64 machine_time_ns(struct machine *m, u64 time)
{
    return aclint_deadline_ns(&m->aclint, time);
}
