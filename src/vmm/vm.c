/* SPDX-License-Identifier: BSD-2-Clause */
/* A virtual machine's life: built from its configuration, run on the event loop, taken down. */
#include "vmm/vm.h"

#include "block/serve.h"
#include "exec/jit.h"
#include "host/file.h"
#include "rv/code_map.h"
#include "vmm/vm_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The pieces that only the host has: log, clock, loop, signals. */
static void on_console_event(void *ctx, enum console_event event)
{
    struct vm *vm = ctx;

    if (event == CONSOLE_QUIT)
        loop_stop(vm->loop);
    else
        vm_send_break(vm);
}

static int create_host_side(struct vm *vm, struct err *err)
{
    int r = log_sink_create(&vm->log_sink, vm->config->log, err);

    if (r)
        return r;
    vm->log = log_sink_log(vm->log_sink);
    host_clock_init(&vm->clock);
    return loop_create(&vm->loop, &vm->clock, err);
}

static void ram_reached(void *ctx, gpa_t gpa, u64 len)
{
    struct vm *vm = ctx;

    if (range_within(gpa, len, MACHINE_RAM_BASE, vm->ram.size))
        host_memory_reach(&vm->ram, gpa - MACHINE_RAM_BASE, len);
}

static bool ram_discard(void *ctx, gpa_t gpa, u64 len)
{
    struct vm *vm = ctx;

    return range_within(gpa, len, MACHINE_RAM_BASE, vm->ram.size) &&
           host_memory_discard(&vm->ram, gpa - MACHINE_RAM_BASE, len);
}

static int create_ram(struct vm *vm, struct err *err)
{
    int r = host_memory_create(&vm->ram, "cosm-ram", vm->config->ram_size, err);

    if (r)
        return r;
    vm->gmem.region[0] =
        (struct gmem_region){.base = MACHINE_RAM_BASE, .size = vm->ram.size, .host = vm->ram.base};
    vm->gmem.count = 1;
    vm->gmem.reached = ram_reached;
    vm->gmem.discard = ram_discard;
    vm->gmem.ctx = vm;
    return 0;
}

/* A flash image is read whole; the guest's changes stay in memory. */
static int load_flash(struct vm *vm, u32 unit, struct err *err)
{
    const struct vm_pflash *p = &vm->config->pflash[unit];
    u8 *bytes, *flash;
    u64 size;
    int r;

    if (!p->path[0])
        return 0;
    r = file_read("--pflash", p->path, MACHINE_FLASH_SIZE, &bytes, &size, err);
    if (r)
        return r;
    flash = malloc(MACHINE_FLASH_SIZE);
    if (!flash) {
        free(bytes);
        return err_set(err, ENOMEM, "--pflash: no host memory for '%s'", p->path);
    }
    memcpy(flash, bytes, size);
    memset(flash + size, 0xff, MACHINE_FLASH_SIZE - size);
    free(bytes);
    vm->flash[unit] = flash;
    return 0;
}

static void hart_irq(void *ctx, u32 line, bool level)
{
    const struct vm_wires *w = ctx;

    if (line == MIP_SSIP) { /* edge: ACLINT SSWI sets the bit that software clears */
        if (level)
            exec_set_soft_irq(w->vm->exec, w->hart, line);
        return;
    }
    exec_set_irq(w->vm->exec, w->hart, line, level);
}

static void on_machine_exit(void *ctx, enum machine_exit how, u32 code)
{
    vm_ask_end(ctx, how, code);
}

/* Slots that were asked for by number: vm_config_check has seen to it that each is so once. */
static u32 fixed_slots(const struct vm_config *c)
{
    u32 slots = 0;

    for (u32 i = 0; i < c->drive_count; i++)
        slots |= c->drive[i].slot == VM_SLOT_ANY ? 0 : 1u << c->drive[i].slot;
    for (u32 i = 0; i < c->net_count; i++)
        slots |= c->net[i].slot == VM_SLOT_ANY ? 0 : 1u << c->net[i].slot;
    return slots;
}

int vm_take_slot(const struct vm *vm, const struct machine_config *mc, int wanted, const char *what,
                 struct err *err)
{
    u32 fixed = fixed_slots(vm->config);

    if (wanted != VM_SLOT_ANY)
        return wanted;
    for (int i = 0; i < VM_SLOTS; i++) {
        if (!(fixed >> i & 1) && mc->virtio[i].kind == MACHINE_VIRTIO_NONE)
            return i;
    }
    return err_set(err, EINVAL, "no virtio slot is free for %s; give fewer devices", what);
}

static u32 min32(u32 a, u32 b)
{
    return a < b ? a : b;
}

static int plug_drives(struct vm *vm, struct machine_config *mc, struct err *err)
{
    const struct vm_config *c = vm->config;

    for (u32 i = 0; i < c->drive_count; i++) {
        const struct vm_drive *d = &c->drive[i];
        int r = vm_disk_open(vm, i, err);
        int slot = r ? r : vm_take_slot(vm, mc, d->slot, d->path, err);
        if (slot < 0)
            return slot;
        mc->virtio[slot].kind = MACHINE_VIRTIO_BLK;
        mc->virtio[slot].blk = vm->blk[i];
        mc->virtio[slot].queues = d->queues ? d->queues : min32(c->hart_count, VM_QUEUES_MAX);
        vm->blk_slot[i] = (u32)slot;
        memcpy(mc->virtio[slot].serial, d->serial, sizeof(d->serial));
    }
    return 0;
}

static int plug_nets(struct vm *vm, struct machine_config *mc, struct err *err)
{
    const struct vm_config *c = vm->config;

    for (u32 i = 0; i < c->net_count; i++) {
        int slot = vm_take_slot(vm, mc, c->net[i].slot, "--net", err), r = slot;

        if (slot >= 0)
            r = vm_net_create(vm, i, &mc->virtio[slot], err);
        if (r < 0)
            return r;
        mc->virtio[slot].kind = MACHINE_VIRTIO_NET;
        mc->virtio[slot].pairs = c->net[i].pairs;
    }
    return 0;
}

static int plug_virtio(struct vm *vm, struct machine_config *mc, struct err *err)
{
    int r, slot;

    r = plug_drives(vm, mc, err);
    if (!r)
        r = plug_nets(vm, mc, err);
    if (r)
        return r;
    if (vm->config->console == VM_CONSOLE_VIRTIO) {
        slot = vm_take_slot(vm, mc, VM_SLOT_ANY, "--console", err);
        if (slot < 0)
            return slot;
        mc->virtio[slot].kind = MACHINE_VIRTIO_CONSOLE;
        mc->virtio[slot].chardev = &vm->console_port;
        vm->virtio_console_slot = (u32)slot;
    }
    if (vm->config->rng) {
        slot = vm_take_slot(vm, mc, VM_SLOT_ANY, "--rng (leave it out with --rng off)", err);
        if (slot < 0)
            return slot;
        mc->virtio[slot].kind = MACHINE_VIRTIO_RNG;
    }
    if (vm->config->power_button) {
        slot = vm_take_slot(vm, mc, VM_SLOT_ANY, "--power-button (leave it out with off)", err);
        if (slot < 0)
            return slot;
        mc->virtio[slot].kind = MACHINE_VIRTIO_BUTTON;
    }
    r = vm_share_plug(vm, mc, err);
    return r ? r : vm_memory_plug(vm, mc, err);
}

static u32 block_size(const struct vm *vm, enum isa_ext ext)
{
    return isa_has(&vm->isa, ext) ? 64 : 0;
}

static void describe_cpu(struct vm *vm, struct machine_config *mc)
{
    bool fits = isa_string(&vm->isa, vm->isa_text, sizeof(vm->isa_text)) &&
                isa_list(&vm->isa, vm->isa_list, sizeof(vm->isa_list));

    if (!fits)
        log_print(vm->log, LOG_WARN, "vm", "the list of extensions is cut in the device tree");
    mc->isa = vm->isa_text;
    mc->isa_extensions = vm->isa_list;
    mc->mmu_type = isa_mmu_type(&vm->isa);
    mc->cbom_block = block_size(vm, ISA_ZICBOM);
    mc->cboz_block = block_size(vm, ISA_ZICBOZ);
    mc->cbop_block = block_size(vm, ISA_ZICBOP);
}

static int create_machine(struct vm *vm, struct err *err)
{
    const struct vm_config *c = vm->config;
    struct machine_config mc = {
        .ram_size = c->ram_size,
        .hart_count = c->hart_count,
        .bootargs = c->append,
        .boot_delay = c->boot_delay,
        .initrd = vm->plan.initrd,
        .initrd_size = vm->plan.initrd_size,
        .flash = {vm->flash[0], vm->flash[1]},
        .flash_readonly = {c->pflash[0].readonly, c->pflash[1].readonly},
        .fw_cfg = vm->fw_cfg,
        .fw_cfg_count = vm->fw_cfg_count,
    };
    struct machine_ports ports = {
        .log = vm->log,
        .clock = vm_clock(vm),
        .entropy = vm_entropy(vm),
        .timers = {vm_timer, vm},
        .gmem = &vm->gmem,
        .exit = on_machine_exit,
        .exit_ctx = vm,
    };
    int r;

    describe_cpu(vm, &mc);
    if (c->console == VM_CONSOLE_UART)
        ports.console = vm->console_port;
    for (u32 i = 0; i < c->hart_count; i++)
        ports.hart_irq[i] = (struct irq_line){hart_irq, &vm->wires[i], 0};
    r = plug_virtio(vm, &mc, err);
    if (!r)
        r = machine_create(&vm->machine, &mc, &ports, err);
    if (!r)
        vm->env.bus = machine_bus(vm->machine);
    return r;
}

static void device_wrote(void *ctx, gpa_t gpa, u64 len)
{
    struct vm *vm = ctx;

    code_map_written(vm->env.code_map, gpa, len);
}

/* Somebody wants to know what is translated? */
static int create_listener(struct vm *vm, struct err *err)
{
    FILE *trace = vm_trace_jit(vm->trace);
    struct symbols *symbols = NULL;
    int r;

    if (!trace && !vm->config->perf_map)
        return 0;
    r = vm_load_symbols(vm, &symbols, err);
    if (!r)
        r = vm_listen_create(&vm->listen, trace, vm->config->perf_map, symbols, err);
    if (!r)
        vm->env.jit_observer = vm_listen_observer(vm->listen);
    return r;
}

static int choose_engine(const struct vm *vm, enum vm_engine *engine, struct err *err)
{
    bool can = jit_is_supported();

    *engine = vm->config->engine;
    if (*engine == VM_ENGINE_BEST)
        *engine = can ? VM_ENGINE_JIT : VM_ENGINE_INTERP;
    if (*engine == VM_ENGINE_INTERP || can)
        return 0;
    return err_set(err, ENOTSUP,
                   "this host's processor cannot run translated code (x86-64 with "
                   "AVX, BMI2 and FMA can); use --cpu-engine=interp");
}

static int create_harts(struct vm *vm, struct err *err)
{
    enum vm_engine engine;
    int r = choose_engine(vm, &engine, err);
    struct exec_config ec = {
        .env = &vm->env,
        .isa = vm->isa,
        .hart_count = vm->config->hart_count,
        .ram_base = MACHINE_RAM_BASE,
        .ram_size = vm->config->ram_size,
        .icount = vm->config->icount,
        .icount_shift = vm->config->icount_shift,
        .translate = engine != VM_ENGINE_INTERP,
        .regions = engine == VM_ENGINE_JIT,
        .stopped = vm_debug_hart_stopped,
        .stopped_itself = vm_hart_stopped_itself,
        .woke = vm_hart_woke,
        .began = vm_thread_began,
        .ctx = vm,
    };

    if (r)
        return r;
    vm_platform_env(vm);
    r = vm_trace_create(&vm->trace, vm->config->trace, &vm->env, &ec, err);
    if (!r)
        r = create_listener(vm, err);
    if (!r)
        r = exec_create(&vm->exec, &ec, err);
    if (r)
        return r;
    vm->gmem.written = device_wrote;
    vm->gmem.ctx = vm;
    return 0;
}

static int create_console(struct vm *vm, struct err *err)
{
    struct console_config cc = {.in = vm->config->detached ? -1 : STDIN_FILENO,
                                .out = vm->config->detached ? -1 : STDOUT_FILENO,
                                .patient = vm->config->icount,
                                .event = on_console_event,
                                .ctx = vm};
    int r;

    if (vm->config->dump_dtb)
        return 0;
    r = console_create(&vm->console, vm->loop, &cc, err);
    if (r)
        return r;
    vm->console_port = console_chardev(vm->console);
    if (console_is_terminal(vm->console))
        log_sink_redirect(vm->log_sink, console_note, vm->console);
    return 0;
}

static int build(struct vm *vm, struct err *err)
{
    int r = create_host_side(vm, err);

    if (!r)
        r = create_ram(vm, err);
    for (u32 unit = 0; !r && unit < 2; unit++)
        r = load_flash(vm, unit, err);
    if (!r)
        r = vm_load_fw_cfg(vm, err);
    if (!r && !vm->config->dump_dtb)
        r = vm_load_images(vm, err);
    if (!r)
        r = create_harts(vm, err);
    if (!r)
        r = create_console(vm, err);
    if (!r)
        r = create_machine(vm, err);
    if (r)
        return r;
    vm_platform_timers(vm);
    machine_reset(vm->machine);
    return vm->config->dump_dtb ? 0 : vm_boot(vm, err);
}

int vm_create(struct vm **out, const struct vm_config *config, struct err *err)
{
    struct vm *vm = calloc(1, sizeof(*vm));
    int r;

    if (!vm)
        return err_set(err, ENOMEM, "no host memory for the virtual machine");
    vm->config = config;
    vm->random = config->icount_seed;
    vm->statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    isa_default(&vm->isa);
    for (u32 i = 0; i < VM_HARTS_MAX; i++)
        vm->wires[i] = (struct vm_wires){vm, i};
    r = config->cpu ? isa_parse(&vm->isa, config->cpu, err) : 0;
    if (!r)
        r = build(vm, err);
    if (r) {
        vm_destroy(vm);
        return r;
    }
    *out = vm;
    return 0;
}

static size_t receive_uart(void *ctx, const u8 *bytes, size_t len)
{
    struct vm *vm = ctx;

    return machine_console_receive(vm->machine, bytes, len);
}

static size_t receive_virtio(void *ctx, const u8 *bytes, size_t len)
{
    struct vm *vm = ctx;

    return machine_virtio_console_receive(vm->machine, vm->virtio_console_slot, bytes, len);
}

int vm_reset(struct vm *vm, struct err *err)
{
    int r;

    vm->power_pressed = false;
    vm_clock_started(vm);
    machine_reset(vm->machine);
    for (u32 i = 0; i < vm->config->hart_count; i++) {
        timer_arm(&vm->timer[i].port, CLOCK_NEVER);
        vm->timer[i].time = UINT64_MAX;
        timer_arm(&vm->guest_timer[i].port, CLOCK_NEVER);
        vm->guest_timer[i].time = UINT64_MAX;
        vm->guest_timer[i].delta = 0;
        exec_release_hart(vm->exec, i, false);
    }
    r = vm_load_images(vm, err);
    return r ? r : vm_boot(vm, err);
}

static int fail_status(u32 code)
{
    return code & 0xff ? (int)(code & 0xff) : 1;
}

static const char *end_reason(enum machine_exit how)
{
    return how == MACHINE_REBOOT ? "guest-reset"
           : how == MACHINE_FAIL ? "guest-panic"
                                 : "guest-shutdown";
}

void vm_end_posted(void *ctx)
{
    struct vm *vm = ctx;
    struct vm_end end;
    struct err err;

    if (vm->over)
        return;
    exec_pause(vm->exec);
    lock_acquire(&vm->end_lock);
    end = vm->end;
    vm->end.asked = false;
    lock_release(&vm->end_lock);
    if (end.how == MACHINE_REBOOT && !vm->config->no_reboot) {
        if (vm_reset(vm, &err)) {
            log_print(vm->log, LOG_ERROR, "vm", "reboot: %s", err.msg);
            vm->status = 1;
            vm->end_reason = "host-error";
            loop_stop(vm->loop);
        } else {
            vm_tell(vm, VM_EVENT_RESET);
        }
    } else {
        vm->end_reason = end_reason(end.how);
        vm->status = end.how == MACHINE_FAIL ? fail_status(end.code) : 0;
        loop_stop(vm->loop);
    }
    exec_resume(vm->exec);
}

static void attach_console(struct vm *vm)
{
    if (vm->config->console == VM_CONSOLE_VIRTIO)
        console_attach(vm->console, receive_virtio, vm);
    else
        console_attach(vm->console, receive_uart, vm);
}

int vm_run(struct vm *vm, struct err *err)
{
    int r = console_begin(vm->console, &vm->sandbox, err);

    vm->start_ns = host_monotonic_ns();
    for (u32 i = 0; i < vm->config->drive_count && !r; i++)
        r = serve_begin(vm->blk[i], &vm->sandbox, err);
    if (!r)
        r = exec_start(vm->exec, err);
    if (r)
        return r;
    attach_console(vm);
    exec_resume(vm->exec);
    loop_run(vm->loop);
    vm->over = true;
    console_hurry(vm->console); /* harts may wait for its reader */
    exec_pause(vm->exec);
    if (vm->gdb)
        gdb_exited(vm->gdb, (u8)vm->status);
    if (vm->config->stats != VM_STATS_OFF)
        vm_stats_print(vm, host_monotonic_ns() - vm->start_ns);
    return vm->status;
}

const void *vm_dtb(struct vm *vm, size_t *size)
{
    return vm_boot_dtb(vm, size);
}

void vm_destroy(struct vm *vm)
{
    if (!vm)
        return;
    vm_nets_close(vm);
    vm_clock_close(vm);
    vm_share_close(vm);
    /* Disk answers on their way reach the devices, their wires and the code caches: in this order.
     */
    if (vm->machine)
        machine_destroy(vm->machine);
    vm_jobs_end(vm);
    for (u32 i = 0; i < VM_DRIVES_MAX; i++) {
        serve_close(vm->blk[i]);
        free(vm->blk_path[i]);
        free(vm->blk_below[i]);
    }
    exec_destroy(vm->exec);
    vm_listen_destroy(vm->listen);
    vm_trace_destroy(vm->trace);
    vm_debug_destroy(vm);
    if (vm->console) {
        log_sink_redirect(vm->log_sink, NULL, NULL);
        console_destroy(vm->console);
    }
    signals_destroy(vm->signals);
    if (vm->loop)
        loop_destroy(vm->loop);
    vm_nets_destroy(vm);
    vm_share_destroy(vm);
    attendant_stop(&vm->attendant);
    if (vm->log_sink)
        log_sink_destroy(vm->log_sink);
    host_memory_destroy(&vm->ram);
    vm_free_fw_cfg(vm);
    if (vm->statm >= 0)
        close(vm->statm);
    free(vm->flash[0]);
    free(vm->flash[1]);
    free(vm->user_dtb);
    free(vm->sbi);
    free(vm);
}
