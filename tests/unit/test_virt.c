/* SPDX-License-Identifier: BSD-2-Clause */
/* The virt board as a hart sees it: every device answers at its place, every wire leads there. */
#include "machine/machine.h"

#include "tests/fake.h"
#include "tests/test.h"

#include <libfdt.h>

enum { SLOT_BLK = 0, SLOT_CONSOLE = 1, SLOT_RNG = 2, SLOT_NET = 7, SLOTS_QEMU = 8, SLOT_MORE = 21 };

#define RAM  UINT64_C(0x80000000)
#define PLIC UINT64_C(0xc000000)
#define UART UINT64_C(0x10000000)

/* One board and the world around it. */
struct world {
    struct machine *machine;
    struct machine_config config;
    struct machine_ports ports;
    struct bus bus;
    struct gmem gmem;
    struct fake_clock clock;
    struct fake_chardev console, virtio_console;
    struct chardev virtio_port;
    struct blk blk;
    struct net net;
    struct fake_irq hart[2];
    struct {
        void (*fire)(void *ctx, u32 arg);
        void *ctx;
        u32 arg;
    } timer[FAKE_TIMERS];
    struct fake_timers timers;
    u32 timer_count, exits;
    enum machine_exit how;
    u32 code;
    u8 entropy;
    struct err err;
};

static struct timer_port create_timer(void *ctx, void (*fire)(void *fire_ctx, u32 arg),
                                      void *fire_ctx, u32 arg)
{
    struct world *w = ctx;
    u32 n = w->timer_count++;

    w->timer[n].fire = fire;
    w->timer[n].ctx = fire_ctx;
    w->timer[n].arg = arg;
    return fake_timer_port(&w->timers, n);
}

static void fill(void *ctx, void *buf, size_t len)
{
    struct world *w = ctx;

    memset(buf, ++w->entropy, len);
}

static void exited(void *ctx, enum machine_exit how, u32 code)
{
    struct world *w = ctx;

    w->exits++;
    w->how = how;
    w->code = code;
}

static void submit(void *ctx, struct blk_req *req)
{
    req->done(req, 0);
}

static void world_prepare(struct world *w)
{
    memset(w, 0, sizeof(*w));
    fake_gmem_init(&w->gmem, RAM, 4 * MIB);
    w->blk = (struct blk){.submit = submit, .size = 1 * MIB};
    w->virtio_port = fake_chardev_port(&w->virtio_console);
    w->config = (struct machine_config){.ram_size = 4 * MIB,
                                        .hart_count = 2,
                                        .isa = "rv64imac",
                                        .isa_extensions = "i\nm\na\nc",
                                        .mmu_type = "riscv,sv39"};
    w->config.virtio[SLOT_BLK] =
        (struct machine_virtio){.kind = MACHINE_VIRTIO_BLK, .blk = &w->blk, .serial = "cosm0"};
    w->config.virtio[SLOT_CONSOLE] =
        (struct machine_virtio){.kind = MACHINE_VIRTIO_CONSOLE, .chardev = &w->virtio_port};
    w->config.virtio[SLOT_RNG].kind = MACHINE_VIRTIO_RNG;
    w->config.virtio[SLOT_NET] = (struct machine_virtio){
        .kind = MACHINE_VIRTIO_NET, .net = &w->net, .mac = {2, 0, 0, 0, 0, 1}};
    w->ports = (struct machine_ports){.clock = fake_clock_port(&w->clock),
                                      .entropy = {fill, w},
                                      .timers = {create_timer, w},
                                      .gmem = &w->gmem,
                                      .console = fake_chardev_port(&w->console),
                                      .exit = exited,
                                      .exit_ctx = w};
    for (u32 i = 0; i < 2; i++)
        w->ports.hart_irq[i] = fake_irq_line(&w->hart[i], 0);
}

static void world_init(struct world *w)
{
    world_prepare(w);
    CHECK_EQ(machine_create(&w->machine, &w->config, &w->ports, &w->err), 0);
    w->bus = machine_bus(w->machine);
}

static void world_fini(struct world *w)
{
    machine_destroy(w->machine);
    CHECK_EQ(w->gmem.count, 1);
    fake_gmem_fini(&w->gmem);
}

static u64 get(struct world *w, gpa_t gpa, u32 size)
{
    u64 value = 0;

    CHECK(w->bus.read(w->bus.ctx, gpa, size, &value));
    return value;
}

static void put(struct world *w, gpa_t gpa, u32 size, u64 value)
{
    CHECK(w->bus.write(w->bus.ctx, gpa, size, value));
}

TEST(devices_answer)
{
    static const u32 ids[SLOTS_QEMU] = {
        [SLOT_BLK] = 2, [SLOT_CONSOLE] = 3, [SLOT_RNG] = 4, [SLOT_NET] = 1};
    struct world w;
    u64 value;

    world_init(&w);
    w.clock.wall = 0x123456789abcdef0;
    CHECK_EQ(get(&w, 0x101000, 4), 0x9abcdef0); /* RTC TIME_LOW */
    CHECK_EQ(get(&w, 0x101004, 4), 0x12345678);
    CHECK_EQ(get(&w, UART + 5, 1), 0x60); /* LSR: idle */
    for (u32 i = 0; i < SLOTS_QEMU; i++) {
        CHECK_EQ(get(&w, 0x10001000 + i * 0x1000, 4), 0x74726976);
        CHECK_EQ(get(&w, 0x10001008 + i * 0x1000, 4), ids[i]);
    }
    put(&w, 0x10100008, 2, 0); /* fw_cfg: selector (big-endian), then data */
    CHECK_EQ(get(&w, 0x10100000, 1), 'Q');
    put(&w, 0x10100008, 2, 0x0500);
    CHECK_EQ(get(&w, 0x10100000, 1), 2); /* harts */
    CHECK_EQ(get(&w, 0x20000000, 4), UINT32_MAX);
    CHECK_EQ(get(&w, 0x23fffffc, 4), UINT32_MAX);
    CHECK_EQ(get(&w, 0x30000000, 4), 0x00081b36); /* the host bridge */
    CHECK_EQ(get(&w, 0x40000000, 4), UINT32_MAX); /* no BAR there */
    CHECK_EQ(get(&w, 0x400000000, 4), UINT32_MAX);
    CHECK(!w.bus.read(w.bus.ctx, 0x50, 4, &value));
    CHECK(!w.bus.read(w.bus.ctx, 0x10009000, 4, &value));
    CHECK(!w.bus.write(w.bus.ctx, UINT64_MAX - 7, 8, 0));
    world_fini(&w);
}

/* Slots that QEMU's board lacks: there, and in the tree, where something is plugged in. */
TEST(more_slots)
{
    struct world w;
    const void *dtb;
    size_t size;
    u64 value;
    int node;

    world_prepare(&w);
    w.config.virtio[SLOT_MORE].kind = MACHINE_VIRTIO_RNG;
    CHECK_EQ(machine_create(&w.machine, &w.config, &w.ports, &w.err), 0);
    w.bus = machine_bus(w.machine);
    CHECK_EQ(get(&w, 0x10001008 + SLOT_MORE * 0x1000, 4), 4);
    CHECK(!w.bus.read(w.bus.ctx, 0x10000000 + SLOT_MORE * 0x1000, 4, &value));
    CHECK(!w.bus.read(w.bus.ctx, 0x10002000 + SLOT_MORE * 0x1000, 4, &value));
    dtb = machine_dtb(w.machine, &size);
    CHECK(fdt_path_offset(dtb, "/soc/virtio_mmio@10009000") < 0);
    node = fdt_path_offset(dtb, "/soc/virtio_mmio@10016000");
    CHECK(node >= 0);
    CHECK_EQ(fdt32_ld(fdt_getprop(dtb, node, "interrupts", NULL)), 36 + SLOT_MORE - SLOTS_QEMU);
    world_fini(&w);
}

TEST(time_and_timers)
{
    struct world w;

    world_init(&w);
    w.clock.now = 1000000;
    CHECK_EQ(machine_time(w.machine), 10000);
    CHECK_EQ(get(&w, 0x200bff8, 8), 10000);
    CHECK_EQ(machine_time_ns(w.machine, 20000), 2000000);
    put(&w, 0x2004008, 8, 20000); /* hart 1's mtimecmp */
    CHECK(!w.hart[1].level[MIP_MTIP]);
    w.clock.now = 2000000;
    for (u32 i = 0; i < w.timer_count; i++)
        w.timer[i].fire(w.timer[i].ctx, w.timer[i].arg);
    CHECK(w.hart[1].level[MIP_MTIP]);
    CHECK(!w.hart[0].level[MIP_MTIP]);
    put(&w, 0x2000004, 4, 1); /* hart 1's msip */
    CHECK(w.hart[1].level[MIP_MSIP]);
    put(&w, 0x2f00000, 4, 1); /* hart 0's setssip */
    CHECK_EQ(w.hart[0].rises[MIP_SSIP], 1);
    world_fini(&w);
}

/* A byte from the host: UART, source 10, each context of the PLIC in turn. */
TEST(uart_interrupt)
{
    static const enum machine_hart_irq bits[2] = {MIP_MEIP, MIP_SEIP};
    struct world w;

    world_init(&w);
    put(&w, PLIC + 4 * 10, 4, 1);
    put(&w, UART + 1, 1, 1); /* IER: received data */
    for (u32 context = 0; context < 4; context++) {
        u32 hart = context / 2, bit = bits[context % 2];

        put(&w, PLIC + 0x2000 + context * 0x80, 4, 1 << 10);
        CHECK(!w.hart[hart].level[bit]);
        CHECK_EQ(machine_console_receive(w.machine, (const u8 *)"x", 1), 1);
        CHECK(w.hart[hart].level[bit]);
        CHECK_EQ(get(&w, PLIC + 0x200004 + context * 0x1000, 4), 10);
        CHECK_EQ(get(&w, UART, 1), 'x');
        put(&w, PLIC + 0x200004 + context * 0x1000, 4, 10);
        CHECK(!w.hart[hart].level[bit]);
        put(&w, PLIC + 0x2000 + context * 0x80, 4, 0);
    }
    put(&w, UART, 1, 'y');
    CHECK_EQ(w.console.len, 1);
    CHECK_EQ(w.console.bytes[0], 'y');
    world_fini(&w);
}

TEST(exit)
{
    struct world w;

    world_init(&w);
    put(&w, 0x100000, 4, 0x5555);
    CHECK_EQ(w.exits, 1);
    CHECK_EQ(w.how, MACHINE_POWEROFF);
    put(&w, 0x100000, 4, 0x7777);
    CHECK_EQ(w.how, MACHINE_REBOOT);
    put(&w, 0x100000, 4, 0x2a3333);
    CHECK_EQ(w.how, MACHINE_FAIL);
    CHECK_EQ(w.code, 0x2a);
    CHECK_EQ(w.exits, 3);
    world_fini(&w);
}

/* The words that QEMU 7.2 shows at 0x1000 with -bios fw_dynamic.bin and a kernel. */
TEST(boot_rom)
{
    static const u32 want[] = {
        0x00000297, 0x02828613, 0xf1402573, 0x0202b583, 0x0182b283, 0x00028067, 0x80000000, 0,
        0x87e00000, 0,          0x4942534f, 0,          2,          0,          0x80200000, 0,
        1,          0,          0,          0,          0,          0};
    struct world w;
    u8 rom[sizeof(want)], one = 1;

    world_init(&w);
    CHECK_EQ(machine_boot_rom(w.machine, 0x80000000, 0x87e00000, 0x80200000), 0x1000);
    for (int round = 0; round < 2; round++) {
        CHECK(gmem_read(&w.gmem, 0x1000, rom, sizeof(rom)));
        for (u32 i = 0; i < ARRAY_SIZE(want); i++)
            CHECK_EQ(le32_load(rom + 4 * i), want[i]);
        machine_reset(w.machine);
    }
    CHECK(!gmem_write(&w.gmem, 0x1000, &one, 1));
    world_fini(&w);
}

static u8 seed_of(struct world *w)
{
    size_t size;
    const void *dtb = machine_dtb(w->machine, &size);
    const u8 *seed = fdt_getprop(dtb, fdt_path_offset(dtb, "/chosen"), "rng-seed", NULL);

    CHECK_EQ(fdt_check_full(dtb, size), 0);
    CHECK(seed);
    return seed ? seed[0] : 0;
}

TEST(reset)
{
    struct world w;
    u8 seed;

    world_init(&w);
    seed = seed_of(&w);
    put(&w, UART + 7, 1, 0x5a);
    put(&w, PLIC + 4 * 10, 4, 3);
    put(&w, 0x2000004, 4, 1);
    machine_reset(w.machine);
    CHECK_EQ(get(&w, UART + 7, 1), 0);
    CHECK_EQ(get(&w, PLIC + 4 * 10, 4), 0);
    CHECK_EQ(get(&w, 0x2000004, 4), 0);
    CHECK(!w.hart[1].level[MIP_MSIP]);
    CHECK(seed_of(&w) != seed);
    world_fini(&w);
}

TEST(consoles)
{
    struct world w;

    world_init(&w);
    CHECK_EQ(machine_virtio_console_receive(w.machine, SLOT_BLK, (const u8 *)"x", 1), 0);
    CHECK_EQ(machine_virtio_console_receive(w.machine, 99, (const u8 *)"x", 1), 0);
    CHECK_EQ(machine_virtio_console_receive(w.machine, SLOT_CONSOLE, (const u8 *)"x", 1), 0);
    world_fini(&w);
}

/* PCIe's 64-bit window makes way for RAM. */
TEST(large_ram)
{
    struct world w;

    world_prepare(&w);
    w.config.ram_size = 15 * GIB;
    CHECK_EQ(machine_create(&w.machine, &w.config, &w.ports, &w.err), 0);
    w.bus = machine_bus(w.machine);
    CHECK_EQ(get(&w, 32 * GIB, 4), UINT32_MAX);
    world_fini(&w);
}

TEST(refused)
{
    static const struct {
        u32 harts;
        u64 ram;
        const char *text;
    } cases[] = {
        {0, 4 * MIB, "harts"}, {MACHINE_HARTS_MAX + 1, 4 * MIB, "harts"},    {1, 0, "RAM"},
        {1, 4097, "4096"},     {1, UINT64_MAX & ~UINT64_C(4095), "at most"},
    };
    struct world w;

    world_prepare(&w);
    for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
        w.config.hart_count = cases[i].harts;
        w.config.ram_size = cases[i].ram;
        CHECK(machine_create(&w.machine, &w.config, &w.ports, &w.err) < 0);
        CHECK(strstr(w.err.msg, cases[i].text));
    }
    w.config.hart_count = 1;
    w.config.ram_size = 4 * MIB;
    w.gmem.count = GMEM_REGIONS_MAX;
    CHECK(machine_create(&w.machine, &w.config, &w.ports, &w.err) < 0);
    fake_gmem_fini(&w.gmem);
}

TEST_MAIN()
